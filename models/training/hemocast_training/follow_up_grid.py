"""The follow-up CT on the model grid of the initial one, moved by the registration.

The grid's weights (docs/bundle.md) work along the axes of the scan itself, a moved head does not lie along them. So the
follow-up is first read at points as dense as its own voxels, each between its two nearest slices, and those are then
averaged onto the grid by the same weights that serving uses. Unmoved, this gives what serving would read.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .head_grid import GRID_SHAPE, GRID_SPACING_MM, PAD_HU, PlaneVolume, grid_positions, to_model_grid
from .head_series import HeadSeries
from .registration import Rigid


def follow_up_on_grid(initial: HeadSeries, follow_up: HeadSeries, rigid: Rigid) -> np.ndarray:
    """float32 [24, 128, 128] HU; -1024 where the follow-up was not scanned."""
    volume = follow_up.series.volume
    native = (float(np.median(np.diff(volume.z))), volume.dy, volume.dx)
    parts = [max(1, round(grid / own)) for grid, own in zip(GRID_SPACING_MM, native)]
    x, y, z = grid_positions(initial.center)
    fine = [_finer(at, step, count) for at, step, count in zip((z, y, x), GRID_SPACING_MM, parts)]
    dense = np.empty([positions.size for positions in fine], np.float32)
    plane = np.stack(np.meshgrid(fine[2], fine[1], indexing="xy"), axis=-1)
    for i, height in enumerate(fine[0]):
        points = np.concatenate([plane, np.full((*plane.shape[:2], 1), height)], axis=-1) @ initial.series.axes
        dense[i] = read_at(volume, rigid.to_follow_up(points) @ follow_up.series.axes.T)
    count = fine[0].size
    read = PlaneVolume(
        dense, np.full(count, fine[2][0]), np.full(count, fine[1][0]), fine[0],
        GRID_SPACING_MM[2] / parts[2], GRID_SPACING_MM[1] / parts[1],
    )
    grid = to_model_grid(read, initial.center)
    assert grid.shape == GRID_SHAPE
    return grid


def read_at(volume: PlaneVolume, points: np.ndarray) -> np.ndarray:
    """HU at points [..., 3] (x, y, z in the volume's own axes): bilinear in the two nearest slices, linear between them.

    Every slice keeps its own first voxel, so gantry tilt and uneven distances are exact. -1024 outside the slices.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    below = np.clip(np.searchsorted(volume.z, z, side="right") - 1, 0, volume.z.size - 2)
    gap = np.diff(volume.z)[below]
    fraction = (z - volume.z[below]) / gap
    covered = (fraction >= -0.5) & (fraction <= 1.5)
    fraction = np.clip(fraction, 0, 1).astype(np.float32)
    values = [
        ndimage.map_coordinates(
            volume.hu,
            [index, (y - volume.y[index]) / volume.dy, (x - volume.x[index]) / volume.dx],
            order=1, mode="constant", cval=PAD_HU, output=np.float32,
        )
        for index in (below, below + 1)
    ]
    return np.where(covered, values[0] * (1 - fraction) + values[1] * fraction, np.float32(PAD_HU))


def _finer(positions: np.ndarray, step: float, count: int) -> np.ndarray:
    """`count` even positions for each one, centred on it: what its voxel is the mean of."""
    within = (np.arange(count) - (count - 1) / 2) * step / count
    return (positions[:, None] + within).ravel()
