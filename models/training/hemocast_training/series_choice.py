"""Which series below a folder is the plain head CT: the service's rules (docs/series-choice.md, api/assessment)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from .refusal import Refused
from .series_rules import MIN_SLICES, RULES, kernel_kind, value


@dataclass(frozen=True)
class Image:
    """One DICOM file and its attributes without pixels."""

    path: Path
    header: Dataset


def choose_series(folder: Path) -> list[Image]:
    """The slices of the chosen series among all DICOM files below `folder` (of one study of one patient).

    Raises Refused: `folder-missing`, `dicom-malformed`, `identity-conflict`, `no-eligible-series`, or the code of the series that came
    nearest to being eligible.
    """
    images = [Image(path, _header(path)) for path in dicom_files(folder)]
    if not images:
        raise Refused("no-eligible-series", "%s holds no DICOM images" % folder)
    for keyword in ("StudyInstanceUID", "PatientID"):
        if len({str(image.header.get(keyword, "")) for image in images}) > 1:
            raise Refused("identity-conflict", "%s holds more than one %s; give one study" % (folder, keyword))
    by_series: dict[str, list[Image]] = {}
    for image in images:
        by_series.setdefault(str(image.header.get("SeriesInstanceUID", "")), []).append(image)
    considered = [(uid, *_consider(members)) for uid, members in by_series.items()]
    eligible = [(uid, slices) for uid, slices, refusal, _ in considered if refusal is None]
    if not eligible:
        # The refusal of the series that met most rules; the larger, then the lower UID among equals.
        raise min(considered, key=lambda one: (-one[3], -len(one[1]), one[0]))[2]
    _, chosen = min(eligible, key=_preference)
    for rule in RULES:
        for image in chosen:
            reason = rule.fails(image.header, True)
            if reason:
                raise Refused(rule.code, "%s: %s" % (image.path, reason))
    return chosen


def dicom_files(folder: Path) -> list[Path]:
    """Every DICOM Part 10 file below `folder` but a DICOMDIR, sorted; Refused where there is no folder."""
    if not Path(folder).is_dir():
        raise Refused("folder-missing", "%s is not a folder" % folder)
    found = (path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.name.upper() != "DICOMDIR")
    return [path for path in found if is_dicom(path)]


def is_dicom(path: Path) -> bool:
    """Whether the file has the prefix of PS3.10."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _header(path: Path) -> Dataset:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except Exception as error:  # pydicom raises many kinds on malformed files
        raise Refused("dicom-malformed", "%s cannot be read: %s" % (path, error)) from error
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        if value(header, keyword) is None:
            raise Refused("dicom-malformed", "%s lacks %s" % (path, keyword))
    return header


def _consider(members: list[Image]) -> tuple[list[Image], Refused | None, int]:
    """(slices that met every rule, or the refusal, number of rules met before it)."""
    slices = members
    for met, rule in enumerate(RULES):
        if rule.code == "slice-thickness-out-of-range" and len(slices) < MIN_SLICES:
            few = Refused("too-few-slices", "%d slices, at least %d are needed" % (len(slices), MIN_SLICES))
            return slices, few, met
        passing = [image for image in slices if rule.fails(image.header, False) is None]
        failing = next((image for image in slices if rule.fails(image.header, False)), None)
        if failing is not None and (not rule.per_slice or not passing):
            reason = "%s: %s" % (failing.path, rule.fails(failing.header, False))
            return slices, Refused(rule.code, reason), met
        slices = passing
    return slices, None, len(RULES)


def _preference(candidate: tuple[str, list[Image]]) -> tuple:
    """A soft-tissue kernel first, then thickness nearest 5 mm, most slices, lowest Series Number, lowest UID."""
    uid, slices = candidate
    stated = [float(mm) for mm in (value(image.header, "SliceThickness") for image in slices) if mm is not None]
    thickness = abs(sum(stated) / len(stated) - 5) if stated else float("inf")
    number = value(slices[0].header, "SeriesNumber")
    soft = kernel_kind(slices[0].header) == "soft-tissue"
    return (not soft, thickness, -len(slices), float("inf") if number is None else float(number), uid)
