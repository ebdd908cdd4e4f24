"""A convex last step: the classification head's linear part, refitted on the training cases after the training.

A time-boxed run stops while the linear weights on the map statistics are still moving. Given the network's logit, its
statistics and its logit of visible blood, the best linear combination is a ridge-penalised logistic regression, found
exactly. It is folded into the existing layers, so the graph does not change. The penalty, or no refit at all, is chosen by
validation cross-entropy.
"""

from typing import Dict, NamedTuple, Optional

import numpy as np
import torch
from scipy.optimize import minimize

from .data import Cohort
from .metrics import negative_log_likelihood
from .network import TinyNetwork

RIDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


class Summaries(NamedTuple):
    """What the network says about a cohort, by case: logits [n], read [n, 27] (26 statistics and the logit of visible
    blood), pooled [n, d], labels [n]."""

    logits: np.ndarray
    read: np.ndarray
    pooled: np.ndarray
    labels: np.ndarray


class Refit(NamedTuple):
    """New logit = scale * logit + read @ weights + offset. `ridge` None: nothing was refitted."""

    scale: float
    weights: np.ndarray
    offset: float
    ridge: Optional[float]

    def apply(self, summaries: Summaries) -> np.ndarray:
        """The refitted logits, [cases]."""
        return self.scale * summaries.logits + summaries.read @ self.weights + self.offset


@torch.no_grad()
def summarize(network: TinyNetwork, cohort: Cohort) -> Summaries:
    """One pass over a cohort."""
    outputs = [network(images) for images in cohort.images(2)]
    logits, statistics, blood, pooled = (
        torch.cat([getattr(output, name) for output in outputs]).numpy().astype(np.float64)
        for name in ("logit", "statistics", "blood", "pooled")
    )
    return Summaries(logits, np.column_stack([statistics, blood]), pooled, cohort.values("label").astype(np.float64))


def fit(train: Summaries, ridge: float) -> Refit:
    """Minimises cross-entropy + ridge * squared distance from "as trained" (scale 1, weights 0)."""
    start = np.zeros(train.read.shape[1] + 2)
    start[0] = 1.0

    def loss(parameters: np.ndarray):
        logits = parameters[0] * train.logits + train.read @ parameters[1:-1] + parameters[-1]
        error = (1 / (1 + np.exp(-logits)) - train.labels) / len(logits)
        away = parameters - start
        gradient = np.concatenate([[error @ train.logits], error @ train.read, [error.sum()]])
        value = negative_log_likelihood(train.labels, logits) + ridge * away[:-1] @ away[:-1]
        return value, gradient + 2 * ridge * np.append(away[:-1], 0)

    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return Refit(float(found[0]), found[1:-1], float(found[-1]), ridge)


def choose(train: Summaries, validation: Summaries) -> Refit:
    """The refit with the lowest validation cross-entropy; "as trained" competes and may win."""
    as_trained = Refit(1.0, np.zeros(train.read.shape[1]), 0.0, None)
    candidates = [as_trained] + [fit(train, ridge) for ridge in RIDGES]
    return min(candidates, key=lambda one: negative_log_likelihood(validation.labels, one.apply(validation)))


@torch.no_grad()
def fold(network: TinyNetwork, refit: Refit) -> None:
    """Writes a refit into the head: the layers before the sum are linear in it, so this is exact."""
    head = network.classifier
    for layer in (head.logit, head.direct, head.from_measures, head.from_blood):
        for parameter in layer.parameters():
            parameter.mul_(refit.scale)
    head.direct.weight.add_(torch.from_numpy(refit.weights[:-1]).float()[None])
    head.from_blood.weight.add_(float(refit.weights[-1]))
    head.direct.bias.add_(refit.offset)


def describe(refit: Refit, train: Summaries, validation: Summaries) -> Dict[str, object]:
    """What the metadata says about it."""
    return {
        "ridge": refit.ridge,
        "train_cases": len(train.labels),
        "validation_nll_as_trained": round(negative_log_likelihood(validation.labels, validation.logits), 4),
        "validation_nll_refitted": round(negative_log_likelihood(validation.labels, refit.apply(validation)), 4),
    }
