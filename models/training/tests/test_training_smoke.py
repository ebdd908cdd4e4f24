"""From pairs to a bundle in one go, on toy heads: losses fall, a stopped run goes on, the graph computes the same."""

import json
import shutil

import numpy as np
import pytest
import torch

from hemocast_training.__main__ import main
from hemocast_training.bundle import METADATA_FILE, read_metadata
from hemocast_training.calibrate import Calibration
from hemocast_training.checkpoint import lighten, load_network, load_start
from hemocast_training.data import Cohort
from hemocast_training.deployed import DeployedNetwork, FeatureCloud
from hemocast_training.export import usual_level
from hemocast_training.golden import weight_cases
from hemocast_training.losses import auxiliary_loss, generation_loss
from hemocast_training.network import NetworkConfig, TinyNetwork
from hemocast_training.onnx_model import check_parity, export_onnx, infer, open_session
from hemocast_training.train import Budget, Trainer

from runtime import need_onnxruntime
from synthetic import write_toy_cohort


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohorts")
    for name, count, head in (("train", 8, 1), ("validation", 20, 11), ("test", 20, 13)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    return root


@pytest.fixture(scope="module")
def trained_run(cohorts, tmp_path_factory):
    """A run of a few steps on the same eight pairs, stopped once and continued."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    options = {"seed": 3, "rate": 2e-3, "batch": 2, "epoch_pairs": 8}
    train = Cohort(cohorts / "train")
    validation = Cohort(cohorts / "validation", limit=4)
    losses = []
    for epochs in (1, 2):
        trainer = Trainer(train, validation, out, NetworkConfig(), options)
        losses.append(total_loss(trainer))
        for _ in range(epochs):
            record = trainer.epoch(0.0, Budget(seconds=float("inf")))
            trainer.history.append({**record, "validation_auc": 0.5, "minutes": 0.1})
        trainer.save()
    trainer.write_config(Budget(seconds=60))
    (out / "losses.json").write_text(json.dumps([*losses, total_loss(trainer)]))
    return out


def test_a_run_may_begin_with_the_weights_of_another_and_says_so(cohorts, trained_run, tmp_path):
    train, validation = Cohort(cohorts / "train"), Cohort(cohorts / "validation", limit=2)
    trainer = Trainer(train, validation, tmp_path / "run", NetworkConfig(), {"seed": 9, "start": str(trained_run)})
    began_with = load_network(trained_run)[0].state_dict()
    assert all(torch.equal(tensor, began_with[name]) for name, tensor in trainer.model.state_dict().items())
    trainer.write_config(Budget(seconds=60))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["start"]["name"] == trained_run.name
    with pytest.raises(ValueError, match="another network configuration"):
        Trainer(train, validation, tmp_path / "other", NetworkConfig(interactive=False), {"start": str(trained_run)})


def test_a_run_may_keep_the_running_statistics_of_its_start(cohorts, trained_run, tmp_path):
    train, validation = Cohort(cohorts / "train"), Cohort(cohorts / "validation", limit=2)
    began_with = load_network(trained_run)[0].state_dict()
    for keeps in (True, False):
        options = {"seed": 9, "start": str(trained_run), "batch": 2, "epoch_pairs": 2, "keep_statistics": keeps}
        trainer = Trainer(train, validation, tmp_path / str(keeps), NetworkConfig(), options)
        trainer.epoch(0.0, Budget(seconds=float("inf")))
        state = trainer.model.state_dict()
        statistics = [name for name in state if name.endswith(("running_mean", "running_var"))]
        assert all(torch.equal(state[name], began_with[name]) for name in statistics) is keeps
        assert not torch.equal(state["stem.weight"], began_with["stem.weight"])


def test_two_runs_of_one_start_become_one_network_and_unrelated_ones_do_not(cohorts, trained_run, tmp_path, capsys):
    train, validation = Cohort(cohorts / "train"), Cohort(cohorts / "validation", limit=2)
    for seed in (1, 2):
        options = {"seed": seed, "start": str(trained_run), "batch": 2, "epoch_pairs": 2}
        trainer = Trainer(train, validation, tmp_path / str(seed), NetworkConfig(), options)
        record = trainer.epoch(0.0, Budget(seconds=float("inf")))
        trainer.history.append({**record, "validation_auc": 0.5, "minutes": 0.25})
        trainer.save()
    command = ["average", "--validation", str(cohorts / "validation"), "--validate", "4", "--out", str(tmp_path / "mean"), "--runs"]
    assert main([*command, str(tmp_path / "1"), str(tmp_path / "2")]) == 0
    parts = [load_network(tmp_path / name)[0].state_dict() for name in ("1", "2", "mean")]
    kernel = "stem.weight"
    assert torch.allclose(parts[2][kernel], (parts[0][kernel] + parts[1][kernel]) / 2) and not torch.equal(*[p[kernel] for p in parts[:2]])
    state = load_network(tmp_path / "mean")[1]
    last = state["history"][-1]
    assert (last["pairs_seen"], last["minutes"]) == (4, 0.5)
    assert [part["seed"] for part in state["average_of"]] == [1, 2]
    assert main([*command, str(tmp_path / "1"), str(trained_run)]) == 1
    assert "--start" in capsys.readouterr().err


@torch.no_grad()
def total_loss(trainer: Trainer) -> float:
    """Generation and auxiliary loss on four fixed pairs."""
    batch = trainer.feed.cohort.batch(range(4))
    output = trainer.model.train()(batch.image)
    return float(generation_loss(output.generated, batch) + auxiliary_loss(output.map_logits, batch))


def test_what_comes_back_from_a_gpu_is_small_and_holds_the_network(trained_run, tmp_path):
    light = lighten(trained_run)
    assert light.stat().st_size < 0.4 * (trained_run / "checkpoint.pt").stat().st_size
    shutil.copyfile(light, tmp_path / "checkpoint.pt")
    whole, kept = load_network(trained_run)[0].state_dict(), load_network(tmp_path)[0].state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in whole.items())


def test_losses_fall_and_a_stopped_run_goes_on_where_it_was(trained_run):
    start, middle, end = json.loads((trained_run / "losses.json").read_text())
    assert end < middle < start and end < 0.9 * start
    log = [json.loads(line) for line in (trained_run / "log.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in log] == [1, 2, 3]
    assert log[-1]["pairs_seen"] == 24
    network, state = load_network(trained_run)
    assert state["heads"] == [1] and not network.training
    assert (trained_run / "curves.png").stat().st_size > 5000
    assert "Research use only" in json.loads((trained_run / "config.json").read_text())["disclaimer"]


def test_a_run_of_another_network_is_not_continued(trained_run, cohorts):
    cohort = Cohort(cohorts / "train")
    with pytest.raises(ValueError, match="another --out"):
        Trainer(cohort, cohort, trained_run, NetworkConfig(interactive=False), {})


def export(run, cohorts, bundle, *options) -> int:
    need_onnxruntime()
    common = [text for name in ("train", "validation", "test") for text in (f"--{name}", str(cohorts / name))]
    return main(["export", "--run", str(run), *common, "--out", str(bundle), *options])


@pytest.fixture(scope="module")
def exported(trained_run, cohorts, tmp_path_factory):
    """The bundle of that run."""
    bundle = tmp_path_factory.mktemp("exported") / "bundle"
    assert export(trained_run, cohorts, bundle, "--version", "0.0.1", "--note", "A toy.") == 0
    return bundle


def test_a_bundle_may_be_exported_anew_from_its_own_weights_and_then_reads_scans_on_their_own_scale(exported, cohorts, tmp_path):
    again = tmp_path / "again"
    assert export(exported, cohorts, again, "--version", "0.0.2", "--own-scale") == 0
    old, new = (load_start(bundle)[0] for bundle in (exported, again))
    assert all(torch.equal(tensor, old.state_dict()[name]) for name, tensor in new.state_dict().items())
    assert old.config.reference_hu is None and new.config.reference_hu == usual_level(Cohort(cohorts / "train"))
    before, after = (read_metadata(bundle) for bundle in (exported, again))
    assert after["training"]["network"].pop("reference_hu") == new.config.reference_hu and str(new.config.reference_hu) in after["description"]
    for training in (before["training"], after["training"]):
        training["network"].pop("reference_hu", None)
        del training["members"]
    assert before["training"] == after["training"] and "brings the commonest HU" not in before["description"]


def test_of_an_ensemble_the_runs_are_exported_not_the_one_member_whose_weights_its_bundle_keeps(exported, cohorts, tmp_path, capsys):
    bundle = shutil.copytree(exported, tmp_path / "ensemble")
    metadata = json.loads((bundle / METADATA_FILE).read_text())
    metadata["training"]["members"] *= 2
    (bundle / METADATA_FILE).write_text(json.dumps(metadata))
    assert export(bundle, cohorts, tmp_path / "again", "--version", "0.0.2") == 1
    assert "name the run folders" in capsys.readouterr().err and not (tmp_path / "again").exists()


def test_a_run_becomes_a_complete_bundle_that_evaluates_itself(exported, cohorts, tmp_path):
    bundle = shutil.copytree(exported, tmp_path / "bundle")
    assert main(["evaluate", "--bundle", str(bundle), "--cohort", str(cohorts / "test"), "--resamples", "20"]) == 0

    metadata = read_metadata(bundle)
    assert metadata["calibration"]["temperature"] > 0 and len(metadata["calibration"]["interval"]["affine"]) == 100
    evaluation = json.loads((bundle / "evaluation.json").read_text())
    figures = evaluation["classification"]
    assert figures["ceiling"]["auc"]["value"] >= figures["hemocast"]["auc"]["low"]
    card = (bundle / "docs" / "README.md").read_text()
    assert "Research use only, trained on simulated data, not a medical device." in card
    assert f"{figures['hemocast']['auc']['value']:.3f}" in card
    for name in ("LICENSE", "docs/panel.png", "docs/discrimination.png", "golden/input-00.i16.gz"):
        assert (bundle / name).stat().st_size > 1000

    (bundle / "models" / "model.onnx").write_bytes(b"swapped")
    with pytest.raises(ValueError, match="export the bundle again"):
        read_metadata(bundle)


def test_heads_that_were_trained_on_are_not_evaluated(trained_run, cohorts, tmp_path, capsys, monkeypatch):
    from hemocast_training import evaluate

    monkeypatch.setattr(evaluate, "read_metadata", lambda bundle: {"training": {"heads": [13]}})
    assert main(["evaluate", "--bundle", str(tmp_path), "--cohort", str(cohorts / "test")]) == 1
    assert "other heads" in capsys.readouterr().err


def test_the_exported_graph_equals_the_network_for_any_number_of_volumes(tmp_path):
    need_onnxruntime()
    torch.manual_seed(5)
    network = TinyNetwork()
    for parameter in network.generator.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    deployed = DeployedNetwork(network, 1.7, FeatureCloud(np.random.default_rng(0).normal(size=(40, 96)))).eval()
    size = export_onnx(deployed, tmp_path / "model.onnx")
    assert 2e6 < size < 6e6
    session = open_session(tmp_path / "model.onnx")
    volumes = np.random.default_rng(1).normal(36, 15, (3, 24, 128, 128)).astype(np.float32)
    volumes[:, :, :8] = -1024
    check_parity(deployed, session, [volumes[:1], volumes])
    outputs = infer(session, volumes)
    assert np.allclose(outputs["probability"], 1 / (1 + np.exp(-outputs["logit"] / 1.7)), atol=1e-6)
    assert np.allclose(outputs["attention"].sum((1, 2, 3)), 1, atol=1e-4)


def test_the_out_of_distribution_score_is_one_at_home_and_grows_abroad():
    rng = np.random.default_rng(2)
    cloud = FeatureCloud(rng.normal(size=(500, 96)) * 3 + 5)

    at_home = cloud.scores(rng.normal(size=(50, 96)) * 3 + 5).mean()
    assert at_home == pytest.approx(1, abs=0.25)
    assert cloud.scores(np.full((1, 96), 60.0))[0] > 5 * at_home



def test_golden_weights_cover_averaging_interpolation_identity_uneven_slices_and_the_ends():
    cases = {case["purpose"]: np.array(case["weights"]) for case in weight_cases()}
    assert np.allclose(cases["equal grids"], np.eye(5))
    assert (np.count_nonzero(cases["thin samples averaged as thick ones"], axis=1) > 2).any()
    assert cases["beyond both ends"].sum(1).min() == 0
    assert np.allclose(cases["coarse samples interpolated"][4].sum(), 1)


def test_metadata_needs_a_model_file(tmp_path):
    from hemocast_training.bundle import write_metadata

    calibration = Calibration(1.0, 0.0, [[1.0, 0.0]], 0.5, {}, "none")
    training = {"parameters": 1, "cases": 1, "heads": [1], "minutes": 1, "pairs_seen": 1, "seed": 0, "device": "core", "network": {}}
    with pytest.raises(FileNotFoundError):
        write_metadata(tmp_path, "x", "0.0.1", calibration, 1.0, training)
