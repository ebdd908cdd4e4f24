"""The `montage` command: pairs of a cohort side by side, to be looked at. They must pass for CTs.

The patients are the first of `simulate --split SPLIT --seed SEED` that show what was asked for (`--show`), in equal
parts: chosen by rule, not by their looks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from tqdm import tqdm  # noqa: E402

from .anatomy import Head, load_head  # noqa: E402
from .labels import HEADS  # noqa: E402
from .plots import finish  # noqa: E402
from .simulate.cohort import add_anatomy_arguments, case_head, case_seed  # noqa: E402
from .simulate.pair import MODEL_VOXEL_ML, OUTCOME_KINDS, simulate_pair  # noqa: E402
from .simulate.patient import BLOOD, GROUP_NAMES, NONE, STAIN, Patient, draw_patient  # noqa: E402
from .simulate.shifts import Shift  # noqa: E402

PAIRS_PER_ROW = 2
WINDOW_HU = (0.0, 80.0)  # width 80, level 40
GREYS = 64  # more would only store the noise more exactly, in twice the bytes
KINDS = {"none": "no hemorrhage", "HI": "hemorrhagic infarction", "PH": "parenchymal hematoma"}
LARGE_ML = 8.0  # from here on lobes can be told apart on 5 mm slices; smaller hematomas have no fluid level
VENTRICULAR_ML = 0.5


@dataclass(frozen=True)
class Sight:
    """What a pair is chosen for. drawn: asked of the patient, before anything is simulated; seen: asked of the pair."""

    name: str
    drawn: Callable[[Patient], bool]
    seen: Callable[[dict], bool] = lambda pair: True


def _hematoma(patient: Patient) -> bool:
    return patient.group == BLOOD and not patient.patchy and patient.blood_ml > LARGE_ML


def _plain_hematoma(patient: Patient) -> bool:
    return _hematoma(patient) and not patient.fluid_level and not patient.into_ventricle


def _in_group(group: int) -> Callable[[Patient], bool]:
    return lambda patient: patient.group == group


def _shows(group: int, kinds: tuple[str, ...] = OUTCOME_KINDS) -> Callable[[dict], bool]:
    return lambda pair: pair["outcome"].group == group and pair["outcome"].kind in kinds


SIGHTS = {
    "groups": [Sight(GROUP_NAMES[group], _in_group(group), _shows(group)) for group in (NONE, STAIN, BLOOD)],
    # What the captions say of blood is what the initial CT shows; each shows one thing where it can.
    "hematomas": [
        Sight("lobulated hematoma", _plain_hematoma),
        Sight("with fluid level", lambda patient: _hematoma(patient) and patient.fluid_level and not patient.into_ventricle),
        Sight(
            "into the ventricle",
            lambda patient: _hematoma(patient) and patient.into_ventricle,
            lambda pair: pair["ventricular"].sum() * MODEL_VOXEL_ML > VENTRICULAR_ML,
        ),
        Sight("blood in patches", lambda patient: patient.group == BLOOD and patient.patchy),
        Sight("staining", _in_group(STAIN), _shows(STAIN, ("HI",))),
        Sight("staining", _in_group(STAIN), _shows(STAIN, ("PH",))),
    ],
}

SPARED = Shift(
    "spared-ventricles", "Blood stays out of the ventricles.",
    lambda patient, protocol, pose, random: (replace(patient, into_ventricle=False), protocol, pose),
)


def simulate_sight(head: Head, seed: int, patient: Patient) -> dict:
    """The pair, with `ventricular`: the fraction of blood that broke into the ventricles initially.

    The truth has one map for all blood, so the same patient is simulated once more with the ventricles spared.
    """
    pair, _ = simulate_pair(head, seed, to_look_at=True)
    pair["ventricular"] = np.zeros_like(pair["blood_initial"])
    if patient.into_ventricle and _hematoma(patient):
        pair["ventricular"] = pair["blood_initial"] - simulate_pair(head, seed, shift=SPARED)[0]["blood_initial"]
    return pair


def choose_slice(pair: dict) -> int:
    """The slice with most of the lesion: of blood in the ventricles, of the initial CT's blood, of blood and iodine of both
    scans, or of the basal ganglia where there is none of them."""
    both = pair["iodine"] / 25.0 + pair["blood_initial"] + pair["blood_follow_up"]
    for shown, least in ((pair["ventricular"], 10.0), (pair["blood_initial"], 50.0), (both, 50.0), (pair["ganglia"], 0.0)):
        amount = shown.sum(axis=(1, 2))
        if amount.max() > least:
            return int(amount.argmax())
    return int(amount.argmax())


def caption(number: int, sight: Sight, pair: dict) -> str:
    """Patient, what the initial CT shows, what happened, and the probability it was drawn with."""
    outcome = pair["outcome"]
    return "%d  %s, then %s (p %.2f)" % (number, sight.name, KINDS[outcome.kind], outcome.probability)


def draw_montage(rows: list[tuple[str, np.ndarray, np.ndarray]], path: Path) -> None:
    """Write the PNG. rows: caption, and one slice of the initial and of the follow-up CT, HU [128, 128]."""
    lines = -(-len(rows) // PAIRS_PER_ROW)
    figure, grid = plt.subplots(lines, 2 * PAIRS_PER_ROW, figsize=(9, 2.45 * lines + 0.3), squeeze=False)
    for axes in grid.ravel():
        axes.axis("off")
    for index, (text, *images) in enumerate(rows):
        line, pair = divmod(index, PAIRS_PER_ROW)
        for column, (title, image) in enumerate(zip((text, "follow-up"), images)):
            axes = grid[line, 2 * pair + column]
            axes.imshow(image, cmap=plt.get_cmap("gray", GREYS), vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], interpolation="bilinear")
            if column == 0:
                axes.set_title(title, fontsize=7, loc="left")
            else:
                axes.set_title(title, fontsize=7, loc="right", color="0.4")
    finish(figure, path, dpi=100)
    with Image.open(path) as picture:
        grey = picture.convert("L")
    grey.save(path, optimize=True)


def make_rows(
    anatomy: Path, cache: Path, split: str, seed: int, count: int, show: str = "groups"
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Simulate the first patients of each sight, in the order of the sights: what `draw_montage` shows."""
    sights = SIGHTS[show]
    wanted = [count // len(sights) + (position < count % len(sights)) for position in range(len(sights))]
    found: list[list] = [[] for _ in sights]
    index = 0
    with tqdm(total=count, unit="pair", desc="montage") as bar:
        while sum(map(len, found)) < count:
            one = case_seed(seed, split, index)
            number = case_head(one, split)
            patient = draw_patient(one, number)
            open_ones = [k for k, sight in enumerate(sights) if len(found[k]) < wanted[k] and sight.drawn(patient)]
            if open_ones:
                pair = simulate_sight(load_head(anatomy, number, cache), one, patient)
                for k in [k for k in open_ones if sights[k].seen(pair)][:1]:
                    plane = choose_slice(pair)
                    found[k].append((caption(index, sights[k], pair), pair["initial"][plane], pair["follow_up_scanned"][plane]))
                    bar.update()
            index += 1
    return [row for rows in found for row in rows]


def add_parser(subparsers) -> None:
    """`montage`."""
    parser = subparsers.add_parser("montage", help="draw pairs of a cohort as one PNG")
    add_anatomy_arguments(parser)
    parser.add_argument("--split", choices=list(HEADS), default="train", help="whose heads and patients (default train)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=12, help="number of pairs (default 12)")
    parser.add_argument("--show", choices=list(SIGHTS), default="groups",
                        help="what the initial CT shows in equal parts, or the kinds of hemorrhage (default groups)")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `montage`."""
    if not 1 <= arguments.count <= 60:
        raise ValueError("--count must be 1 to 60")
    torch.set_num_threads(1)
    which = (arguments.anatomy, arguments.anatomy_cache, arguments.split, arguments.seed, arguments.count)
    draw_montage(make_rows(*which, arguments.show), arguments.out)
    print("%s: %d pairs, window 80/40" % (arguments.out, arguments.count))
    return 0
