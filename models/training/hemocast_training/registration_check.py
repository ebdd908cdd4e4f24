"""Whether a registered pair may be learned from: figures that a reader can follow, and limits on them.

Every figure is measured on the model grid, on the two images the network would see. A pair that breaks a limit is left
out by name; the picture of the pair shows why.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .head_grid import GRID_SPACING_MM
from .intracranial import SLICES_TOO_LOW, intracranial_mask
from .refusal import Refused
from .registration import Rigid, skull_and_inside

MAX_ANGLE_DEG = 20.0
MAX_DISAGREEMENT_MM = 30.0
MIN_COVERED = 0.8
MAX_SKULL_MM = 1.5
MIN_SIMILARITY = 0.8
NOT_SCANNED_HU = -200.0


class Agreement(NamedTuple):
    """angle_deg, shift_mm: of the follow-up against the initial scan. disagreement_mm: of the result against the two
    calvaria's centres. similarity: correlation of windowed HU over the cranium. skull_before_mm, skull_mm: mean distance
    between the skulls' surfaces, before (centres laid on each other) and after. covered: share of the inside of the skull that the
    follow-up scanned."""

    angle_deg: float
    shift_mm: float
    disagreement_mm: float
    similarity: float
    skull_before_mm: float
    skull_mm: float
    covered: float


def measure(rigid: Rigid, image: np.ndarray, before: np.ndarray, after: np.ndarray) -> Agreement:
    """image: the initial CT; before, after: the follow-up without and with registration; HU [24, 128, 128]."""
    inside = intracranial_mask(image)
    covered = float((after[inside] > NOT_SCANNED_HU).mean()) if inside.any() else 0.0
    return Agreement(
        rigid.angle_deg, rigid.shift_mm, rigid.disagreement_mm, rigid.similarity,
        skull_distance(image, before), skull_distance(image, after), covered,
    )


def skull_distance(image: np.ndarray, other: np.ndarray) -> float:
    """Mean distance in mm between the outer surfaces of two skulls above the base, each to the other; infinite without
    bone. Only slices that both scans show are compared."""
    filled = [skull_and_inside(hu)[SLICES_TOO_LOW:] for hu in (image, other)]
    shared = np.flatnonzero(filled[0].any((1, 2)) & filled[1].any((1, 2)))
    if shared.size == 0:
        return float("inf")
    surfaces = [outline(mask[shared[0] : shared[-1] + 1]) for mask in filled]
    to_a, to_b = (ndimage.distance_transform_edt(~surface, sampling=GRID_SPACING_MM) for surface in surfaces)
    return float((to_b[surfaces[0]].mean() + to_a[surfaces[1]].mean()) / 2)


def outline(mask: np.ndarray) -> np.ndarray:
    """The outermost voxels of a mask in every slice."""
    return mask & ~ndimage.binary_erosion(mask, np.ones((1, 3, 3), bool))


def refuse_bad(found: Agreement) -> None:
    """Refused with the first limit that the pair breaks."""
    if found.covered < MIN_COVERED:
        reason = "the follow-up covers %.0f %% of the inside of the skull, at least %.0f %% are needed"
        raise Refused("follow-up-coverage-low", reason % (100 * found.covered, 100 * MIN_COVERED))
    if found.skull_mm > MAX_SKULL_MM or found.similarity < MIN_SIMILARITY:
        reason = (
            "after registration the skulls are %.1f mm apart (limit %.1f) and the similarity is %.2f (at least %.2f): is "
            "this the follow-up of the same patient?"
        )
        raise Refused("skulls-do-not-match", reason % (found.skull_mm, MAX_SKULL_MM, found.similarity, MIN_SIMILARITY))
    if found.angle_deg > MAX_ANGLE_DEG:
        reason = "the heads differ by %.0f degrees, the limit is %.0f" % (found.angle_deg, MAX_ANGLE_DEG)
        raise Refused("registration-rotation-too-large", reason)
    if found.disagreement_mm > MAX_DISAGREEMENT_MM:
        reason = "the result lies %.0f mm from the calvarium's centre, the limit is %.0f"
        raise Refused("registration-lost", reason % (found.disagreement_mm, MAX_DISAGREEMENT_MM))
