"""The `prepare` command: a hospital's scan pairs as a cohort that `finetune` reads.

Writes <out>/shard-NNNN.npz (initial, follow_up int16 [n, 24, 128, 128] HU; label uint8; head int32: number of the patient;
site int16; seed int64: number of the pair), cohort.json, qa.csv (one line per pair, used or not), report.md and a picture
and the transform (.tfm) of each registered pair in qa/. Nothing in the shards and in cohort.json names a patient; qa.csv and the pictures carry the
pseudonyms of pairs.csv. A pair that cannot be used is left out by name, and the others go on.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from . import __version__
from .follow_up_grid import follow_up_on_grid
from .head_series import HeadSeries, read_head, taken_at
from .pairs_file import Line, read_pairs
from .qa_picture import draw_qa
from .refusal import Refused
from .registration import Rigid, register, write_transform
from .registration_check import Agreement, measure, refuse_bad
from .series_rules import value

SHARD_SIZE = 50
DISCLAIMER = "Research use only, not a medical device."
QA_COLUMNS = ("pair", "patient", "site", "label", "verdict", "reason", "hours_between", *Agreement._fields, "picture")


class Prepared(NamedTuple):
    """What became of a pair: images int16 on the model grid where it is used, `code` and `reason` where it is not."""

    initial: np.ndarray | None = None
    follow_up: np.ndarray | None = None
    code: str = "used"
    reason: str = ""
    hours: float | None = None
    agreement: Agreement | None = None
    picture: str = ""


def prepare_pair(line: Line, out: Path) -> Prepared:
    """Read, register, check and draw one pair; every refusal is an answer, not an exception."""
    hours, agreement, picture = None, None, ""
    try:
        line.outcome()
        initial, follow_up = read_head(line.initial), read_head(line.follow_up)
        hours = hours_between(initial, follow_up)
        refuse_mixed_up(initial, follow_up, hours)
        rigid = register(initial, follow_up)
        before = follow_up_on_grid(initial, follow_up, laid_together(initial, follow_up))
        after = follow_up_on_grid(initial, follow_up, rigid)
        agreement = measure(rigid, initial.image, before, after)
        refusal = None
        try:
            refuse_bad(agreement)
        except Refused as error:
            refusal = error
        picture = "qa/pair-%04d.png" % line.number
        write_transform(rigid, out / ("qa/pair-%04d.tfm" % line.number))
        title = "Pair %d   patient %s, site %s" % (line.number, line.patient, line.site or "not stated")
        left_out = "" if refusal is None else refusal.code
        draw_qa(out / picture, title, figures(agreement), left_out, initial.image, before, after)
        if refusal is not None:
            raise refusal
        images = (np.rint(np.clip(hu, -1024, 32767)).astype(np.int16) for hu in (initial.image, after))
        return Prepared(*images, hours=hours, agreement=agreement, picture=picture)
    except Refused as error:
        code, reason = error.code, str(error).split(": ", 1)[1]
    except FileNotFoundError as error:
        code, reason = "folder-missing", str(error)
    except RuntimeError as error:  # SimpleITK: no overlap, or values it cannot optimise
        code, reason = "registration-failed", str(error).strip().splitlines()[-1]
    except ValueError as error:
        code, reason = "series-unreadable", str(error)
    return Prepared(code=code, reason=reason, hours=hours, agreement=agreement, picture=picture)


def hours_between(initial: HeadSeries, follow_up: HeadSeries) -> float | None:
    """Hours from the initial to the follow-up CT by their headers; None where one of them does not say."""
    times = [taken_at(head.series.first) for head in (initial, follow_up)]
    return None if None in times else (times[1] - times[0]).total_seconds() / 3600


def refuse_mixed_up(initial: HeadSeries, follow_up: HeadSeries, hours: float | None) -> None:
    """Refused where the two folders cannot be a pair: another patient, the same series, the wrong order."""
    first, second = initial.series.first, follow_up.series.first
    patients = {str(value(header, "PatientID")) for header in (first, second)} - {"None"}
    if len(patients) == 2:
        raise Refused("identity-conflict", "the two scans name different Patient IDs")
    if first.SeriesInstanceUID == second.SeriesInstanceUID:
        raise Refused("same-series", "initial and follow-up are the same series")
    if hours is not None and hours <= 0:
        raise Refused("follow-up-not-later", "the follow-up was taken %.1f h before the initial scan" % -hours)


def laid_together(initial: HeadSeries, follow_up: HeadSeries) -> Rigid:
    """What a pair looks like unregistered: the two grid centres on each other, nothing turned."""
    center = initial.center_in_patient
    return Rigid(np.eye(3), center, follow_up.center_in_patient - center, 0.0, 0.0)


def figures(found: Agreement) -> str:
    """One line for the picture."""
    text = "turned by %.1f°, moved by %.1f mm; skulls %.1f mm apart before, %.1f mm after; similarity %.2f; %.0f %% covered"
    values = (found.angle_deg, found.shift_mm, found.skull_before_mm, found.skull_mm, found.similarity, 100 * found.covered)
    return text % values


def write_shards(out: Path, lines: list[Line], pairs: list[Prepared]) -> dict:
    """Write the used pairs and cohort.json; returns the latter."""
    used = [(line, pair) for line, pair in zip(lines, pairs) if pair.initial is not None]
    patients = {name: number for number, name in enumerate(dict.fromkeys(line.patient for line, _ in used), 1)}
    sites = {name: number for number, name in enumerate(dict.fromkeys(line.site for line, _ in used))}
    for shard, start in enumerate(range(0, len(used), SHARD_SIZE)):
        part = used[start : start + SHARD_SIZE]
        np.savez_compressed(
            out / ("shard-%04d.npz" % shard),
            initial=np.stack([pair.initial for _, pair in part]),
            follow_up=np.stack([pair.follow_up for _, pair in part]),
            label=np.array([line.outcome() for line, _ in part], np.uint8),
            head=np.array([patients[line.patient] for line, _ in part], np.int32),
            site=np.array([sites[line.site] for line, _ in part], np.int16),
            seed=np.array([line.number for line, _ in part], np.int64),
        )
    left_out: dict[str, int] = {}
    for pair in pairs:
        if pair.initial is None:
            left_out[pair.code] = left_out.get(pair.code, 0) + 1
    note = {
        "disclaimer": DISCLAIMER,
        "kind": "hospital pairs",
        "version": __version__,
        "created": datetime.date.today().isoformat(),
        "pairs": len(used),
        "patients": len(patients),
        "sites": len(sites),
        "bled": sum(line.outcome() for line, _ in used),
        "left_out": dict(sorted(left_out.items())),
    }
    (out / "cohort.json").write_text(json.dumps(note, indent=2) + "\n")
    return note


def write_qa(out: Path, lines: list[Line], pairs: list[Prepared]) -> None:
    """qa.csv: one line per pair of pairs.csv."""
    with open(out / "qa.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(QA_COLUMNS)
        for line, pair in zip(lines, pairs):
            found = [""] * len(Agreement._fields) if pair.agreement is None else ["%.3f" % v for v in pair.agreement]
            hours = "" if pair.hours is None else "%.1f" % pair.hours
            row = (line.number, line.patient, line.site, line.label, pair.code, pair.reason, hours)
            writer.writerow((*row, *found, pair.picture))


def write_report(out: Path, lines: list[Line], pairs: list[Prepared], note: dict) -> None:
    """report.md: what was used, and every pair that was left out with its reason."""
    text = [
        "# Prepared pairs\n",
        "**%s**\n" % DISCLAIMER,
        "%d of %d pairs used: %d patients, %d sites, %d bled. Look at every picture in `qa/` before you train.\n"
        % (note["pairs"], len(lines), note["patients"], note["sites"], note["bled"]),
    ]
    bad = [(line, pair) for line, pair in zip(lines, pairs) if pair.initial is None]
    if bad:
        text.append("## Left out\n\n| pair | patient | why | what was seen |\n| --- | --- | --- | --- |")
        cell = lambda words: " ".join(str(words).split()).replace("|", "/")
        text += ["| %d | %s | `%s` | %s |" % (line.number, cell(line.patient), p.code, cell(p.reason)) for line, p in bad]
    (out / "report.md").write_text("\n".join(text) + "\n")


def add_parser(subparsers) -> None:
    """`prepare`."""
    help_text = "register a hospital's own scan pairs and write them as a cohort"
    parser = subparsers.add_parser("prepare", help=help_text, description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="CSV: patient, initial, follow_up, label, site")
    parser.add_argument("--out", type=Path, required=True, help="folder of the cohort; must not hold one already")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `prepare`; 0 where at least one pair can be used."""
    lines = read_pairs(arguments.pairs)
    if arguments.out.is_dir() and list(arguments.out.glob("shard-*.npz")):
        raise ValueError("%s holds a cohort already: choose another --out" % arguments.out)
    (arguments.out / "qa").mkdir(parents=True, exist_ok=True)
    pairs: list[Prepared] = []
    for line in tqdm(lines, unit="pair", desc="prepare"):
        pairs.append(prepare_pair(line, arguments.out))
        if pairs[-1].initial is None:
            tqdm.write("pair %d left out: %s: %s" % (line.number, pairs[-1].code, pairs[-1].reason))
    note = write_shards(arguments.out, lines, pairs)
    write_qa(arguments.out, lines, pairs)
    write_report(arguments.out, lines, pairs, note)
    print("%s: %d of %d pairs, %d patients. %s" % (arguments.out, note["pairs"], len(lines), note["patients"], DISCLAIMER))
    if not note["pairs"]:
        raise ValueError("no pair can be used; %s says why" % (arguments.out / "report.md"))
    return 0
