"""Separable resampling of CT volumes, one axis at a time: the formulas of docs/bundle.md, "Resampling weights".

The TypeScript service implements the same closed form (api/imaging/resample.ts); the golden vectors hold both to
1e-12 in the weights. Weights are computed in float64 and applied in float32.
"""

from __future__ import annotations

import numpy as np

# A narrower box is rounding error in the positions; dividing by its width would cancel to noise.
NARROWEST_BOX_MM = 1e-6


def resampling_weights(positions: np.ndarray, outputs: np.ndarray, spacing: float | np.ndarray) -> np.ndarray:
    """Weights that read samples at `positions` at the places `outputs`.

    positions: [n] increasing sample positions in mm, n >= 2.
    outputs: [m] output positions in mm, any order.
    spacing: output voxel size in mm, one number or [m].
    Returns float64 [m, n]. A row sums to 1 inside the sampled range and to less where the output voxel reaches past it;
    the missing part takes the pad value (see `resample_axis`).
    Raises ValueError when the positions are fewer than two or not increasing.
    """
    positions = np.asarray(positions, dtype=np.float64)
    outputs = np.asarray(outputs, dtype=np.float64)
    if positions.ndim != 1 or positions.size < 2:
        raise ValueError("resampling needs at least two sample positions along an axis; got %d" % positions.size)
    gaps = np.diff(positions)
    if not (np.isfinite(positions).all() and (gaps > 0).all()):
        raise ValueError("sample positions must be finite and strictly increasing; sort the slices and drop duplicates")
    containing = np.clip(np.searchsorted(positions, outputs, side="right") - 1, 0, positions.size - 2)
    width = np.asarray(spacing, dtype=np.float64) - gaps[containing]
    width = np.where(width >= NARROWEST_BOX_MM, width, 0.0)
    low, high = outputs - width / 2, outputs + width / 2
    boxed = width > 0
    weights = _hat(positions, gaps, outputs)
    if boxed.any():
        area = _hat_integral(positions, gaps, high[boxed]) - _hat_integral(positions, gaps, low[boxed])
        weights[boxed] = area / width[boxed, None]
    return weights


def resample_axis(volume: np.ndarray, weights: np.ndarray, axis: int, pad: float) -> np.ndarray:
    """Apply `weights` [m, n] along `axis` (length n) of `volume`; the part of a row that is missing to 1 reads `pad`.

    Returns float32 with length m along `axis`.
    """
    applied = np.moveaxis(volume.astype(np.float32, copy=False), axis, -1) @ weights.T.astype(np.float32)
    applied += ((1.0 - weights.sum(axis=1)) * pad).astype(np.float32)
    return np.moveaxis(applied, -1, axis)


def _hat(positions: np.ndarray, gaps: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Value of every sample's hat function at the points `at`: float64 [len(at), n]."""
    n = positions.size
    inside = np.clip(np.searchsorted(positions, at, side="right") - 1, 0, n - 2)
    fraction = np.clip((at - positions[inside]) / gaps[inside], 0.0, 1.0)
    covered = (at >= positions[0] - gaps[0] / 2) & (at <= positions[-1] + gaps[-1] / 2)
    values = np.zeros((at.size, n))
    rows = np.arange(at.size)
    values[rows, inside] = (1.0 - fraction) * covered
    values[rows, inside + 1] += fraction * covered
    return values


def _hat_integral(positions: np.ndarray, gaps: np.ndarray, upto: np.ndarray) -> np.ndarray:
    """Integral of every sample's hat function from far below up to the points `upto`: float64 [len(upto), n].

    A hat rises over the gap below its sample and falls over the gap above; the first and the last sample have a flat
    shoulder of half their one gap instead, which continues the image to the edge of its outermost voxel.
    """
    x = upto[:, None]
    below = np.concatenate([[gaps[0]], gaps])
    above = np.concatenate([gaps, [gaps[-1]]])
    rise = np.clip((x - positions + below) / below, 0.0, 1.0)
    fall = np.clip((x - positions) / above, 0.0, 1.0)
    integral = below * rise**2 / 2 + above * (fall - fall**2 / 2)
    first, last = np.clip(upto - positions[0], -gaps[0] / 2, 0), np.clip(upto - positions[-1], 0, gaps[-1] / 2)
    integral[:, 0] = gaps[0] / 2 + first + above[0] * (fall[:, 0] - fall[:, 0] ** 2 / 2)
    integral[:, -1] = below[-1] * rise[:, -1] ** 2 / 2 + last
    return integral
