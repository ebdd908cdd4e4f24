"""The conditional pair: what a generator draws that is told the outcome, beside one that is not."""

import json
from pathlib import Path

import numpy as np
import torch
from synthetic import write_toy_cohort

from hemocast_training.__main__ import main
from hemocast_training.checkpoint import load_weights
from hemocast_training.conditional import BLEEDS, DOES_NOT, OutcomeHead, Trunk

from runtime import need_onnxruntime

BUNDLE = Path(__file__).resolve().parents[2] / "hemocast-tiny"


def test_before_training_both_outcomes_are_the_shipped_picture_and_the_outcome_can_change_it():
    network = load_weights(BUNDLE)
    trunk = Trunk(network)
    head = OutcomeHead(network.generator, network.config.decoder_widths[0]).eval()
    image = torch.from_numpy(np.random.default_rng(0).normal(36, 8, (1, 24, 128, 128)).astype(np.float32))
    features = trunk.features(image)
    with torch.no_grad():
        shipped = network(image).generated
        for outcome in (BLEEDS, DOES_NOT):
            assert torch.allclose(head(image, features, torch.tensor([outcome])), shipped)
        head.change.weight.normal_(0, 0.1)
        assert not torch.allclose(*(head(image, features, torch.tensor([outcome])) for outcome in (BLEEDS, DOES_NOT)))


def test_every_way_to_draw_is_measured_on_the_same_cases(tmp_path):
    need_onnxruntime()
    for name, count, head in (("train", 4, 1), ("test", 6, 13)):
        write_toy_cohort(tmp_path / name, count, seed=head, head=head)
    folders = ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--out", str(tmp_path / "pair.json")]
    assert main(["conditional", "--bundle", str(BUNDLE), *folders, "--pairs", "4", "--seeds", "1", "--resamples", "20"]) == 0
    found = json.loads((tmp_path / "pair.json").read_text())
    assert found["n"] == 6 and found["trainingPairs"] == 4
    assert set(found["pictures"]) == {"shipped", "untold", "outcome", "forecast", "mixture", "bleeds", "does_not"}
    assert found["pictures"]["untold"]["lesionMaeHuOverUntold"]["value"] == 0
    assert found["pictures"]["shipped"]["phMl"]["n"] == found["trueMl"]["ph"]["n"] > 0


def test_the_cohorts_share_no_head(tmp_path, capsys):
    for name in ("train", "test"):
        write_toy_cohort(tmp_path / name, 4, seed=1, head=1)
    folders = ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--out", str(tmp_path / "pair.json")]
    assert main(["conditional", "--bundle", str(BUNDLE), *folders, "--pairs", "4"]) == 1
    assert "shares the heads" in capsys.readouterr().err
