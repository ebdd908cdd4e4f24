"""The model grid: where a head CT is centred, how it is read onto 24 x 128 x 128 voxels, and the way back.

Everything here follows docs/bundle.md ("The model grid"); api/imaging does the same in TypeScript.
Arrays are `[slice][row][column]`, +S, +P, +L; positions are millimetres in the axes of the image planes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .resample import resample_axis, resampling_weights

GRID_SHAPE = (24, 128, 128)
GRID_SPACING_MM = (5.0, 1.5, 1.5)
PAD_HU = -1024.0
BONE_HU = 300.0
VERTEX_BONE_MM2 = 300.0
EDITABLE_HU = (-20.0, 150.0)


class NotAHead(ValueError):
    """The volume has no calvarium where the centring rule looks for one."""


@dataclass(frozen=True)
class PlaneVolume:
    """A CT series in the axes of its own image planes (docs/bundle.md, "Axes").

    hu: float32 [n, rows, columns], rows to +P, columns to +L, slices to +S.
    x, y: [n] position of the first column and the first row of each slice, mm; they differ between slices when tilted.
    z: [n] increasing slice positions along the plane normal, mm.
    dx, dy: column and row spacing in mm.
    """

    hu: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    dx: float
    dy: float

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or self.hu.shape[0] < 2:
            raise ValueError("a volume needs at least two slices of one size; got shape %s" % (self.hu.shape,))
        if not (np.diff(self.z) > 0).all():
            raise ValueError("slice positions must increase; two slices share a position or the order is wrong")


def cell_thickness(z: np.ndarray) -> np.ndarray:
    """Thickness in mm that each slice stands for: half the distance to each neighbour; at an end half the one gap."""
    gaps = np.diff(z)
    return (np.concatenate([[0.0], gaps]) + np.concatenate([gaps, [0.0]])) / 2


def slice_spacing(z: np.ndarray) -> np.ndarray:
    """Native spacing at each slice in mm: the mean of its two gaps; at an end the one gap."""
    gaps = np.diff(z)
    return (np.concatenate([[gaps[0]], gaps]) + np.concatenate([gaps, [gaps[-1]]])) / 2


def calvarium_center(volume: PlaneVolume) -> tuple[float, float, float]:
    """Centre (cx, cy, cz) in mm of the model grid by the rule `calvarium-v1`; NotAHead when no calvarium is found."""
    bone = volume.hu > BONE_HU
    area = bone.sum(axis=(1, 2)) * volume.dx * volume.dy
    z = volume.z
    enough = np.nonzero(area >= VERTEX_BONE_MM2)[0]
    if enough.size == 0:
        raise NotAHead("no slice holds %g mm2 of bone (HU > %g): not a head CT" % (VERTEX_BONE_MM2, BONE_HU))
    top = int(enough[-1])
    if top + 1 < z.size:
        vertex = z[top] + (z[top + 1] - z[top]) * (area[top] - VERTEX_BONE_MM2) / (area[top] - area[top + 1])
    else:
        vertex = z[top] + (z[top] - z[top - 1]) / 2
    used = (z >= vertex - 100.0) & (z <= vertex - 20.0)
    weight = cell_thickness(z) * used
    rows, columns = bone.sum(axis=2), bone.sum(axis=1)
    count = bone.sum(axis=(1, 2))
    total = float((weight * count).sum())
    if total == 0:
        raise NotAHead("no bone between 20 and 100 mm below the vertex: not a head CT")
    sum_x = volume.x * count + volume.dx * (columns @ np.arange(columns.shape[1]))
    sum_y = volume.y * count + volume.dy * (rows @ np.arange(rows.shape[1]))
    return float((weight * sum_x).sum() / total), float((weight * sum_y).sum() / total), float(vertex - 56.0)


def grid_positions(center: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxel centres (x [128], y [128], z [24]) in mm of the model grid around `center` = (cx, cy, cz)."""
    cx, cy, cz = center
    slices, rows, columns = (np.arange(n) - (n - 1) / 2 for n in GRID_SHAPE)
    dz, dy, dx = GRID_SPACING_MM
    return cx + columns * dx, cy + rows * dy, cz + slices * dz


def to_model_grid(volume: PlaneVolume, center: tuple[float, float, float] | None = None) -> np.ndarray:
    """Read the volume on the model grid: float32 [24, 128, 128] HU, -1024 outside. Centred by calvarium-v1 by default."""
    grid_x, grid_y, grid_z = grid_positions(calvarium_center(volume) if center is None else center)
    n, rows, columns = volume.hu.shape
    planes = np.empty((n, grid_y.size, grid_x.size), dtype=np.float32)
    for i in range(n):
        wx = resampling_weights(volume.x[i] + np.arange(columns) * volume.dx, grid_x, GRID_SPACING_MM[2])
        wy = resampling_weights(volume.y[i] + np.arange(rows) * volume.dy, grid_y, GRID_SPACING_MM[1])
        planes[i] = resample_axis(resample_axis(volume.hu[i], wx, 1, PAD_HU), wy, 0, PAD_HU)
    return resample_axis(planes, resampling_weights(volume.z, grid_z, GRID_SPACING_MM[0]), 0, PAD_HU)


def add_to_native(volume: PlaneVolume, delta: np.ndarray, center: tuple[float, float, float]) -> np.ndarray:
    """Add a change on the model grid to the native CT: float32 HU of the shape of `volume.hu`.

    delta: float32 [24, 128, 128] HU, follow-up minus image on the grid centred at `center`.
    Voxels whose native HU lies outside -20..150, and voxels outside the grid, keep their value exactly.
    """
    grid_x, grid_y, grid_z = grid_positions(center)
    n, rows, columns = volume.hu.shape
    planes = resample_axis(delta, resampling_weights(grid_z, volume.z, slice_spacing(volume.z)), 0, 0.0)
    result = volume.hu.astype(np.float32, copy=True)
    for i in range(n):
        wy = resampling_weights(grid_y, volume.y[i] + np.arange(rows) * volume.dy, volume.dy)
        wx = resampling_weights(grid_x, volume.x[i] + np.arange(columns) * volume.dx, volume.dx)
        change = resample_axis(resample_axis(planes[i], wx, 1, 0.0), wy, 0, 0.0)
        editable = (result[i] >= EDITABLE_HU[0]) & (result[i] <= EDITABLE_HU[1])
        result[i][editable] += change[editable]
    return result
