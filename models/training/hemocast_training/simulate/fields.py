"""Smooth random fields in millimetres, and trilinear reading of lattices at arbitrary points.

Points are torch float32 [3, ...] in the order (z, y, x), mm from the anterior commissure.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

BOX_MM = np.array([[-125.0, 100.0], [-125.0, 130.0], [-100.0, 100.0]])


def read_lattice(lattice: torch.Tensor, points: torch.Tensor, origin: tuple[float, float, float], spacing: float) -> torch.Tensor:
    """Trilinear values of `lattice` [c, d, h, w] at `points` [3, n, r, k]: float32 [c, n, r, k].

    origin: lattice index of the point 0; spacing: mm per lattice step. Outside, the border value continues.
    """
    size = lattice.shape[1:]
    normalised = [
        points[axis].mul(2.0 / (spacing * (size[axis] - 1))).add_(2.0 * origin[axis] / (size[axis] - 1) - 1.0)
        for axis in (2, 1, 0)
    ]
    return F.grid_sample(
        lattice[None], torch.stack(normalised, -1)[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]


class RandomField:
    """`count` independent Gaussian fields of zero mean and unit variance, smooth over `scale_mm`, fixed to the tissue."""

    def __init__(self, generator: np.random.Generator, count: int, scale_mm: float, spacing_mm: float):
        shape = tuple(int(np.ceil((high - low) / spacing_mm)) + 1 for low, high in BOX_MM)
        noise = generator.standard_normal((count, *shape), dtype=np.float32)
        for i in range(count):
            noise[i] = ndimage.gaussian_filter(noise[i], scale_mm / spacing_mm, mode="wrap")
            noise[i] = (noise[i] - noise[i].mean()) / noise[i].std()
        self._lattice = torch.from_numpy(noise)
        self._origin = tuple(-low / spacing_mm for low, _ in BOX_MM)
        self._spacing = spacing_mm

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """Values [count, n, r, k] at `points` [3, n, r, k]."""
        return read_lattice(self._lattice, points, self._origin, self._spacing)


def rise(value: torch.Tensor, width: float) -> torch.Tensor:
    """A soft step: 0 far below zero, 1 far above, with a transition of about four times `width`."""
    return torch.sigmoid(value / width)
