"""The conditional pictures: what a generator draws that is told the kind of outcome, beside one that is not."""

import json
from pathlib import Path

import numpy as np
import torch
from synthetic import write_toy_cohort

from hemocast_training.__main__ import main
from hemocast_training.checkpoint import load_weights
from hemocast_training.conditional import UNTOLD, OutcomeHead, Trunk, fit, remember, told
from hemocast_training.data import KINDS, Cohort

BUNDLE = Path(__file__).resolve().parents[2] / "hemocast-tiny"


def test_before_training_every_kind_is_the_shipped_picture_and_the_kind_can_change_it():
    network = load_weights(BUNDLE)
    head = OutcomeHead(network.config.decoder_widths[0]).eval()
    image = torch.from_numpy(np.random.default_rng(0).normal(36, 8, (1, 24, 128, 128)).astype(np.float32))
    features, _ = Trunk(network).look(image)
    with torch.no_grad():
        for outcome in (UNTOLD, *(told(kind) for kind in KINDS)):
            assert (head(features, outcome) == 0).all()
        head.change.weight.normal_(0, 0.1)
        assert not torch.allclose(*(head(features, told(kind)) for kind in ("none", "PH")))


def test_who_is_told_the_kind_learns_to_draw_it(tmp_path):
    """Four toy pairs, half of which bleed, seen a few times: what is told is not left unused."""
    cohort, network = Cohort(str(write_toy_cohort(tmp_path, 4, seed=3))), load_weights(BUNDLE)
    kinds = cohort.values("kind")
    assert set(kinds) == {0, 2}
    seen = remember(Trunk(network), cohort)
    heads = fit(seen, kinds, 1, 160)
    case = seen[int((kinds == 2).argmax())]
    blood = (case.missing.abs() > 5) & (case.weight > 0)
    with torch.no_grad():
        drawn = {kind: float(heads["told"](case.features.float(), told(kind))[blood].mean()) for kind in ("none", "PH")}
    # Told nothing, both would be the same; how far apart they are depends on what the shipped picture already has of the toy.
    assert drawn["PH"] > drawn["none"] + 1.5, drawn


def test_every_way_to_draw_is_measured_on_the_same_cases(tmp_path):
    for name, count, head in (("train", 4, 1), ("test", 6, 13)):
        write_toy_cohort(tmp_path / name, count, seed=head, head=head)
    folders = ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--out", str(tmp_path / "pair.json")]
    assert main(["conditional", "--bundle", str(BUNDLE), *folders, "--pairs", "4", "--seeds", "1", "--resamples", "20"]) == 0
    found = json.loads((tmp_path / "pair.json").read_text())
    assert found["n"] == 6 and found["trainingPairs"] == 4
    assert set(found["pictures"]) == {"shipped", "untold", "outcome", "none", "petechial", "hematoma"}
    assert found["pictures"]["untold"]["lesionMaeHuOverUntold"]["value"] == 0
    assert found["pictures"]["shipped"]["phMl"]["n"] == found["trueMl"]["ph"]["n"] > 0


def test_the_cohorts_share_no_head(tmp_path, capsys):
    for name in ("train", "test"):
        write_toy_cohort(tmp_path / name, 4, seed=1, head=1)
    folders = ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--out", str(tmp_path / "pair.json")]
    assert main(["conditional", "--bundle", str(BUNDLE), *folders, "--pairs", "4"]) == 1
    assert "shares the heads" in capsys.readouterr().err
