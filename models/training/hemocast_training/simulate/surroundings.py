"""What surrounds the head in a CT: constant padding instead of air, and the head holder."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .scanner import Protocol

PADDING_HU = -1024.0
SHELL_HU, FOAM_HU, SHELL_MM = 120.0, -940.0, 2.5


def head_mask(hu: np.ndarray, pixel_mm: float) -> np.ndarray:
    """The head with the air inside it and 2.5 mm of margin for the scanner's blur: bool like hu [slices, rows, columns]."""
    grow, opening = max(1, int(round(2.5 / pixel_mm))), max(1, int(round(1.0 / pixel_mm)))
    mask = np.zeros(hu.shape, dtype=bool)
    for i, plane in enumerate(hu):
        solid = ndimage.binary_opening(plane > -650.0, iterations=opening)
        mask[i] = ndimage.binary_dilation(ndimage.binary_fill_holes(solid), iterations=grow)
    return mask


def surround(image: np.ndarray, outside: np.ndarray, x: np.ndarray, y: np.ndarray, center, protocol: Protocol) -> None:
    """Pad the air around the head and add the holder, in place.

    image: HU [slices, rows, columns]; outside: not `head_mask` of what the image was made from; x [slices, columns], y [slices, rows]:
    positions in mm; center: (cx, cy) of the head in mm.
    """
    if protocol.padded:
        image[outside] = PADDING_HU
    if protocol.holder is not None:
        radius, flattening, offset = protocol.holder
        for i in range(image.shape[0]):
            _add_holder(image[i], outside[i], x[i] - center[0] - offset, y[i] - center[1], radius, flattening)


def _add_holder(plane, free, x, y, radius, flattening) -> None:
    """A carbon shell behind the head: two thin arcs with foam between them."""
    x, y = x[None], y[:, None]
    distance = np.hypot(x, (y + 12.0) / flattening)
    behind = free & (y > 35.0) & (np.abs(x) < 105.0)
    pixel = float(x[0, 1] - x[0, 0])
    foam = behind & (distance > radius) & (distance < radius + 7.0)
    plane[foam] = FOAM_HU
    for arc in (radius, radius + 7.0):
        # Partial cover at the edges of the shell, which is about as thin as a coarse voxel.
        cover = np.clip((SHELL_MM / 2 + pixel / 2 - np.abs(distance - arc)) / pixel, 0.0, 1.0)
        plane += np.where(behind, cover * (SHELL_HU - plane), 0.0)
