"""The `acceptance` command: measures T1 to T8 on simulated patients and fails when one of them is missed.

The patients are those that `simulate --split SPLIT --seed SEED` would make. `--calibrate` instead prints the constants
by which the severity is standardised.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import DISCLAIMER, __version__
from .acceptance_cases import NOISE_EVERY, as_table, measure_case
from .acceptance_targets import Check, check_cohort, information
from .anatomy import load_head
from .labels import HEADS
from .severity_constants import severity_constants
from .simulate.cohort import add_anatomy_arguments, case_head, case_seed
from .simulate.pair import simulate_measures


def seeds_by_head(seed: int, split: str, count: int) -> dict[int, list[tuple[int, int]]]:
    """(index, case seed) of every patient, by head, so that one head is in memory at a time."""
    found: dict[int, list[tuple[int, int]]] = {}
    for index in range(count):
        one = case_seed(seed, split, index)
        found.setdefault(case_head(one, split), []).append((index, one))
    return dict(sorted(found.items()))


def measure_cohort(anatomy: Path, cache: Path, split: str, seed: int, count: int) -> dict[str, np.ndarray]:
    """The table of cases that `check_cohort` reads."""
    rows: list[dict] = [{}] * count
    with tqdm(total=count, unit="patient", desc="acceptance") as bar:
        for number, cases in seeds_by_head(seed, split, count).items():
            head = load_head(anatomy, number, cache)
            for index, one in cases:
                rows[index] = measure_case(head, one, with_noise=index % NOISE_EVERY == 0)
                bar.update()
    return as_table(rows)


def measure_severities(anatomy: Path, cache: Path, split: str, seed: int, count: int) -> np.ndarray:
    """Severity measures of `count` patients forced into the staining group, without the invisible: float64 [n, 6]."""
    measured = []
    with tqdm(total=count, unit="patient", desc="calibrate") as bar:
        for number, cases in seeds_by_head(seed, split, count).items():
            head = load_head(anatomy, number, cache)
            for _, one in cases:
                measured.append(simulate_measures(head, one))
                bar.update()
    return np.array([row for row in measured if row is not None])


def describe(checks: list[Check], notes: dict[str, float]) -> str:
    """The checks as a Markdown table, then the figures without a target."""
    lines = ["| target | figure | measured | standard error | wanted | |", "| --- | --- | --- | --- | --- | --- |"]
    for check in checks:
        verdict = "pass" if check.passed else "FAIL"
        wanted = "%g to %g" % (round(check.low, 3), round(check.high, 3))
        lines.append("| %s | %s | %.3f | %.3f | %s | %s |" % (
            check.name, check.what, check.figure, check.error, wanted, verdict))
    return "\n".join([*lines, "", *("- %s: %.3f" % note for note in notes.items())])


def add_parser(subparsers) -> None:
    """`acceptance`."""
    parser = subparsers.add_parser("acceptance", help="measure the simulator against its targets T1 to T8")
    add_anatomy_arguments(parser)
    parser.add_argument("--split", choices=list(HEADS), default="train", help="whose heads and patients (default train)")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="patients; a few hundred, about half a second each")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--calibrate", action="store_true", help="print the severity's constants instead of the targets")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `acceptance`: 1 when a target is missed."""
    if arguments.count < 10:
        raise ValueError("--count must be at least 10; shares of fewer patients say nothing")
    torch.set_num_threads(1)
    which = (arguments.anatomy, arguments.anatomy_cache, arguments.split, arguments.seed, arguments.count)
    if arguments.calibrate:
        print(json.dumps(severity_constants(measure_severities(*which)), indent=2))
        return 0
    cases = measure_cohort(*which)
    checks, notes = check_cohort(cases), information(cases)
    print(describe(checks, notes))
    if arguments.json:
        arguments.json.write_text(json.dumps(_note(arguments, checks, notes), indent=2) + "\n")
    missed = [check for check in checks if not check.passed]
    print("\n%d of %d figures are where they are wanted." % (len(checks) - len(missed), len(checks)))
    return 1 if missed else 0


def _note(arguments: argparse.Namespace, checks: list[Check], notes: dict[str, float]) -> dict:
    # JSON has no NaN: what could not be measured is null.
    number = lambda value: round(value, 4) if np.isfinite(value) else None
    return {
        "disclaimer": DISCLAIMER,
        "command": "python3 -m hemocast_training " + " ".join(shlex.quote(word) for word in sys.argv[1:]),
        "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "split": arguments.split, "seed": arguments.seed, "count": arguments.count,
        "checks": [
            {"target": c.name, "figure": c.what, "measured": number(c.figure), "standard_error": number(c.error),
             "low": c.low, "high": c.high, "passed": c.passed}
            for c in checks
        ],
        "information": {name: number(value) for name, value in notes.items()},
    }
