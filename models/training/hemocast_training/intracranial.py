"""The inside of the skull on the model grid, found from the initial CT alone (no truth needed)."""

import numpy as np
from scipy import ndimage

BONE_HU = 250
SLICES_TOO_LOW = 3
"""The lowest slices of the grid cross the skull base, where the skull is open; they are left out."""

PADDING = 8
CLOSING_VOXELS = 5
RIM_VOXELS = 2


def intracranial_mask(image: np.ndarray) -> np.ndarray:
    """bool [24, 128, 128] of voxels enclosed by bone, from HU of the same shape at 5 x 1.5 x 1.5 mm.

    Each slice is closed over sutures and small foramina (15 mm), filled, and stripped of bone, also of the neighbouring
    slices, and a 3 mm rim of partial volume. Orbits and sinuses are excluded by keeping soft tissue (-20..140 HU
    smoothed) and the largest component.
    """
    bone = np.pad(image > BONE_HU, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    outside = fill_from_corner(~dilate(bone, CLOSING_VOXELS))
    filled = ~dilate(outside, CLOSING_VOXELS)
    crop = slice(PADDING, -PADDING)
    # A slice of 5 mm shares the sloping vault and the skull base with its neighbours: their bone is blood-bright here.
    nearby_bone = ndimage.maximum_filter1d(bone.view(np.uint8), 3, axis=0).astype(bool)
    enclosed = (filled & ~dilate(nearby_bone, RIM_VOXELS))[:, crop, crop]
    smooth = ndimage.uniform_filter(np.clip(image, -1000, 1500).astype(np.float32), (1, 5, 5))
    inside = enclosed & (smooth > -20) & (smooth < 140)
    inside[:SLICES_TOO_LOW] = False
    inside = dilate(~dilate(~inside, 1), 1)
    labels, count = ndimage.label(inside)
    if count == 0:
        return inside
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


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
