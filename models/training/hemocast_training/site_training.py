"""Trains a network a little further on a part of a cohort: low learning rate, averaged weights, early stop."""

from __future__ import annotations

import copy
import time
from typing import Callable, NamedTuple

import numpy as np
import torch
from torch import nn

from .augmentation import augment
from .data import Cohort
from .ema import ExponentialAverage
from .losses import classification_loss, generation_loss
from .optimization import make_optimizer

RATE = 1e-4
BATCH = 4
WARM_UP_STEPS = 20
PATIENCE = 3
"""Looks at the stopping fold without a new best before the training ends."""


class Fitted(NamedTuple):
    """The network (eval mode) after `steps` steps, and (steps, loss of the stopping fold) at every look."""

    network: nn.Module
    steps: int
    looks: list[tuple[int, float]]


class Tuner:
    """Steps of one network on the pairs `indices` of a cohort; the average of its weights is what counts.

    Generation and classification weigh 1 and 1. The auxiliary maps are unknown and stay unsupervised: they are what the
    simulated training left them, moved along by the rest.
    """

    def __init__(self, network: nn.Module, cohort: Cohort, indices: np.ndarray, seed: int, rate: float = RATE) -> None:
        self.model = copy.deepcopy(network)
        self.average = ExponentialAverage(self.model)
        self.cohort, self.indices, self.rate = cohort, indices, rate
        self.optimizer = make_optimizer(self.model, rate)
        self.rng = np.random.default_rng(seed)
        self.queue: list[int] = []
        self.steps = 0
        torch.manual_seed(seed)

    @property
    def steps_per_pass(self) -> int:
        """Steps that show every pair once."""
        return -(-len(self.indices) // BATCH)

    def step(self) -> float:
        """One step; returns its loss."""
        self.model.train()
        while len(self.queue) < BATCH:
            self.queue += self.rng.permutation(self.indices).tolist()
        taken, self.queue = self.queue[:BATCH], self.queue[BATCH:]
        batch = augment(self.cohort.batch(taken), self.rng)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        output = self.model(batch.image)
        loss = generation_loss(output.generated, batch) + classification_loss(output.logit, batch)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimizer.step()
        self.average.update()
        self.steps += 1
        return float(loss.detach())


def fit_until_best(
    tuner: Tuner, stop: np.ndarray, seconds: float, progress: Callable[[int, float], None]
) -> Fitted:
    """Trains until the stopping fold has not improved for PATIENCE passes or time is up; returns the best moment.

    The untouched network competes: `steps` 0 means that training on did not help.
    """
    network = copy.deepcopy(tuner.average.model).eval()
    best = loss_on(network, tuner.cohort, stop)
    looks, kept, waited = [(0, best)], (network, 0), 0
    deadline = time.monotonic() + seconds
    while waited < PATIENCE and time.monotonic() < deadline:
        for _ in range(tuner.steps_per_pass):
            tuner.step()
            if time.monotonic() >= deadline:
                break
        now = loss_on(tuner.average.model.eval(), tuner.cohort, stop)
        looks.append((tuner.steps, now))
        progress(tuner.steps, now)
        waited += 1
        if now < best:
            best, kept, waited = now, (copy.deepcopy(tuner.average.model), tuner.steps), 0
    return Fitted(kept[0].eval(), kept[1], looks)


@torch.no_grad()
def loss_on(network: nn.Module, cohort: Cohort, indices: np.ndarray) -> float:
    """Generation and classification loss on pairs, unaugmented: the sum that training minimises."""
    total = 0.0
    for start in range(0, len(indices), BATCH):
        batch = cohort.batch(indices[start : start + BATCH].tolist())
        output = network(batch.image)
        loss = generation_loss(output.generated, batch) + classification_loss(output.logit, batch)
        total += float(loss) * len(batch.chance)
    return total / len(indices)
