"""Networks of the literature beside ours: as many pairs for each, the same targets, the same cases."""

import json

import numpy as np
import pytest
import torch

from hemocast_training.__main__ import build_parser, main
from hemocast_training.bundle import read_metadata
from hemocast_training.data import Cohort
from hemocast_training.resident import Feed
from hemocast_training.rivals import AS_LONG, RIVALS, Painter, Training, train_rival

from runtime import need_monai, need_onnxruntime
from synthetic import write_toy_cohort
from test_shipped_bundle import BUNDLE


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The command on toy heads, and where it writes."""
    need_onnxruntime()
    need_monai()
    root = tmp_path_factory.mktemp("rivals")
    for name, count, head in (("train", 4, 1), ("validation", 20, 11), ("test", 20, 13)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    folders = [word for name in ("train", "validation", "test") for word in (f"--{name}", str(root / name))]
    options = ["--bundle", str(BUNDLE), "--out", str(root / "out"), "--pairs", "4", "--batch", "2", "--width", "4", "--resamples", "20"]
    return ["rivals", *folders, *options], root / "out"


@pytest.fixture(scope="module")
def found(command):
    words, out = command
    assert main(words) == 0
    return json.loads((out / "rivals.json").read_text())


def test_every_rival_is_measured_at_what_it_does_beside_the_bundle_and_beside_our_network_at_its_training(found):
    blocks = found["baselines"]
    assert set(blocks) == {*RIVALS, AS_LONG} and found["bundle"]["version"] == read_metadata(BUNDLE)["version"]
    for name, block in blocks.items():
        assert (block["n"], block["trainingPairs"], block["trainedOn"]["n"]) == (20, 4, 4)
        gains = [block["hemocastGain"], *([block["asLongGain"]] if name != AS_LONG else [])]
        assert {"auc" in figures for figures in (block, *gains)} == {name in ("resnet18_3d", AS_LONG)}
        assert {"lesionMaeRatio" in block, *("lesionMaeHu" in gain for gain in gains)} == {name != "resnet18_3d"}
    assert "asLongGain" not in blocks[AS_LONG]
    assert blocks["resnet18_3d"]["asLongGain"]["auc"]["value"] == pytest.approx(
        blocks[AS_LONG]["auc"]["value"] - blocks["resnet18_3d"]["auc"]["value"], abs=2e-4
    )
    assert blocks["resnet18_3d"]["parameters"] > 30 * blocks[AS_LONG]["parameters"]


def test_what_was_trained_is_measured_again_but_not_trained_again_and_the_others_figures_stay(command, found):
    words, out = command
    before = (out / "pix2pix-1.pt").read_bytes()
    assert main([*words, "--rivals", "pix2pix"]) == 0
    assert (out / "pix2pix-1.pt").read_bytes() == before
    assert json.loads((out / "rivals.json").read_text())["baselines"] == found["baselines"]


@pytest.mark.parametrize("option, value, told", [("--width", "8", "width 4, not 8"), ("--batch", "4", "batch 2, not 4"), ("--pairs", "6", "pairs 4, not 6")])
def test_a_network_that_was_trained_otherwise_is_not_taken_for_the_one_asked_for(command, found, option, value, told):
    arguments = build_parser("rivals").parse_args([*command[0], option, value])
    with pytest.raises(ValueError, match=told):
        train_rival("pix2pix", Cohort(arguments.train), arguments)


def test_heads_that_were_trained_on_are_refused_before_anything_is_trained(command, tmp_path, capsys):
    words, _ = command
    write_toy_cohort(tmp_path / "seen", 20, seed=1, head=1)
    for option in ("--validation", "--test"):
        assert main([*words, "--out", str(tmp_path / "out"), option, str(tmp_path / "seen")]) == 1
        assert f"{option} {tmp_path / 'seen'} shares the heads [1] with the training" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name, steps, share", [("unet_regression", 12, 0.7), ("pix2pix", 20, 0.98)])
def test_a_painter_comes_nearer_to_the_follow_up(name, steps, share, tmp_path):
    need_monai()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cohort = Cohort(write_toy_cohort(tmp_path / "train", 1, 1))
    training = Training(Painter(4), name, torch.device("cpu"), bf16=False)
    feed, batch, rng = Feed(cohort, torch.device("cpu")), cohort.batch([0]), np.random.default_rng(0)

    def error() -> float:
        with torch.no_grad():
            return float(((training.network(batch.image) - batch.follow_up).abs() * batch.inside).sum() / batch.inside.sum())

    start = error()
    for _ in range(steps):
        training.step(feed.batch([0], rng), 0.2)
    assert error() < share * start
