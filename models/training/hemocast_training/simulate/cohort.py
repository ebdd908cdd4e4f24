"""The `simulate` command: a cohort of pairs as shards of .npz plus cohort.json; resumable, one process per --workers.

A shard holds, for n pairs: initial, follow_up int16 [n, 24, 128, 128] HU; aux uint8 [n, 6, 24, 32, 32]; label, group, kind
uint8 [n]; bayes float32 [n]; measures float32 [n, 6]; hours, weight float32 [n]; head int16 [n]; seed int64 [n]; and
the strings `recipe` and `simulator`, its version. Meaning and units: docs/simulator.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .. import DISCLAIMER, __version__
from ..anatomy import load_head
from ..device import choose_device
from ..labels import HEADS
from .pair import OUTCOME_KINDS, simulate_pair
from .patient import ALL_COMERS_MIX, CASE_MIX, MORE_BLOOD_MIX
from .severity import MEASURES
from .shifts import SHIFTS

SHARD_SIZE = 50
AUX_CHANNELS = ("iodine", "texture", "blood_initial", "blood_follow_up", "infarct", "ganglia")
PREVALENCES = {"thrombectomy": CASE_MIX, "all-comers": ALL_COMERS_MIX, "more-blood": MORE_BLOOD_MIX}
MORE_THAN_ASKED = "raise --count to at least as many, or choose an empty --out"
SEEDS_PER_COHORT = 10_000_000
SPLIT_OFFSET = {"train": 0, "validation": 4_000_000, "test": 7_000_000}


def case_seed(seed: int, split: str, index: int) -> int:
    """Seed of one pair: cohorts with different seeds, and the splits of one seed, never share a patient."""
    return seed * SEEDS_PER_COHORT + SPLIT_OFFSET[split] + index


def case_head(seed: int, split: str) -> int:
    """Which head of the split a pair is made from."""
    return int(np.random.default_rng([seed, 0]).choice(HEADS[split]))


def auxiliary_maps(pair: dict) -> np.ndarray:
    """uint8 [6, 24, 32, 32] (AUX_CHANNELS): means over 4 x 4 voxels; HU as they are, fractions times 255.

    `texture` is the standard deviation of iodine HU over those 4 x 4 voxels.
    """
    blocks = lambda layer: layer.reshape(24, 32, 4, 32, 4)
    maps = []
    for name in AUX_CHANNELS:
        if name == "texture":
            maps.append(blocks(pair["iodine"]).std(axis=(2, 4)))
        else:
            maps.append(blocks(pair[name]).mean(axis=(2, 4)) * (1.0 if name == "iodine" else 255.0))
    return np.clip(np.rint(np.stack(maps)), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Recipe:
    """What a cohort is made of, and where it is computed. prevalence: a key of PREVALENCES; shift: a key of SHIFTS."""

    anatomy: Path
    cache: Path
    split: str
    prevalence: str = "thrombectomy"
    shift: str = "none"
    device: str = "cpu"

    @property
    def name(self) -> str:
        """What tells apart cohorts that have the same seeds: a GPU rounds otherwise than a CPU."""
        return ", ".join([self.prevalence, self.shift, *([] if self.device == "cpu" else [self.device])])


def case_weight(recipe: Recipe, group: int) -> float:
    """How much a patient drawn of `group` counts in training: the group's share among patients over its share in a `more-blood`
    cohort, so that of more blood it is not learned that there is more; 1 in every other cohort."""
    return CASE_MIX[group] / MORE_BLOOD_MIX[group] if recipe.prevalence == "more-blood" else 1.0


def prepare_head(recipe: Recipe, number: int) -> None:
    """Builds a head into the cache, unless it is there."""
    load_head(recipe.anatomy, number, recipe.cache)


def make_shard(recipe: Recipe, seeds: list[int]) -> dict[str, np.ndarray]:
    """Simulate the pairs of one shard; pairs of one head are made together, so that one head is in memory at a time."""
    torch.set_num_threads(1)
    heads = [case_head(seed, recipe.split) for seed in seeds]
    rows: list[dict | None] = [None] * len(seeds)
    for number in sorted(set(heads)):
        head = replace(load_head(recipe.anatomy, number, recipe.cache), device=torch.device(recipe.device))
        for index in (i for i, h in enumerate(heads) if h == number):
            pair, case = simulate_pair(head, seeds[index], PREVALENCES[recipe.prevalence], SHIFTS[recipe.shift])
            outcome = pair["outcome"]
            unseen = np.full(len(MEASURES), np.nan)
            rows[index] = {
                "initial": np.rint(pair["initial"]).astype(np.int16),
                "follow_up": np.rint(pair["follow_up"]).astype(np.int16),
                "aux": auxiliary_maps(pair),
                "label": np.uint8(outcome.label),
                "bayes": np.float32(outcome.probability),
                "group": np.uint8(outcome.group),
                "kind": np.uint8(OUTCOME_KINDS.index(outcome.kind)),
                "measures": (unseen if outcome.measures is None else outcome.measures).astype(np.float32),
                "hours": np.float32(case.patient.hours),
                "weight": np.float32(case_weight(recipe, case.patient.group)),
                "head": np.int16(number),
                "seed": np.int64(seeds[index]),
            }
    return {"recipe": np.array(recipe.name), **{key: np.stack([row[key] for row in rows]) for key in rows[0]}}


def write_shard(recipe: Recipe, seeds: list[int], path: Path) -> int:
    """Simulate and write one shard; the file appears only when complete. Returns the number of pairs."""
    shard = {"simulator": np.array(__version__), **make_shard(recipe, seeds)}
    partial = path.with_suffix(".partial.npz")
    # An .npz at the quickest compression: noise hardly gets smaller at the default one, which takes three times as long.
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, values in shard.items():
            with archive.open(key + ".npy", "w") as file:
                np.lib.format.write_array(file, values)
    partial.replace(path)
    return len(seeds)


def simulate_cohort(recipe: Recipe, seed: int, count: int, out: Path, workers: int) -> dict:
    """Write the cohort's missing shards and its cohort.json; returns the latter.

    A folder may be extended: a shard that holds the first of its pairs is simulated again with all of them. ValueError, before anything
    is written, where the folder holds another cohort, or more pairs than `count`.
    """
    out.mkdir(parents=True, exist_ok=True)
    jobs = []
    for number, start in enumerate(range(0, count, SHARD_SIZE)):
        path = out / ("shard-%04d.npz" % number)
        seeds = [case_seed(seed, recipe.split, i) for i in range(start, min(start + SHARD_SIZE, count))]
        jobs.append((path, seeds))
    beyond = sorted({path.name for path in out.glob("shard-????.npz")} - {path.name for path, _ in jobs})
    if beyond:
        raise ValueError("%s holds more than %d pairs (%s): %s" % (out, count, beyond[0], MORE_THAN_ASKED))
    todo = [(path, seeds) for path, seeds in jobs if not _is_complete(path, seeds, recipe)]
    done = count - sum(len(seeds) for _, seeds in todo)
    with tqdm(total=count, initial=done, unit="pair", desc="simulate %s" % recipe.split, smoothing=0.05) as bar:
        if workers <= 1:
            for path, seeds in todo:
                bar.update(write_shard(recipe, seeds, path))
        else:
            # A forked process cannot use a GPU that its parent has looked at.
            context = get_context("fork" if recipe.device == "cpu" else "spawn")
            with ProcessPoolExecutor(workers, context) as pool:
                heads = sorted({case_head(seed, recipe.split) for _, seeds in todo for seed in seeds})
                list(pool.map(prepare_head, [recipe] * len(heads), heads))  # each is built once, not by every process
                tasks = [pool.submit(write_shard, recipe, seeds, path) for path, seeds in todo]
                for task in as_completed(tasks):
                    bar.update(task.result())
    return _describe(out, [path for path, _ in jobs], recipe, seed)


def _is_complete(path: Path, seeds: list[int], recipe: Recipe) -> bool:
    """Whether the shard is there with all of its pairs; one that cannot be read counts as absent, and is written anew."""
    if not path.is_file():
        return False
    try:
        with np.load(path) as shard:
            found = shard["seed"].tolist()
            name, version = (str(shard[key]) if key in shard else None for key in ("recipe", "simulator"))
    except (zipfile.BadZipFile, EOFError, ValueError):
        tqdm.write("%s is cut off or damaged: it is simulated again" % path, file=sys.stderr)
        return False
    shorter = min(len(found), len(seeds))
    if found[:shorter] != seeds[:shorter] or name != recipe.name:
        raise ValueError("%s belongs to another cohort (its seeds, prevalence, shift or device differ); choose an empty --out" % path)
    if version != __version__:
        raise ValueError("%s is of simulator %s, this is %s; choose an empty --out" % (path, version or "before 0.4.1", __version__))
    if len(found) > len(seeds):
        raise ValueError("%s holds more pairs than are wanted of it: %s" % (path, MORE_THAN_ASKED))
    return len(found) == len(seeds)


def ceiling(bayes: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """What a reader who knew the true probability would score: AUC on these labels, and expected accuracy."""
    from sklearn.metrics import roc_auc_score

    auc = float(roc_auc_score(label, bayes)) if 0 < label.mean() < 1 else float("nan")
    return {"auc": auc, "accuracy": float(((bayes > 0.5) == label).mean()),
            "expected_accuracy": float(np.maximum(bayes, 1 - bayes).mean())}


def _describe(out: Path, paths: list[Path], recipe: Recipe, seed: int) -> dict:
    columns = {key: [] for key in ("label", "bayes", "group", "head", "seed")}
    for path in paths:
        with np.load(path) as shard:
            for key in columns:
                columns[key].append(shard[key])
    columns = {key: np.concatenate(parts) for key, parts in columns.items()}
    note = {
        "disclaimer": DISCLAIMER,
        "command": "python3 -m hemocast_training " + " ".join(shlex.quote(word) for word in sys.argv[1:]),
        "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "split": recipe.split,
        "prevalence_mix": recipe.prevalence,
        "shift": recipe.shift,
        "device": recipe.device,
        "seed": seed,
        "count": int(columns["label"].size),
        "case_seeds": [int(columns["seed"].min()), int(columns["seed"].max())],
        "heads": {str(h): int(n) for h, n in zip(*np.unique(columns["head"], return_counts=True))},
        "groups": {name: int((columns["group"] == g).sum()) for g, name in enumerate(("none", "stain only", "blood visible"))},
        "prevalence": float(columns["label"].mean()),
        "ceiling": ceiling(columns["bayes"], columns["label"]),
    }
    partial = out / "cohort.partial.json"  # `train` may be reading
    partial.write_text(json.dumps(note, indent=2) + "\n")
    partial.replace(out / "cohort.json")
    return note


def default_cache() -> Path:
    """Where built heads are kept between runs."""
    return Path.home() / ".cache" / "hemocast" / "anatomy"


def add_anatomy_arguments(parser: argparse.ArgumentParser) -> None:
    """The two options of every command that needs heads."""
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the SynthSeg training label maps")
    parser.add_argument("--anatomy-cache", type=Path, default=default_cache(), help="where built heads are kept")


def add_parser(subparsers) -> None:
    """`simulate`."""
    parser = subparsers.add_parser("simulate", help="simulate a cohort of scan pairs")
    add_anatomy_arguments(parser)
    parser.add_argument("--split", choices=[*HEADS, "all"], default="train", help="which heads")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="number of pairs (for each split when --split all)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards (a folder per split when --split all)")
    parser.add_argument("--prevalence", choices=list(PREVALENCES), default="thrombectomy",
                        help="case mix: the published series after thrombectomy (51 %% bleed), all comers (35 %%), or "
                             "twice the blood for training")
    parser.add_argument("--shift", choices=list(SHIFTS), default="none", help="a departure from the training cohort (docs)")
    parser.add_argument("--workers", type=int, default=1, help="processes; each uses one thread and about 1 GB")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu",
                        help="where anatomy and lesions are computed; noise and blur stay on the CPU")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `simulate`."""
    if arguments.count < 1:
        raise ValueError("--count must be at least 1")
    device = choose_device(arguments.device).type
    splits = list(HEADS) if arguments.split == "all" else [arguments.split]
    for split in splits:
        out = arguments.out / split if arguments.split == "all" else arguments.out
        recipe = Recipe(arguments.anatomy, arguments.anatomy_cache, split, arguments.prevalence, arguments.shift, device)
        note = simulate_cohort(recipe, arguments.seed, arguments.count, out, arguments.workers)
        print("%s: %d pairs, prevalence %.2f, ceiling AUC %.3f, accuracy %.3f" % (
            out, note["count"], note["prevalence"], note["ceiling"]["auc"], note["ceiling"]["accuracy"]))
    return 0
