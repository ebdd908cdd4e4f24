"""What became of a pair, and how it is kept in <out>/pairs/ so that the next run goes on from there.

Kept are pairs that were registered, whether used or left out; what could not be read is tried again. A kept pair holds as long as its
line of pairs.csv, the names, sizes and times of the files in its two folders and the version of this package stay the same. Pseudonym,
folders and DICOM identifiers are kept as hashes only.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import __version__
from .pairs_file import Line
from .registration_check import Agreement

IMAGES = ("initial", "follow_up")


class Prepared(NamedTuple):
    """What became of a pair: images int16 on the model grid where it is used, `code` and `reason` where it is not.

    picture: relative to the cohort's folder; identity: hashes of the identifiers in both headers, each after its keyword.
    """

    initial: np.ndarray | None = None
    follow_up: np.ndarray | None = None
    code: str = "used"
    reason: str = ""
    hours: float | None = None
    agreement: Agreement | None = None
    picture: str = ""
    identity: tuple[str, ...] = ()


def pair_key(line: Line) -> str:
    """The name of a pair's files, 12 hexadecimal digits; it stays when other lines are deleted from the list."""
    folders = [None if folder is None else str(folder.resolve()) for folder in (line.initial, line.follow_up)]
    return digest([line.patient, *folders])[:12]


def pair_state(line: Line) -> str:
    """Hash of all that a kept pair was made from: the line, its files (names, sizes, times) and this version."""
    files = []
    for folder in (line.initial, line.follow_up):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            found = path.stat()
            files.append([str(path.relative_to(folder)), found.st_size, found.st_mtime_ns])
        files.append([])
    return digest([__version__, pair_key(line), line.label, line.site, files])


def digest(what: list) -> str:
    """SHA-256 of lists, texts and numbers, hexadecimal."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def keep(pair: Prepared, out: Path, key: str, state: str) -> None:
    """Write <out>/pairs/<key>.npz; it exists whole or not at all."""
    note = {name: found for name, found in pair._asdict().items() if name not in IMAGES}
    images = {} if pair.initial is None else {"initial": pair.initial, "follow_up": pair.follow_up}
    partial = out / "pairs" / (key + ".partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, note=json.dumps({"state": state, **note}), **images)
    partial.replace(partial.with_suffix(".npz"))


def recall(out: Path, key: str, state: str) -> Prepared | None:
    """The pair as an earlier run kept it; None where there is none, or it was made from something else."""
    try:
        with np.load(out / "pairs" / (key + ".npz")) as file:
            note = json.loads(str(file["note"]))
            images = {name: file[name] for name in IMAGES if name in file}
    except Exception:  # absent, or damaged in any way: the pair is prepared again
        return None
    if note.pop("state") != state or not (out / note["picture"]).is_file():
        return None
    return Prepared(**{**note, **images, "agreement": Agreement(*note["agreement"]), "identity": tuple(note["identity"])})
