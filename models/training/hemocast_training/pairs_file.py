"""pairs.csv: what a hospital fills in. One line per pair: patient, initial, follow_up, label, site."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from .refusal import Refused

COLUMNS = ("patient", "initial", "follow_up", "label", "site")


class Line(NamedTuple):
    """A line as written; `number` counts pairs from 1. initial, follow_up: folders; label: "0" or "1" if it is right."""

    number: int
    patient: str
    initial: Path
    follow_up: Path
    label: str
    site: str

    def outcome(self) -> int:
        """1: hemorrhage within 72 h, 0: none. Refused for anything else: a missing label is not a 0."""
        if self.label not in ("0", "1"):
            raise Refused("label-not-0-or-1", "label is %r; 1 means hemorrhage within 72 h, 0 means none" % self.label)
        if not self.patient:
            raise Refused("patient-missing", "every pair needs its patient's pseudonym, or folds cannot be kept apart")
        return int(self.label)


def read_pairs(path: Path) -> list[Line]:
    """The lines of the file, paths taken from its folder. ValueError that names a missing column or an empty file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError("%s does not exist: write a CSV with the columns %s" % (path, ", ".join(COLUMNS)))
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError("%s lacks the column %s (comma-separated, first line names)" % (path, ", ".join(missing)))
        rows = [{name: (row[name] or "").strip() for name in COLUMNS} for row in reader]
    if not rows:
        raise ValueError("%s holds no pairs" % path)
    return [
        Line(
            number, row["patient"], path.parent / row["initial"], path.parent / row["follow_up"], row["label"], row["site"]
        )
        for number, row in enumerate(rows, 1)
    ]
