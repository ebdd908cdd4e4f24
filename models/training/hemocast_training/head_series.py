"""A study's plain head CT from a folder, held to the rules the service holds it to before it reads it.

Header rules: series_rules. Geometry: api/imaging/series-geometry.ts. Of the service's content check (anatomy.ts) only the
part that decides whether a pair can be used is repeated here: a calvarium, 90 mm of the head below it, brain inside it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from .dicom_io import Series, read_files
from .head_grid import NotAHead, calvarium_center, to_model_grid
from .intracranial import intracranial_mask
from .refusal import Refused
from .series_choice import choose_series
from .series_rules import MIN_SLICES, value

MAX_GAP_MM = 8.0
MAX_GAP_PER_THICKNESS = 2.0
MAX_OBLIQUE_DEG = 30.0
MAX_GANTRY_TILT_DEG = 30.0
MIN_COVERAGE_MM = 90.0
VERTEX_ABOVE_CENTER_MM = 56.0
BRAIN_HU = (15.0, 50.0)
MIN_INSIDE_ML = 500.0
VOXEL_ML = 5.0 * 1.5 * 1.5 / 1000
ADULT_YEARS = 18


@dataclass(frozen=True)
class HeadSeries:
    """series: as read. center: of the model grid (cx, cy, cz) mm in the planes' axes; image: float32 [24, 128, 128] HU
    on it, as the service reads it."""

    series: Series
    center: tuple[float, float, float]
    image: np.ndarray

    @property
    def center_in_patient(self) -> np.ndarray:
        """The grid's centre in patient coordinates (LPS), mm."""
        return self.series.axes.T @ np.array(self.center)


def read_head(folder: Path) -> HeadSeries:
    """Choose, read and check; Refused with the code of the first rule that is broken."""
    chosen = choose_series(folder)
    series = read_files([image.path for image in chosen], folder)
    _check_plane(series)
    _check_gaps(series)
    _check_age(series.first)
    volume = series.volume
    try:
        center = calvarium_center(volume)
    except NotAHead as error:
        raise Refused("not-a-head", "%s: %s" % (folder, error)) from error
    covered = center[2] + VERTEX_ABOVE_CENTER_MM - volume.z[0] + (volume.z[1] - volume.z[0]) / 2
    if covered < MIN_COVERAGE_MM:
        reason = "%s reaches %.0f mm below the vertex, at least %.0f are needed" % (folder, covered, MIN_COVERAGE_MM)
        raise Refused("incomplete-head-coverage", reason)
    image = to_model_grid(volume, center)
    _check_content(folder, image)
    return HeadSeries(series, center, image)


def taken_at(header: Dataset) -> datetime.datetime | None:
    """Acquisition (else content, series, study) date and time of a slice without time zone; None where not stated."""
    for kind in ("Acquisition", "Content", "Series", "Study"):
        day, clock = value(header, kind + "Date"), str(value(header, kind + "Time") or "")
        if day is None:
            continue
        digits = (clock.split(".")[0] + "000000")[:6] if clock else "000000"
        try:
            return datetime.datetime.strptime(str(day) + digits, "%Y%m%d%H%M%S")
        except ValueError:
            continue
    return None


def _check_plane(series: Series) -> None:
    """Axial within 30 degrees beyond the gantry tilt that is stated or that the sheared stack itself shows."""
    normal, volume = series.axes[2], series.volume
    table = np.array([volume.x[-1] - volume.x[0], volume.y[-1] - volume.y[0], volume.z[-1] - volume.z[0]])
    shear = np.rad2deg(np.arccos(min(1.0, abs(table[2]) / np.linalg.norm(table))))
    stated = abs(float(value(series.first, "GantryDetectorTilt") or 0.0))
    from_axial = np.rad2deg(np.arccos(min(1.0, abs(normal[2]))))
    oblique = from_axial - min(from_axial, max(shear, stated), MAX_GANTRY_TILT_DEG)
    if oblique > MAX_OBLIQUE_DEG:
        raise Refused("oblique-plane", "the planes are %.0f degrees from axial" % oblique)


def _check_gaps(series: Series) -> None:
    if series.volume.z.size < MIN_SLICES:
        raise Refused("too-few-slices", "%d slices, at least %d are needed" % (series.volume.z.size, MIN_SLICES))
    thickness = value(series.first, "SliceThickness")
    limit = MAX_GAP_MM if thickness is None else min(MAX_GAP_MM, MAX_GAP_PER_THICKNESS * float(thickness))
    widest = float(np.diff(series.volume.z).max())
    if widest > limit + 1e-3:
        raise Refused("slice-gap-too-large", "slices are up to %.1f mm apart, the limit is %.1f mm" % (widest, limit))


def _check_age(header: Dataset) -> None:
    born, scanned, stated = value(header, "PatientBirthDate"), taken_at(header), value(header, "PatientAge")
    years = None
    if born and scanned and len(str(born)) == 8:
        birth = datetime.datetime.strptime(str(born), "%Y%m%d")
        years = scanned.year - birth.year - ((scanned.month, scanned.day) < (birth.month, birth.day))
    elif stated and str(stated).endswith("Y"):
        years = int(str(stated)[:-1])
    if years is not None and years < ADULT_YEARS:
        raise Refused("patient-under-18", "only adults are in scope")


def _check_content(folder: Path, image: np.ndarray) -> None:
    inside = intracranial_mask(image)
    volume_ml = float(inside.sum()) * VOXEL_ML
    if volume_ml < MIN_INSIDE_ML:
        raise Refused("not-a-head", "%s: bone encloses %.0f mL of soft tissue, no brain" % (folder, volume_ml))
    middle = float(np.median(image[inside]))
    if not BRAIN_HU[0] <= middle <= BRAIN_HU[1]:
        reason = "%s: what lies inside the skull has a median of %.0f HU, brain has %.0f to %.0f"
        raise Refused("hounsfield-implausible", reason % (folder, middle, *BRAIN_HU))
