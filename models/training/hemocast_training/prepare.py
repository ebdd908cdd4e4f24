"""The `prepare` command: a hospital's scan pairs as a cohort that `finetune` reads.

Writes <out>/shard-NNNN.npz (initial, follow_up int16 [n, 24, 128, 128] HU; label uint8; head int32: number of the patient;
site int16; seed int64: number of the pair), cohort.json, qa.csv (one line per pair, used or not), report.md and a picture
and the transform (.tfm) of each registered pair in qa/. Nothing in the shards and in cohort.json names a patient; qa.csv, report.md and the
pictures carry the pseudonyms of pairs.csv. A pair that cannot be used is left out by name, and the others go on. Interrupted, or with
other lines, the same command goes on from pairs/, where each registered pair is kept (prepared_pair).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import __version__
from .follow_up_grid import follow_up_on_grid
from .head_series import HeadSeries, read_head, taken_at
from .pairs_file import Line, read_pairs
from .prepared_pair import IMAGES, Prepared, digest, keep, pair_key, pair_state, recall
from .qa_picture import draw_qa
from .refusal import MissingTool, Refused
from .registration import Rigid, need_simpleitk, register, write_transform
from .registration_check import Agreement, measure, refuse_bad
from .series_rules import value

SHARD_SIZE = 50
MAX_HOURS_BETWEEN = 7 * 24.0  # the label ends at 72 h; what a scan of another week shows is no follow-up of it
IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
DISCLAIMER = "Research use only, not a medical device."
QA_COLUMNS = ("pair", "patient", "site", "label", "verdict", "reason", "hours_between", *Agreement._fields, "picture")


def prepare_pair(line: Line, out: Path) -> Prepared:
    """The pair as an earlier run kept it, or read, registered, checked, drawn and kept now.

    Whatever is wrong with its line or its files is an answer, not an exception. MissingTool where the machine lacks a program.
    """
    key = pair_key(line)
    try:
        line.refuse_incomplete()
        state = pair_state(line)
        pair = recall(out, key, state)
        if pair is not None:
            return pair
        pair = register_pair(line, out, "qa/pair-" + key)
    except MissingTool:
        raise
    except Refused as error:
        return Prepared(code=error.code, reason=str(error).split(": ", 1)[1])
    except Exception as error:  # odd files raise many kinds, and none may take the other pairs with it
        return Prepared(code="series-unreadable", reason="%s: %s" % (type(error).__name__, error))
    keep(pair, out, key, state)
    return pair


def register_pair(line: Line, out: Path, name: str) -> Prepared:
    """Read, register, check and draw one pair; `name`: of its picture and transform in `out`, without ending.

    Refused where it cannot be registered; where the result breaks a limit, that is its `code`.
    """
    initial, follow_up = read_head(line.initial), read_head(line.follow_up)
    hours = hours_between(initial, follow_up)
    refuse_mixed_up(initial, follow_up, hours)
    rigid = register(initial, follow_up)
    before = follow_up_on_grid(initial, follow_up, laid_together(initial, follow_up))
    after = follow_up_on_grid(initial, follow_up, rigid)
    agreement = measure(rigid, initial.image, before, after)
    pair = Prepared(hours=hours, agreement=agreement, picture=name + ".png", identity=identity(initial, follow_up))
    try:
        refuse_bad(agreement)
        images = (np.rint(np.clip(hu, -1024, 32767)).astype(np.int16) for hu in (initial.image, after))
        pair = pair._replace(**dict(zip(IMAGES, images)))
    except Refused as error:
        pair = pair._replace(code=error.code, reason=str(error).split(": ", 1)[1])
    write_transform(rigid, out / (name + ".tfm"))
    title = "%s   patient %s, site %s" % (Path(name).name, line.patient, line.site or "not stated")
    left_out = pair.code if pair.initial is None else ""
    draw_qa(out / pair.picture, title, figures(agreement), left_out, initial.image, before, after)
    return pair


def identity(initial: HeadSeries, follow_up: HeadSeries) -> tuple[str, ...]:
    """What identifies the patient of a pair in its headers: keyword and hash of every identifier that is not empty."""
    found = {
        "%s %s" % (keyword, digest([str(value(head.series.first, keyword)).strip()]))
        for head in (initial, follow_up)
        for keyword in IDENTIFIERS
        if str(value(head.series.first, keyword) or "").strip()
    }
    return tuple(sorted(found))


def refuse_two_names(lines: list[Line], pairs: list[Prepared]) -> list[Prepared]:
    """The pairs, without those whose patient has another pseudonym as well: that patient would be on both sides of a fold."""
    names: dict[str, dict[str, int]] = {}  # identifier: pseudonyms, each with its first pair
    used = [(line, pair) for line, pair in zip(lines, pairs) if pair.initial is not None]
    for line, pair in used:
        for identifier in pair.identity:
            names.setdefault(identifier, {}).setdefault(line.patient, line.number)
    checked = list(pairs)
    for line, pair in used:
        for identifier in pair.identity:
            others = [(number, name) for name, number in names[identifier].items() if name != line.patient]
            if others:
                reason = (
                    "pair %d has the same %s under the pseudonym %s: write one pseudonym for one patient; where they are two "
                    "patients, give their scans different IDs" % (min(others)[0], identifier.split()[0], min(others)[1])
                )
                left_out = {"initial": None, "follow_up": None, "code": "patient-under-two-names", "reason": reason}
                checked[line.number - 1] = pair._replace(**left_out)
                break
    return checked


def hours_between(initial: HeadSeries, follow_up: HeadSeries) -> float | None:
    """Hours from the initial to the follow-up CT by their headers; None where one of them does not say."""
    times = [taken_at(head.series.first) for head in (initial, follow_up)]
    return None if None in times else (times[1] - times[0]).total_seconds() / 3600


def refuse_mixed_up(initial: HeadSeries, follow_up: HeadSeries, hours: float | None) -> None:
    """Refused where the two folders cannot be a pair: another patient, the same series, the wrong order, days too late."""
    first, second = initial.series.first, follow_up.series.first
    patients = {str(value(header, "PatientID")) for header in (first, second)} - {"None"}
    if len(patients) == 2:
        raise Refused("identity-conflict", "the two scans name different Patient IDs")
    if first.SeriesInstanceUID == second.SeriesInstanceUID:
        raise Refused("same-series", "initial and follow-up are the same series")
    if hours is not None and hours <= 0:
        raise Refused("follow-up-not-later", "the follow-up was taken %.1f h before the initial scan" % -hours)
    if hours is not None and hours > MAX_HOURS_BETWEEN:
        reason = "the follow-up was taken %.0f h after the initial scan, the limit is %.0f h"
        raise Refused("follow-up-too-late", reason % (hours, MAX_HOURS_BETWEEN))


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
    """Write the used pairs and cohort.json in place of what an earlier run wrote; returns the latter."""
    for path in (out / "cohort.json", *out.glob("shard-*.npz")):
        path.unlink(missing_ok=True)
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
    help_text = "folder of the cohort; with the same one again, the command goes on where it stopped"
    parser.add_argument("--out", type=Path, required=True, help=help_text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run `prepare`; 0 where at least one pair can be used."""
    lines, out = read_pairs(arguments.pairs), arguments.out
    need_simpleitk()
    open_folder(out, lines)
    pairs: list[Prepared] = []
    for line in tqdm(lines, unit="pair", desc="prepare"):
        pairs.append(prepare_pair(line, out))
        if pairs[-1].initial is None:
            tqdm.write("pair %d left out: %s: %s" % (line.number, pairs[-1].code, pairs[-1].reason))
    pairs = refuse_two_names(lines, pairs)
    note = write_shards(out, lines, pairs)
    write_qa(out, lines, pairs)
    write_report(out, lines, pairs, note)
    print("%s: %d of %d pairs, %d patients. %s" % (out, note["pairs"], len(lines), note["patients"], DISCLAIMER))
    if not note["pairs"]:
        raise ValueError("no pair can be used; %s says why" % (out / "report.md"))
    return 0


def open_folder(out: Path, lines: list[Line]) -> None:
    """Make the cohort's folder, or open that of an earlier run and delete what it kept of lines that are no longer in the list.

    ValueError where it holds a cohort of which no pair is in the list.
    """
    keys = {pair_key(line) for line in lines}
    kept = {path.stem for path in out.glob("pairs/*.npz")}
    if (kept or any(out.glob("shard-*.npz"))) and not kept & keys:
        raise ValueError("%s holds a cohort already, and none of these pairs: choose another --out" % out)
    for folder in ("qa", "pairs"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for key in kept - keys:
        for path in ("pairs/%s.npz", "qa/pair-%s.png", "qa/pair-%s.tfm"):
            (out / (path % key)).unlink(missing_ok=True)
