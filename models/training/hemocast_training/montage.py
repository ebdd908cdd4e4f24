"""The `montage` command: pairs of a cohort side by side, to be looked at. They must pass for CTs.

The patients are the first of each group (nothing visible, contrast staining, blood) that `simulate --split SPLIT --seed
SEED` would make, in equal parts: chosen by rule, not by their looks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

from .anatomy import load_head  # noqa: E402
from .labels import HEADS  # noqa: E402
from .plots import finish  # noqa: E402
from .simulate.cohort import add_anatomy_arguments, case_head, case_seed  # noqa: E402
from .simulate.pair import Outcome, simulate_pair  # noqa: E402
from .simulate.patient import BLOOD, GROUP_NAMES, NONE, STAIN, draw_patient  # noqa: E402

PAIRS_PER_ROW = 2
WINDOW_HU = (0.0, 80.0)  # width 80, level 40
KINDS = {"none": "no hemorrhage", "HI": "hemorrhagic infarction", "PH": "parenchymal hematoma"}


def choose_slice(pair: dict) -> int:
    """The slice with most blood and iodine of both scans, or with most of the basal ganglia where there is neither."""
    for shown in (pair["iodine"] / 25.0 + pair["blood_initial"] + pair["blood_follow_up"], pair["ganglia"]):
        amount = shown.sum(axis=(1, 2))
        if amount.max() > 50.0:
            return int(amount.argmax())
    return int(amount.argmax())


def caption(number: int, outcome: Outcome) -> str:
    """Patient, what the initial CT shows, what happened, and the probability it was drawn with."""
    return "%d  %s, then %s (p %.2f)" % (number, GROUP_NAMES[outcome.group], KINDS[outcome.kind], outcome.probability)


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
            axes.imshow(image, cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1], interpolation="bilinear")
            if column == 0:
                axes.set_title(title, fontsize=7, loc="left")
            else:
                axes.set_title(title, fontsize=7, loc="right", color="0.4")
    finish(figure, path, dpi=100)


def choose_patients(seed: int, split: str, count: int) -> list[tuple[int, int, int]]:
    """(index, case seed, head) of the first patients of each group, in equal parts, in the order of the groups."""
    groups = (NONE, STAIN, BLOOD)
    wanted = {group: count // 3 + (position < count % 3) for position, group in enumerate(groups)}
    found: dict[int, list[tuple[int, int, int]]] = {group: [] for group in groups}
    index = 0
    while any(len(found[group]) < wanted[group] for group in groups):
        one = case_seed(seed, split, index)
        head = case_head(one, split)
        group = draw_patient(one, head).group
        if len(found[group]) < wanted[group]:
            found[group].append((index, one, head))
        index += 1
    return [chosen for group in groups for chosen in found[group]]


def make_rows(anatomy: Path, cache: Path, split: str, seed: int, count: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Simulate the chosen patients: what `draw_montage` shows. One head is in memory at a time."""
    patients = choose_patients(seed, split, count)
    rows: list = [None] * count
    with tqdm(total=count, unit="pair", desc="montage") as bar:
        for number in sorted({head for *_, head in patients}):
            head = load_head(anatomy, number, cache)
            for row, (index, one, own) in enumerate(patients):
                if own != number:
                    continue
                pair, _ = simulate_pair(head, one)
                plane = choose_slice(pair)
                rows[row] = (caption(index, pair["outcome"]), pair["initial"][plane], pair["follow_up"][plane])
                bar.update()
    return rows


def add_parser(subparsers) -> None:
    """`montage`."""
    parser = subparsers.add_parser("montage", help="draw pairs of a cohort as one PNG")
    add_anatomy_arguments(parser)
    parser.add_argument("--split", choices=list(HEADS), default="train", help="whose heads and patients (default train)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=12, help="number of pairs (default 12)")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `montage`."""
    if not 1 <= arguments.count <= 60:
        raise ValueError("--count must be 1 to 60")
    torch.set_num_threads(1)
    which = (arguments.anatomy, arguments.anatomy_cache, arguments.split, arguments.seed, arguments.count)
    draw_montage(make_rows(*which), arguments.out)
    print("%s: %d pairs, window 80/40; follow-ups are without noise" % (arguments.out, arguments.count))
    return 0
