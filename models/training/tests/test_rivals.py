"""Networks of the literature beside ours: as many pairs for each, the same targets, the same cases."""

import json

import numpy as np
import pytest
import torch

from hemocast_training.__main__ import main
from hemocast_training.bundle import read_metadata
from hemocast_training.data import Cohort
from hemocast_training.resident import Feed
from hemocast_training.rivals import RIVALS, Painter, Training

from runtime import need_onnxruntime
from synthetic import write_toy_cohort
from test_shipped_bundle import BUNDLE


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The command on toy heads, and where it writes."""
    need_onnxruntime()
    root = tmp_path_factory.mktemp("rivals")
    for name, count, head in (("train", 4, 1), ("validation", 20, 11), ("test", 20, 13)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    folders = [word for name in ("train", "validation", "test") for word in (f"--{name}", str(root / name))]
    options = ["--bundle", str(BUNDLE), "--out", str(root / "out"), "--batch", "2", "--width", "4", "--resamples", "20"]
    return ["rivals", *folders, *options], root / "out"


@pytest.fixture(scope="module")
def found(command):
    words, out = command
    assert main([*words, "--pairs", "4"]) == 0
    return json.loads((out / "rivals.json").read_text())


def test_every_rival_is_measured_at_what_it_does_beside_the_bundle_on_the_same_cases(found):
    blocks = found["baselines"]
    assert set(blocks) == set(RIVALS) and found["bundle"]["version"] == read_metadata(BUNDLE)["version"]
    for name, block in blocks.items():
        assert (block["n"], block["trainingPairs"], block["trainedOn"]["n"]) == (20, 4, 4)
        assert ("auc" in block) == ("auc" in block["hemocastGain"]) == (name in ("resnet18_3d", "tiny_as_long"))
        assert ("lesionMaeRatio" in block) == ("lesionMaeHu" in block["hemocastGain"]) == (name != "resnet18_3d")
    assert blocks["resnet18_3d"]["parameters"] > 30 * blocks["tiny_as_long"]["parameters"]


def test_what_was_trained_is_measured_again_but_not_trained_again(command, found, capsys):
    words, out = command
    before = (out / "pix2pix-1.pt").read_bytes()
    assert main([*words, "--pairs", "4", "--rivals", "pix2pix"]) == 0
    assert (out / "pix2pix-1.pt").read_bytes() == before
    assert json.loads((out / "rivals.json").read_text())["baselines"]["pix2pix"] == found["baselines"]["pix2pix"]
    assert main([*words, "--pairs", "6", "--rivals", "pix2pix"]) == 1
    assert "has seen 4 pairs, not 6" in capsys.readouterr().err


@pytest.mark.parametrize("name, steps, share", [("unet_regression", 12, 0.7), ("pix2pix", 30, 0.95)])
def test_a_painter_comes_nearer_to_the_follow_up(name, steps, share, tmp_path):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cohort = Cohort(write_toy_cohort(tmp_path / "train", 2, 1))
    training = Training(Painter(4), name, torch.device("cpu"), bf16=False)
    feed, batch, rng = Feed(cohort, torch.device("cpu")), cohort.batch([0, 1]), np.random.default_rng(0)

    def error() -> float:
        with torch.no_grad():
            return float(((training.network(batch.image) - batch.follow_up).abs() * batch.inside).sum() / batch.inside.sum())

    start = error()
    for _ in range(steps):
        training.step(feed.batch([0, 1], rng), 0.2)
    assert error() < share * start
