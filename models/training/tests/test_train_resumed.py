"""What a run is held to when it goes on: the same numbers as without a stop, the same options, and what a folder must hold for it."""

import json
import shutil

import pytest
import torch

from hemocast_training.__main__ import main
from hemocast_training.checkpoint import lighten, load_start
from hemocast_training.data import Cohort
from hemocast_training.network import NetworkConfig, TinyNetwork
from hemocast_training.train import Budget, Trainer

from synthetic import write_toy_cohort

SMALL = NetworkConfig(widths=(8, 8, 8), decoder_widths=(8, 8, 8), token_dim=12, heads=3, blocks=1)
OPTIONS = {"seed": 3, "batch": 2, "epoch_pairs": 12, "rate": 1e-3, "device": "cpu", "average": 0.9}
WHOLE = Budget(pairs=24)


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("cohorts")
    for name, count, head in (("train", 12, 1), ("validation", 4, 11)):
        write_toy_cohort(root / name, count, seed=head, head=head)
    made = {"version": "0.2.0", "created": "2026-01-01", "split": "train", "shift": "none", "seed": 7, "count": 12, "heads": {}}
    (root / "train" / "cohort.json").write_text(json.dumps(made))
    return root


def trainer(cohorts, out, **changed):
    """A run of a small network on the toy cohorts, begun or continued."""
    train, validation = Cohort(cohorts / "train"), Cohort(cohorts / "validation")
    return Trainer(train, validation, out, SMALL, {**OPTIONS, **changed})


@pytest.fixture(scope="module")
def whole(cohorts, tmp_path_factory):
    """A run of two epochs in one go."""
    out = tmp_path_factory.mktemp("whole")
    trainer(cohorts, out).train(WHOLE)
    return out


def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def tensors(state, path=""):
    """(path, tensor) of everything in nested dicts and lists; other values as they are."""
    if isinstance(state, dict):
        state = sorted(state.items(), key=lambda item: str(item[0]))
    elif isinstance(state, (list, tuple)):
        state = list(enumerate(state))
    else:
        return [(path, state)]
    return [found for key, value in state for found in tensors(value, f"{path}/{key}")]


def test_two_epochs_with_a_stop_between_them_are_the_two_epochs_bit_for_bit(cohorts, whole, tmp_path, monkeypatch):
    save = Trainer.save

    def save_and_stop(self):
        save(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "save", save_and_stop)
        trainer(cohorts, tmp_path).train(WHOLE)
    assert torch.load(tmp_path / "checkpoint.pt")["progress"][:3] == [6, 1, 12]
    torch.manual_seed(99)
    trainer(cohorts, tmp_path).train(WHOLE)
    straight, stopped = (torch.load(folder / "checkpoint.pt") for folder in (whole, tmp_path))
    assert straight["progress"][:3] == stopped["progress"][:3] == [12, 2, 24]
    assert straight["gradnorm"]["updates"] == 2
    for part in ("model", "average", "optimizer", "gradnorm", "rng", "torch_rng"):
        for (name, first), (other, second) in zip(tensors(straight[part]), tensors(stopped[part])):
            equal = torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
            assert name == other and equal, f"{part}{name}"
    for first, second in zip(straight["history"], stopped["history"]):
        assert {**first, "minutes": 0} == {**second, "minutes": 0}


def test_the_configuration_says_how_the_cohorts_were_simulated_and_not_only_where_they_lay(whole):
    cohorts = json.loads((whole / "config.json").read_text())["cohorts"]
    told = {"version": "0.2.0", "created": "2026-01-01", "split": "train", "shift": "none", "seed": 7, "count": 12}
    assert cohorts == {"train": told, "validation": {}}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"rate": 2e-3}, "--rate 0.001, not with --rate 0.002"),
        ({"seed": 4}, "--seed 3, not with --seed 4"),
        ({"bf16": True}, "no --bf16, not with --bf16"),
        ({"no_gradnorm": True}, "no --no-gradnorm, not with --no-gradnorm"),
        ({"start": "elsewhere"}, "no --start, not with --start elsewhere"),
    ],
)
def test_a_run_is_not_continued_with_other_options_and_its_configuration_stays(cohorts, whole, changed, said):
    before = (whole / "config.json").read_bytes()
    with pytest.raises(ValueError, match=f"{said}: .* another --out"):
        trainer(cohorts, whole, **changed)
    assert (whole / "config.json").read_bytes() == before


def test_a_run_is_continued_with_another_budget_elsewhere_and_its_start_said_again(cohorts, whole, tmp_path):
    first = trainer(cohorts, tmp_path / "run", start=str(whole), pairs=2)
    first.train(Budget(pairs=2))
    moved = shutil.copytree(cohorts, tmp_path / "moved")
    elsewhere = {"train": str(moved), "validate": 2, "threads": 2, "readers": 0, "pairs": 4, "minutes": 9.0}
    again = trainer(moved, tmp_path / "run", start=str(whole), **elsewhere)
    assert again.steps == 1 and again.origin == first.origin
    again.train(Budget(pairs=4))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["start"]["name"] == whole.name


