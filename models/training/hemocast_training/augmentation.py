"""Small, label-preserving changes of a training batch: what differs between scanners and between necks on a pillow."""

import numpy as np
import torch

from .losses import Batch

MAP_CELL = 4
"""Voxels per map cell: shifts are multiples of it, so that images and maps move together exactly."""


def augment(batch: Batch, rng: np.random.Generator) -> Batch:
    """Left-right flip, shifts of up to 12 mm, HU offset and gain, extra noise on the image (never on the target)."""
    image, follow_up, inside, maps, chance, measures, weight = batch
    if rng.random() < 0.5:
        image, follow_up, inside = (x.flip(-1) for x in (image, follow_up, inside))
        maps = None if maps is None else maps.flip(-1)
    rows, columns = int(rng.integers(-1, 2)), int(rng.integers(-2, 3))
    image = shift(image, rows * MAP_CELL, columns * MAP_CELL, -1024.0)
    follow_up, inside = (shift(x, rows * MAP_CELL, columns * MAP_CELL, 0.0) for x in (follow_up, inside))
    maps = None if maps is None else shift(maps, rows, columns, 0.0)

    noise = float(rng.uniform(0, 2.5)) if rng.random() < 0.5 else 0.0
    offset, gain = float(rng.normal(0, 1.0)), 1 + float(rng.normal(0, 0.008))
    present = (image > -1000).to(image.dtype)
    change = image * (gain - 1) + offset
    if noise:
        change = change + noise * torch.randn_like(image)
    return Batch(image + change * present, follow_up, inside, maps, chance, measures, weight)


def shift(x: torch.Tensor, rows: int, columns: int, pad: float) -> torch.Tensor:
    """Moves the last two axes by whole cells; what enters is `pad`, nothing wraps around."""
    if rows == 0 and columns == 0:
        return x
    moved = torch.full_like(x, pad)
    height, width = x.shape[-2:]
    to_rows, from_rows = spans(rows, height)
    to_columns, from_columns = spans(columns, width)
    moved[..., to_rows, to_columns] = x[..., from_rows, from_columns]
    return moved


def spans(offset: int, size: int) -> tuple:
    """(destination, source) slices of one axis for a shift by `offset`."""
    return slice(max(0, offset), size + min(0, offset)), slice(max(0, -offset), size - max(0, offset))
