"""Several runs in one graph: means of the members, stored in half of the bytes, the same numbers."""

import numpy as np
import onnx
import pytest
import torch

from hemocast_training.checkpoint import round_to_half
from hemocast_training.deployed import DeployedNetwork, FeatureCloud
from hemocast_training.evaluate import training_seeds
from hemocast_training.model_card import runs_sentence
from hemocast_training.network import Ensemble, NetworkConfig, TinyNetwork
from hemocast_training.onnx_model import check_parity, export_onnx, open_session, store_half

from runtime import need_onnxruntime

SMALL = NetworkConfig(widths=(8, 8, 8), decoder_widths=(8, 8, 8), token_dim=12, heads=3, blocks=1)


@pytest.fixture(scope="module")
def members():
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        networks.append(TinyNetwork(SMALL).eval())
        round_to_half(networks[-1])
    return networks


def test_the_ensemble_says_the_mean_of_its_members_and_knows_the_features_of_all(members):
    image = torch.linspace(-50, 90, 24 * 128 * 128).reshape(1, 24, 128, 128)
    with torch.no_grad():
        both, first, second = Ensemble(members).eval()(image), members[0](image), members[1](image)
    assert not torch.allclose(first.logit, second.logit)
    for name in ("logit", "generated", "attention"):
        mean = (getattr(first, name) + getattr(second, name)) / 2
        assert torch.allclose(getattr(both, name), mean, atol=1e-4)
    assert torch.equal(both.pooled, torch.cat([first.pooled, second.pooled], 1))


def test_an_ensemble_of_nobody_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])


def test_weights_stored_in_half_compute_the_same_in_fewer_bytes(members, tmp_path):
    need_onnxruntime()
    cloud = FeatureCloud(np.random.default_rng(0).normal(size=(40, 24)))
    deployed = DeployedNetwork(Ensemble(members), 1.2, cloud).eval()
    before = export_onnx(deployed, tmp_path / "model.onnx")
    after = store_half(tmp_path / "model.onnx")
    assert after < before
    assert any(t.data_type == onnx.TensorProto.FLOAT16 for t in onnx.load(str(tmp_path / "model.onnx")).graph.initializer)
    case = np.random.default_rng(1).normal(35, 30, (2, 24, 128, 128)).astype(np.float32)
    check_parity(deployed, open_session(tmp_path / "model.onnx"), [case[:1], case])


def test_no_convolution_reads_its_channels_in_threes_which_webgpu_does_wrongly(members, tmp_path):
    cloud = FeatureCloud(np.random.default_rng(0).normal(size=(40, 12)))
    export_onnx(DeployedNetwork(members[0], 1.2, cloud).eval(), tmp_path / "model.onnx")
    graph = onnx.load(str(tmp_path / "model.onnx")).graph
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    channels = [weights[node.input[1]][1] for node in graph.node if node.op_type == "Conv"]
    assert 76 in channels  # the stem's 75
    assert not [count for count in channels if count > 3 and count % 3 == 0 and count % 4]


def test_a_card_names_every_run_behind_the_network():
    one, mean = {"seed": 6}, {"seed": 7, "average_of": [{"seed": 7}, {"seed": 8}]}
    said = {}
    for name, training in {"one": {**one, "members": [one]}, "mean": {**mean, "members": [mean]}, "two": {**one, "members": [one, {"seed": 9}]}}.items():
        seeds = training_seeds({"training": training})
        said[name] = runs_sentence({"training": training}, {"inDistribution": {"trainingSeeds": seeds}})
    assert said["one"] == "One training run, one seed"
    assert said["mean"] == "One network, the mean of 2 training runs (seeds 7, 8) from one start"
    assert said["two"] == "An ensemble of 2 training runs (seeds 6, 9), evaluated as one"
