"""pairs.csv: what a hospital fills in. One line per pair: patient, initial, follow_up, label, site."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

from .refusal import Refused

COLUMNS = ("patient", "initial", "follow_up", "label", "site")


class Line(NamedTuple):
    """A line as written; `number` counts pairs from 1. initial, follow_up: folders, None where blank; label: "0" or "1" if it
    is right."""

    number: int
    patient: str
    initial: Path | None
    follow_up: Path | None
    label: str
    site: str

    def refuse_incomplete(self) -> None:
        """Refused where a cell that a pair needs is blank or wrong: a missing label is not a 0."""
        if self.label not in ("0", "1"):
            raise Refused("label-not-0-or-1", "label is %r; 1 means hemorrhage within 72 h, 0 means none" % self.label)
        if not self.patient:
            raise Refused("patient-missing", "every pair needs its patient's pseudonym, or folds cannot be kept apart")
        for column in ("initial", "follow_up"):
            if getattr(self, column) is None:
                raise Refused("folder-not-named", "%s is blank; write the folder of that scan" % column)

    def outcome(self) -> int:
        """1: hemorrhage within 72 h, 0: none."""
        return int(self.label)


def read_pairs(path: Path) -> list[Line]:
    """The lines of the file, paths taken from its folder.

    ValueError that names what is no UTF-8, a missing column, an empty file, or two lines with the same pair.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError("%s does not exist: write a CSV with the columns %s" % (path, ", ".join(COLUMNS)))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ValueError("%s, line %d: this is not UTF-8; save the file as UTF-8" % (path, where)) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in COLUMNS if name not in reader.fieldnames]
    if missing:
        raise ValueError("%s lacks the column %s (comma-separated, first line names)" % (path, ", ".join(missing)))
    rows = [[(row[name] or "").strip() for name in COLUMNS] for row in reader]
    if not rows:
        raise ValueError("%s holds no pairs" % path)
    lines = []
    for number, (patient, initial, follow_up, label, site) in enumerate(rows, 1):
        folders = [path.parent / name if name else None for name in (initial, follow_up)]
        lines.append(Line(number, patient, *folders, label, site))
    _refuse_twice(path, lines)
    return lines


def _refuse_twice(path: Path, lines: list[Line]) -> None:
    seen: dict[tuple, int] = {}
    for line in lines:
        pair = (line.patient, line.initial, line.follow_up)
        if None not in pair and seen.setdefault(pair, line.number) != line.number:
            raise ValueError("%s: pairs %d and %d are the same two scans; delete one" % (path, seen[pair], line.number))