def test_heads_of_the_part_before_a_stop_stay_heads_that_were_trained_on(cohorts, whole, tmp_path):
    other = tmp_path / "cohorts"
    write_toy_cohort(other / "train", 12, seed=2, head=2)
    shutil.copytree(cohorts / "validation", other / "validation")
    again = trainer(other, copied(whole, tmp_path))
    again.save()
    assert torch.load(tmp_path / "copy" / "checkpoint.pt")["heads"] == [1, 2]


def test_weights_alone_begin_a_run_and_do_not_continue_one(cohorts, whole, tmp_path):
    folder = copied(whole, tmp_path)
    lighten(folder).replace(folder / "checkpoint.pt")
    with pytest.raises(ValueError, match="choose another --out; --start begins"):
        trainer(cohorts, folder)
    assert trainer(cohorts, tmp_path / "run", start=str(folder)).origin["name"] == "copy"


@pytest.mark.parametrize("kept", [0, 1000, 0.5])
def test_a_checkpoint_that_was_cut_off_is_said_to_be(cohorts, whole, tmp_path, kept):
    path = copied(whole, tmp_path) / "checkpoint.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    with pytest.raises(ValueError, match="checkpoint.pt cannot be read, it is cut off or damaged"):
        trainer(cohorts, tmp_path / "copy")
    with pytest.raises(ValueError, match="cut off or damaged"):
        load_start(tmp_path / "copy")


def test_a_network_that_has_seen_patients_begins_a_finetuning_and_no_run_that_calls_itself_simulated(cohorts, tmp_path):
    start = {"name": "hemocast-tiny", "version": "0.4.0", "training_data": "simulated pairs."}
    site = {"out_of_fold": {"patients": torch.tensor([1, 1, 2])}, "training": {"start": start}}
    state = {"network_config": SMALL.to_json(), "average": TinyNetwork(SMALL).state_dict(), "site": site}
    torch.save(state, tmp_path / "checkpoint.pt")
    said = "The site's own pairs: 3 scan pairs of 2 patients. Started from hemocast-tiny 0.4.0: simulated pairs."
    assert load_start(tmp_path)[1]["training_data"] == said
    with pytest.raises(ValueError, match="learned from a hospital's pairs.*finetune --from"):
        trainer(cohorts, tmp_path / "run", start=str(tmp_path))


@pytest.mark.parametrize(
    "options, said",
    [
        (["--minutes", "-1"], "--minutes -1"),
        (["--minutes", "0"], "--minutes 0"),
        (["--pairs", "0"], "--pairs 0"),
        (["--pairs", "4", "--batch", "0"], "--batch 0"),
        (["--pairs", "4", "--passes", "0"], "--passes 0"),
        (["--pairs", "4", "--epoch-pairs", "3"], "--epoch-pairs 3 is less than --batch 4"),
    ],
)
def test_options_with_which_a_run_would_never_begin_or_never_end_are_refused_by_name(tmp_path, capsys, options, said):
    nowhere = ["--train", str(tmp_path / "a"), "--validation", str(tmp_path / "b"), "--out", str(tmp_path / "c")]
    assert main(["train", *nowhere, *options]) == 1
    assert said in capsys.readouterr().err


def test_heads_that_are_trained_on_do_not_validate_even_if_they_appear_later(cohorts, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    for name, head in (("train", 1), ("validation", 11)):
        write_toy_cohort(shared / name, 2, seed=head, head=head, per_shard=2)
    run = trainer(shared, tmp_path / "run")
    write_toy_cohort(shared / "more", 4, seed=5, head=11, per_shard=2)
    (shared / "more" / "shard-0001.npz").rename(shared / "train" / "shard-0001.npz")
    with pytest.raises(ValueError, match=r"--validation .* shares the heads \[11\] with the training"):
        run.train(WHOLE)
    assert not (tmp_path / "run" / "checkpoint.pt").exists() and not (tmp_path / "run" / "config.json").exists()


def test_neither_calibration_nor_the_start_check_uses_heads_that_were_trained_on(cohorts, whole, tmp_path, capsys):
    for name, head in (("seen", 1), ("unseen", 12)):
        write_toy_cohort(tmp_path / name, 20, seed=head, head=head)
    common = ["export", "--run", str(whole), "--train", str(cohorts / "train"), "--out", str(tmp_path / "bundle"), "--version", "1.0.0"]
    for option, other in (("--validation", "--test"), ("--test", "--validation")):
        assert main([*common, option, str(tmp_path / "seen"), other, str(tmp_path / "unseen")]) == 1
        assert f"{option} {tmp_path / 'seen'} shares the heads [1] with the training" in capsys.readouterr().err
    assert main(["average", "--runs", str(whole), "--validation", str(tmp_path / "seen"), "--out", str(tmp_path / "mean")]) == 1
    assert "shares the heads [1]" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists() and not (tmp_path / "mean").exists()
