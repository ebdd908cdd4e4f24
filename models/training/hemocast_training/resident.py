"""A cohort that lives on the GPU: an epoch then costs no copy, and augmentation runs where the network does."""

from typing import List, Sequence

import numpy as np
import torch
from torch import Tensor

from .augmentation import augment
from .data import Cohort
from .losses import Batch
from .network.config import MAP_NAMES, MATRIX, SLICES

AUGMENTED_TOGETHER = 4
"""Pairs that share one draw of flip, shift, gain and noise; a larger batch is made of several such groups."""


class Feed:
    """Augmented batches of a cohort on a device. On a GPU, all pairs are kept there (1.7 MB each)."""

    def __init__(self, cohort: Cohort, device: torch.device) -> None:
        self.cohort, self.device = cohort, device
        self.held: List[Tensor] = []
        self.refresh()

    def __len__(self) -> int:
        return len(self.held[0]) if self.held else len(self.cohort)

    def refresh(self) -> None:
        """Takes up pairs that appeared since the last call."""
        self.cohort.refresh()
        if self.device.type != "cuda" or not self.cohort.simulated:
            return
        cohort, first = self.cohort, len(self.held[0]) if self.held else 0
        if len(cohort) == first:
            return
        arrays = (
            np.stack(cohort.initial[first:]),
            np.stack(cohort.follow_up[first:]),
            np.stack(cohort.inside[first:]),
            np.stack(cohort.maps[first:]),
            np.array(cohort.scalars["bayes"][first:], np.float32),
            np.stack(cohort.measures[first:]),
            np.array(cohort.scalars["weight"][first:], np.float32),
        )
        added = [torch.from_numpy(array).to(self.device) for array in arrays]
        if not self.held:
            self.held = added
        for number, more in enumerate(added if first else []):
            self.held[number] = torch.cat([self.held[number], more])  # one by one: two copies of all may not fit

    def batch(self, indices: Sequence[int], rng: np.random.Generator) -> Batch:
        """The pairs `indices`, augmented, on the device."""
        groups = [indices[start : start + AUGMENTED_TOGETHER] for start in range(0, len(indices), AUGMENTED_TOGETHER)]
        parts = [augment(self.pairs(group), rng) for group in groups]
        if len(parts) == 1:
            return parts[0].to(self.device)
        joined = [None if tensors[0] is None else torch.cat(tensors) for tensors in zip(*parts)]
        return Batch(*joined).to(self.device)

    def pairs(self, indices: Sequence[int]) -> Batch:
        """The same, unaugmented; on the device where the pairs are held there."""
        if not self.held:
            return self.cohort.batch(indices)
        chosen = torch.as_tensor(np.asarray(indices), device=self.device)
        image, follow_up, inside, maps, chance, measures, weight = (tensor.index_select(0, chosen) for tensor in self.held)
        maps = maps.float()
        maps[:, len(MAP_NAMES) - 4 :] /= 255
        return Batch(image.float(), follow_up.float(), unpack(inside), maps, chance, measures, weight)


def unpack(bits: Tensor) -> Tensor:
    """uint8 [n, bytes] as numpy.packbits leaves them -> float [n, 24, 128, 128] of 0 and 1."""
    places = torch.arange(7, -1, -1, device=bits.device, dtype=torch.uint8)
    return ((bits[..., None] >> places) & 1).float().reshape(-1, SLICES, MATRIX, MATRIX)
