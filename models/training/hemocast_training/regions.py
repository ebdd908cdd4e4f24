"""Where a generated follow-up is judged: regions that are defined without looking at the truth.

A region drawn from the true follow-up can be gamed by painting halos; these come from the initial CT alone.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

SPACING_MM = (5.0, 1.5, 1.5)
VOXEL_ML = 5.0 * 1.5 * 1.5 / 1000
HOT_HU = 50.0
MARGIN_MM = 8.0
MARGIN_VOXELS = tuple(int(np.ceil(MARGIN_MM / spacing)) for spacing in SPACING_MM)
SMALLEST_ML = 0.1


class Regions(NamedTuple):
    """bool [24, 128, 128] each: initially hot voxels, the 8 mm ring around them, and both together."""

    hot: np.ndarray
    ring: np.ndarray
    judged: np.ndarray


def smooth(volume: np.ndarray) -> np.ndarray:
    """3 x 3 mean in the slice: one noisy voxel is no finding. HU in, HU out."""
    return ndimage.uniform_filter(np.asarray(volume, np.float32), (1, 3, 3))


def judged_regions(image: np.ndarray, inside: np.ndarray) -> Regions:
    """Hot: smoothed HU > 50 inside the skull in components of at least 0.1 mL. Ring: within 8 mm of it, inside."""
    hot = (smooth(np.clip(image, -20, 140)) > HOT_HU) & inside
    labels, count = ndimage.label(hot)
    if count:
        volumes = np.bincount(labels.ravel()) * VOXEL_ML
        volumes[0] = 0
        hot = (volumes >= SMALLEST_ML)[labels]
    if not hot.any():
        nothing = np.zeros_like(hot)
        return Regions(hot, nothing, nothing)
    # Distances are needed up to the margin only: the box around the hot voxels holds them all.
    box = tuple(
        slice(max(0, found.start - reach), found.stop + reach)
        for found, reach in zip(ndimage.find_objects(hot.view(np.uint8))[0], MARGIN_VOXELS)
    )
    judged = np.zeros_like(hot)
    judged[box] = ndimage.distance_transform_edt(~hot[box], sampling=SPACING_MM) <= MARGIN_MM
    judged &= inside
    return Regions(hot, judged & ~hot, judged)


def hyperdense_volume(image: np.ndarray, inside: np.ndarray) -> float:
    """mL inside the skull with smoothed HU > 50."""
    return float(((smooth(image) > HOT_HU) & inside).sum() * VOXEL_ML)
