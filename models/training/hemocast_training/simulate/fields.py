"""Smooth random fields in millimetres, and trilinear reading of lattices at arbitrary points.

Points are torch float32 [3, ...] in the order (z, y, x), mm from the anterior commissure.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft

HEAD_BOX_MM = np.array([[-125.0, 100.0], [-125.0, 130.0], [-100.0, 100.0]])
BRAIN_BOX_MM = np.array([[-70.0, 90.0], [-85.0, 120.0], [-80.0, 80.0]])


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
    """`count` independent Gaussian fields of zero mean and unit variance, smooth over `scale_mm`, fixed to the tissue.

    box: mm [3, 2] that the lattice covers; outside, the border values continue. Drawn on the CPU, so that a seed gives the same
    fields on every device.
    """

    def __init__(
        self, generator: np.random.Generator, count: int, scale_mm: float, spacing_mm: float, box=BRAIN_BOX_MM,
        device: torch.device = torch.device("cpu"),
    ):
        shape = tuple(fft.next_fast_len(int(np.ceil((high - low) / spacing_mm)) + 1, real=True) for low, high in box)
        noise = fft.rfftn(generator.standard_normal((count, *shape), dtype=np.float32), axes=(1, 2, 3))
        # A Gaussian blur is a product in the frequency domain; it wraps around the box.
        frequencies = [np.fft.fftfreq(n) for n in shape[:2]] + [np.fft.rfftfreq(shape[2])]
        for axis, frequency in enumerate(frequencies):
            blur = np.exp(-2.0 * (np.pi * frequency * scale_mm / spacing_mm) ** 2).astype(np.float32)
            noise *= blur.reshape([-1 if axis == a else 1 for a in range(3)])
        smooth = fft.irfftn(noise, s=shape, axes=(1, 2, 3))
        smooth -= smooth.mean(axis=(1, 2, 3), keepdims=True)
        smooth /= smooth.std(axis=(1, 2, 3), keepdims=True)
        self._lattice = torch.from_numpy(np.ascontiguousarray(smooth, dtype=np.float32)).to(device)
        self._origin = tuple(-low / spacing_mm for low, _ in box)
        self._spacing = spacing_mm

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """Values [count, n, r, k] at `points` [3, n, r, k]."""
        return read_lattice(self._lattice, points, self._origin, self._spacing)


def rise(value: torch.Tensor, width: float) -> torch.Tensor:
    """A soft step: 0 far below zero, 1 far above, with a transition of about four times `width`."""
    return torch.sigmoid(value / width)
