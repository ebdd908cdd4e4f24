"""The inside of the skull on the model grid, found from the initial CT alone (no truth needed)."""

import numpy as np
from scipy import ndimage

BONE_HU = 250
SLICES_TOO_LOW = 3
"""The lowest slices of the grid cross the skull base, where the skull is open; they are left out."""

SKIN_HU = -200
CLOSINGS_VOXELS = (5, 8, 11, 14)
"""Half the width of a gap in the bone that is closed over: 15 mm for sutures and small foramina; wider ones where the skull stays
open, as it does where a thin temporal squama is no denser than tissue in slices of 5 mm."""
ENCLOSED_SHARE = 0.5
"""Of the area within the skin: below it little more than the bone itself is enclosed, the slice is open."""
PADDING = CLOSINGS_VOXELS[-1] + 2
RIM_VOXELS = 2
SMALLEST_SHARE = 0.1
"""A component of less than this share of the largest is no part of the brain: an orbit, a muscle."""


def intracranial_mask(image: np.ndarray) -> np.ndarray:
    """bool [24, 128, 128] of voxels enclosed by bone, from HU of the same shape at 5 x 1.5 x 1.5 mm.

    Each slice is closed and filled (`enclosed_by_bone`), and stripped of bone, also of the neighbouring slices, and of a 3 mm rim of
    partial volume. Orbits and sinuses are excluded by keeping soft tissue (-20..140 HU smoothed) and large components.
    """
    # A slice of 5 mm shares the sloping vault and the skull base with its neighbours: their bone is blood-bright here.
    nearby_bone = ndimage.maximum_filter1d((image > BONE_HU).view(np.uint8), 3, axis=0).astype(bool)
    enclosed = enclosed_by_bone(image) & ~dilate(nearby_bone, RIM_VOXELS)
    smooth = ndimage.uniform_filter(np.clip(image, -1000, 1500).astype(np.float32), (1, 5, 5))
    inside = enclosed & (smooth > -20) & (smooth < 140)
    inside[:SLICES_TOO_LOW] = False
    inside = dilate(~dilate(~inside, 1), 1)
    labels, count = ndimage.label(inside)
    if count == 0:
        return inside
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= SMALLEST_SHARE * sizes.max())[labels] & inside


def enclosed_by_bone(image: np.ndarray) -> np.ndarray:
    """bool of the image's shape: bone and what it encloses in each slice, with the narrowest of CLOSINGS_VOXELS that closes the slice,
    or with the first where none does.

    A long head leaves the grid in front or behind: there the grid's edge, between the places where bone meets it, closes the skull.
    """
    around = ((0, 0), (PADDING, PADDING), (PADDING, PADDING))
    bone = np.pad(image > BONE_HU, around)
    for edge, beyond in ((PADDING, PADDING - 1), (-PADDING - 1, -PADDING)):
        bone[:, beyond] |= between(bone[:, edge])
        bone[:, :, beyond] |= between(bone[:, :, edge])
    air = np.pad(image <= SKIN_HU, around, constant_values=True)
    enough = ENCLOSED_SHARE * (~fill_from_corner(air)).sum((1, 2))
    filled = closed(bone, CLOSINGS_VOXELS[0])
    for voxels in CLOSINGS_VOXELS[1:]:
        still_open = np.flatnonzero(filled.sum((1, 2)) < enough)
        wider = closed(bone[still_open], voxels)
        closes = wider.sum((1, 2)) >= enough[still_open]
        filled[still_open[closes]] = wider[closes]
    return filled[:, PADDING:-PADDING, PADDING:-PADDING]


def closed(bone: np.ndarray, voxels: int) -> np.ndarray:
    """Each slice closed over gaps of twice as many voxels, and filled."""
    return ~dilate(fill_from_corner(~dilate(bone, voxels)), voxels)


def between(marked: np.ndarray) -> np.ndarray:
    """bool [slices, n]: from the first to the last marked place of each slice."""
    return np.logical_or.accumulate(marked, 1) & np.logical_or.accumulate(marked[:, ::-1], 1)[:, ::-1]


def dilate(mask: np.ndarray, voxels: int) -> np.ndarray:
    """Grows a mask by a square of `voxels` in every slice; separable, so much faster than binary_dilation."""
    size = 2 * voxels + 1
    rows = ndimage.maximum_filter1d(mask.view(np.uint8), size, axis=1, mode="nearest")
    return ndimage.maximum_filter1d(rows, size, axis=2, mode="nearest").astype(bool)


def fill_from_corner(free: np.ndarray) -> np.ndarray:
    """Of the free voxels, those connected to the corner within their slice: the world outside the head."""
    in_slice = np.zeros((3, 3, 3), bool)
    in_slice[1] = ndimage.generate_binary_structure(2, 1)
    labels, _ = ndimage.label(free, structure=in_slice)
    return labels == labels[:, :1, :1]
