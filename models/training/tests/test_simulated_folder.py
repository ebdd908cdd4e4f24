"""The folder that `simulate` writes: what it holds is what cohort.json says, extended by rule, mended where it is damaged."""

import json

import numpy as np
import pytest

from hemocast_training import __version__
from hemocast_training.simulate import cohort as cohort_module
from hemocast_training.simulate.cohort import Recipe, simulate_cohort


@pytest.fixture()
def recipe(tmp_path, monkeypatch):
    """A recipe that costs nothing: shards of four pairs that hold little but their seeds; `recipe.made` counts them."""
    made = []

    def make_shard(recipe, seeds):
        made.append(len(seeds))
        one = np.ones(len(seeds), np.uint8)
        return {"recipe": np.array(recipe.name), "seed": np.array(seeds), "label": one, "bayes": one, "group": one, "head": one}

    monkeypatch.setattr(cohort_module, "SHARD_SIZE", 4)
    monkeypatch.setattr(cohort_module, "make_shard", make_shard)
    found = Recipe(tmp_path, tmp_path, "train")
    object.__setattr__(found, "made", made)
    return found


def simulate(recipe, out, count, seed=1):
    return simulate_cohort(recipe, seed, count, out, workers=1)


def test_a_cohort_grows_by_what_it_lacks_and_says_how_many_it_holds(recipe, tmp_path):
    assert simulate(recipe, tmp_path / "out", 6)["count"] == 6
    first = (tmp_path / "out" / "shard-0000.npz").stat().st_mtime_ns
    assert simulate(recipe, tmp_path / "out", 9)["count"] == 9
    assert recipe.made == [4, 2, 4, 1] and (tmp_path / "out" / "shard-0000.npz").stat().st_mtime_ns == first
    simulate(recipe, tmp_path / "straight", 9)
    for number in range(3):
        grown, straight = (np.load(tmp_path / name / f"shard-000{number}.npz")["seed"] for name in ("out", "straight"))
        assert np.array_equal(grown, straight)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_a_folder_that_holds_more_than_is_asked_for_is_left_alone_and_says_so(recipe, tmp_path, count):
    simulate(recipe, tmp_path / "out", 8)
    before = (tmp_path / "out" / "cohort.json").read_bytes()
    with pytest.raises(ValueError, match="more .*raise --count .* empty --out"):
        simulate(recipe, tmp_path / "out", count)
    assert (tmp_path / "out" / "cohort.json").read_bytes() == before and recipe.made == [4, 4]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cohort.json", "shard-0000.npz", "shard-0001.npz"]


def test_another_cohort_is_not_taken_for_the_beginning_of_this_one(recipe, tmp_path):
    simulate(recipe, tmp_path / "out", 3)
    with pytest.raises(ValueError, match="another cohort"):
        simulate(recipe, tmp_path / "out", 4, seed=2)
    with pytest.raises(ValueError, match="another cohort"):
        simulate(Recipe(tmp_path, tmp_path, "train", shift="low-dose"), tmp_path / "out", 4)
    with pytest.raises(ValueError, match="another cohort .* device"):
        simulate(Recipe(tmp_path, tmp_path, "train", device="cuda"), tmp_path / "out", 4)


def test_pairs_of_another_version_of_the_simulator_are_not_taken_for_this_one_s(recipe, tmp_path, monkeypatch):
    simulate(recipe, tmp_path / "out", 3)
    monkeypatch.setattr(cohort_module, "__version__", "99.0.0")
    with pytest.raises(ValueError, match=f"is of simulator {__version__}, this is 99.0.0; choose an empty --out"):
        simulate(recipe, tmp_path / "out", 4)
    with np.load(tmp_path / "out" / "shard-0000.npz") as shard:
        np.savez(tmp_path / "out" / "shard-0000.npz", **{key: shard[key] for key in shard if key != "simulator"})
    with pytest.raises(ValueError, match="is of simulator before 0.4.1"):
        simulate(recipe, tmp_path / "out", 4)


@pytest.mark.parametrize("kept", [0, 200])
def test_a_shard_that_was_cut_off_is_named_and_simulated_again(recipe, tmp_path, capsys, kept):
    simulate(recipe, tmp_path / "out", 8)
    shard = tmp_path / "out" / "shard-0001.npz"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:kept])
    assert simulate(recipe, tmp_path / "out", 8)["count"] == 8
    assert f"{shard} is cut off or damaged" in capsys.readouterr().err
    assert recipe.made == [4, 4, 4] and np.load(shard)["seed"].size == 4
    assert json.loads((tmp_path / "out" / "cohort.json").read_text())["case_seeds"] == [10_000_000, 10_000_007]
