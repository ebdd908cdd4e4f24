"""What the parts of the network are worth: every variant sees as many pairs, and is measured on the same cases."""

import json

import numpy as np
import pytest
from synthetic import write_toy_cohort

from hemocast_training.__main__ import main
from hemocast_training.checkpoint import load_network


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Three variants of one seed, four pairs each, on six toy cases."""
    root = tmp_path_factory.mktemp("ablate")
    for name, count, head in (("train", 4, 1), ("validation", 2, 11), ("test", 6, 13)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    folders = [word for name in ("train", "validation", "test") for word in (f"--{name}", str(root / name))]
    variants = ["full", "classification_only", "generation_only"]
    options = ["--out", str(root / "runs"), "--pairs", "4", "--seeds", "1", "--resamples", "20", "--variants"]
    assert main(["ablate", *folders, *options, *variants]) == 0
    return root


def test_every_variant_sees_the_same_number_of_pairs(measured):
    for variant in ("full", "classification_only", "generation_only"):
        _, state = load_network(measured / "runs" / f"{variant}-1")
        assert state["history"][-1]["pairs_seen"] == 4


def test_a_task_that_was_not_trained_has_no_figure(measured):
    blocks = json.loads((measured / "runs" / "ablations.json").read_text())
    assert set(blocks) == {"full", "classification_only", "generation_only"}
    assert "auc" in blocks["classification_only"] and "lesionMaeRatio" not in blocks["classification_only"]
    assert "lesionMaeRatio" in blocks["generation_only"] and "auc" not in blocks["generation_only"]
    assert blocks["full"]["aucOverFull"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_one_task_alone_leaves_the_other_head_untrained(measured):
    forecaster, _ = load_network(measured / "runs" / "classification_only-1")
    assert not np.any(forecaster.generator.gates.weight.detach().numpy()), "zero, as it was at the start"
    painter, _ = load_network(measured / "runs" / "generation_only-1")
    assert np.any(painter.generator.gates.weight.detach().numpy())


def test_runs_of_other_pairs_are_not_taken_for_those_asked_for(measured, capsys):
    folders = [word for name in ("train", "validation", "test") for word in (f"--{name}", str(measured / name))]
    options = ["--out", str(measured / "runs"), "--seeds", "1", "--variants", "full"]
    before = (measured / "runs" / "ablations.json").read_bytes()
    for pairs in ("2", "8"):
        assert main(["ablate", *folders, *options, "--pairs", pairs]) == 1
        assert f"holds a run of --pairs 4, not {pairs}" in capsys.readouterr().err
    assert main(["ablate", *folders, *options, "--pairs", "4", "--batch", "2"]) == 1
    assert "--batch 4, not with --batch 2" in capsys.readouterr().err
    assert (measured / "runs" / "ablations.json").read_bytes() == before


def test_without_the_full_network_there_is_nothing_to_compare_with(measured, capsys):
    words = ["--train", "a", "--validation", "b", "--test", "c", "--out", "d", "--pairs", "4", "--variants", "no_gradnorm"]
    assert main(["ablate", *words]) == 1
    assert "'full'" in capsys.readouterr().err
