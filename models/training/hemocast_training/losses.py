"""The losses: generation, classification and the dense auxiliary maps.

Generation is an L1 over the inside of the skull with hyperdense voxels weighing more, plus structural dissimilarity.
The weight is part of one normalised mean: a separately normalised "hot" loss made halos around lesions.
"""

from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from .network.config import MAP_NAMES
from .network.generator import TISSUE_HU

HOT_HU = 50.0
HOT_WEIGHT = 4.0
L1_UNIT_HU = 5.0
SSIM_WEIGHT = 0.2
DYNAMIC_RANGE_HU = 120.0
SURE = 0.98
"""No forecast is trained to be surer than this, in either direction."""

MAP_UNITS_HU = {"iodine": 10.0, "texture": 4.0}
DENSE_CELL_HU = 45.0
BLOOD_CELLS = 5
"""Cells of the initial blood map (0.18 mL each) whose mean decides whether a case shows blood."""

SHARE_OF_FLOOR = 0.4
"""Part of the no-change loss taken as the floor of generation: what stays unpredictable about the follow-up."""

CLASSIFICATION_FLOOR = 0.25
"""Cross-entropy (nats) of a near-perfect forecast of this outcome; the rest is chance."""


class Batch(NamedTuple):
    """image, follow_up, inside [n, 24, 128, 128] (HU, HU clipped to tissue, 0/1); maps [n, 6, 24, 32, 32] in their units
    (HU, HU, fractions), None for a hospital's pairs; chance [n] of hemorrhage, the simulator's true probability or a
    hospital's outcome 0/1; measures [n, 6] standardised, NaN where a case has none; weight [n], how much a case counts: 1 but
    where the cohort has another case mix than patients. Simulated follow-ups are free of noise."""

    image: Tensor
    follow_up: Tensor
    inside: Tensor
    maps: Optional[Tensor]
    chance: Tensor
    measures: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(*(None if tensor is None else tensor.to(device) for tensor in self))


def voxel_weights(batch: Batch) -> Tensor:
    """[n, 24, 128, 128]: 0 outside the skull, 1 inside, 4 where the image or its follow-up exceeds 50 HU (3x3 mean)."""
    brighter = torch.maximum(batch.image.clamp(*TISSUE_HU), batch.follow_up)
    hot = (F.avg_pool2d(brighter, 3, 1, 1) > HOT_HU).to(brighter.dtype)
    return batch.inside * (1 + (HOT_WEIGHT - 1) * hot)


def generation_loss(generated: Tensor, batch: Batch) -> Tensor:
    """Weighted L1 / 5 HU + 0.2 (1 - SSIM), a scalar near 1 for a copy of the input. Cases count in the L1 by their weight, in the
    SSIM alike."""
    weights = voxel_weights(batch)
    absolute = ((generated - batch.follow_up).abs() * weights * batch.weight[:, None, None, None]).sum() / (weights.sum() + 1)
    similarity = ssim(generated.clamp(*TISSUE_HU), batch.follow_up, batch.inside)
    return absolute / L1_UNIT_HU + SSIM_WEIGHT * (1 - similarity)


def ssim(a: Tensor, b: Tensor, inside: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004) in the slice over `inside`, 7x7 uniform windows every 3 voxels.

    The dynamic range is DYNAMIC_RANGE_HU (-20..100).
    """
    c1, c2 = (0.01 * DYNAMIC_RANGE_HU) ** 2, (0.03 * DYNAMIC_RANGE_HU) ** 2

    def local(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, 3)

    mean_a, mean_b = local(a), local(b)
    variance_a, variance_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    index = numerator / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
    weights = local(inside)
    return (index * weights).sum() / (weights.sum() + 1e-3)


def classification_loss(logit: Tensor, batch: Batch) -> Tensor:
    """Weighted cross-entropy (nats) of logit [n] against the chance of hemorrhage: an outcome 0/1, or the simulator's
    probability, which has the same mean and none of the outcome's chance."""
    return F.binary_cross_entropy_with_logits(logit, batch.chance.clamp(1 - SURE, SURE), batch.weight)


def auxiliary_loss(map_logits: Tensor, batch: Batch) -> Tensor:
    """Dense supervision of the six maps the simulator knows; map_logits and batch.maps [n, 6, 24, 32, 32].

    HU maps by a smooth L1 that weighs lesions more, fractions by cross-entropy and a soft Dice term. These heads exist
    only in training: the exported graph keeps the maps that the classification head reads, not the supervision.
    Blood on the initial CT is a few cells in every sixth case. Weighed like the other fractions its map stays empty (Dice 0
    after 12,000 pairs), so the cells where it is decided, the dense ones, and the blood itself weigh more. Zero where the maps are unknown (a hospital's pairs).
    """
    if batch.maps is None:
        return map_logits.new_zeros(())
    inside = F.avg_pool2d(batch.inside, 4)
    stained = inside + 5 * (batch.maps[:, 0] > 4).to(inside.dtype)
    loss = map_logits.new_zeros(())
    for index, name in enumerate(MAP_NAMES):
        target, raw = batch.maps[:, index], map_logits[:, index]
        if name in MAP_UNITS_HU:
            error = F.smooth_l1_loss(F.softplus(raw), target / MAP_UNITS_HU[name], reduction="none", beta=0.3)
            share = 1.0 if name == "iodine" else 0.5
            loss = loss + share * (error * stained).sum() / (stained.sum() + 1)
        else:
            weights, share = inside + 4 * target, 0.5
            if name == "blood_initial":
                dense = F.avg_pool2d(batch.image.clamp(*TISSUE_HU), 4) > DENSE_CELL_HU
                weights, share = inside * (0.25 + 3 * dense) + 40 * target, 1.0
            error = F.binary_cross_entropy_with_logits(raw, target, reduction="none")
            loss = loss + share * (error * weights).sum() / (weights.sum() + 1)
            fraction = torch.sigmoid(raw)
            overlap = (2 * (fraction * target).sum() + 5) / ((fraction + target).sum() + 5)
            loss = loss + 0.15 * (1 - overlap)
    return loss


def measures_loss(read: Tensor, batch: Batch) -> Tensor:
    """Smooth L1 of the severity measures read from the image, read and batch.measures [n, 6]; cases without them (NaN: no
    visible staining, a hospital's pairs) do not count."""
    known = torch.isfinite(batch.measures)
    target = torch.where(known, batch.measures, torch.zeros_like(batch.measures)).clamp(-3.0, 3.0)
    error = F.smooth_l1_loss(read, target, reduction="none", beta=0.5) * known
    return error.sum() / known.sum().clamp(min=1)


def blood_loss(read: Tensor, batch: Batch) -> Tensor:
    """Weighted cross-entropy (nats) of the logit read [n] against "the initial CT shows blood"; zero where nobody knows it (a
    hospital's pairs)."""
    if batch.maps is None:
        return read.new_zeros(())
    cells = batch.maps[:, MAP_NAMES.index("blood_initial")].flatten(1)
    visible = (cells.topk(BLOOD_CELLS, 1)[0].mean(1) > 0.25).to(read.dtype)
    return F.binary_cross_entropy_with_logits(read, visible, batch.weight)
