"""Calibration on validation cases: a temperature and a bias, and a bootstrap that says how uncertain both are.

The bias matters: the bootstrap refits it, so without it in the forecast an interval need not contain its own probability.
"""

from typing import Dict, List, NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from .metrics import calibration_error, negative_log_likelihood

TEMPERATURES = (0.2, 5.0)
REFITS = 100
LEVEL = 0.9
SLOPE_PRIOR = 0.02
"""Ridge on (a - 1/T)^2 and b^2, per case: keeps a refit finite where a resample happens to be separable."""


class Calibration(NamedTuple):
    """sigmoid(logit / temperature + bias), temperature > 0; affine pairs (a, b) of the refits, for sigmoid(a * logit + b);
    `figures` before and after; prevalence 0..1."""

    temperature: float
    bias: float
    affine: List[List[float]]
    prevalence: float
    figures: Dict[str, float]
    method: str


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """T in 0.2..5 that minimises the cross-entropy of sigmoid(logit / T) (Guo et al. 2017)."""
    bounds = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(labels, logits / np.exp(log_t)), bounds=bounds, method="bounded"
    )
    return float(np.exp(found.x))


def fit_affine(labels: np.ndarray, logits: np.ndarray, slope: float) -> List[float]:
    """[a, b] of sigmoid(a * logit + b) by penalised maximum likelihood around (slope, 0); 1 / a stays in TEMPERATURES, so a
    network that learned nothing is made flat, never turned around."""

    def loss(pair: np.ndarray) -> float:
        penalty = SLOPE_PRIOR * ((pair[0] - slope) ** 2 + pair[1] ** 2)
        return negative_log_likelihood(labels, pair[0] * logits + pair[1]) + penalty

    slopes = (1 / TEMPERATURES[1], 1 / TEMPERATURES[0])
    a, b = minimize(loss, np.array([slope, 0.0]), method="L-BFGS-B", bounds=(slopes, (None, None))).x
    return [round(float(a), 6), round(float(b), 6)]


def calibrate(labels: np.ndarray, logits: np.ndarray, heads: np.ndarray, seed: int = 0) -> Calibration:
    """Temperature, bias and 100 bootstrap refits; labels 0/1, raw logits and head numbers, all [n].

    ValueError with fewer than 20 cases or a single class. Heads are resampled as clusters where there are at least
    eight of them; with fewer, resampling clusters says nothing, so cases are resampled and the method sentence says
    what that leaves out.
    """
    labels, logits, heads = (np.asarray(values, np.float64) for values in (labels, logits, heads))
    if len(labels) < 20 or len(set(labels.tolist())) < 2:
        raise ValueError(f"Calibration needs at least 20 cases of both classes, got {len(labels)}: simulate more.")
    start = 1 / fit_temperature(labels, logits)
    slope, bias = fit_affine(labels, logits, start)
    rng = np.random.default_rng(seed)
    distinct = np.unique(heads)
    clustered = len(distinct) >= 8
    affine: List[List[float]] = []
    while len(affine) < REFITS:
        if clustered:
            drawn = rng.choice(distinct, len(distinct))
            index = np.concatenate([np.flatnonzero(heads == head) for head in drawn])
        else:
            index = rng.integers(0, len(labels), len(labels))
        if len(set(labels[index].tolist())) == 2:
            affine.append(fit_affine(labels[index], logits[index], start))
    after_logits = slope * logits + bias
    before, after = expit(logits), expit(after_logits)
    figures = {
        "cases": len(labels),
        "ece_before": round(calibration_error(labels, before), 4),
        "ece_after": round(calibration_error(labels, after), 4),
        "nll_before": round(negative_log_likelihood(labels, logits), 4),
        "nll_after": round(negative_log_likelihood(labels, after_logits), 4),
    }
    return Calibration(1 / slope, bias, affine, round(float(labels.mean()), 4), figures, describe(distinct, clustered))


def describe(heads: np.ndarray, clustered: bool) -> str:
    """The `interval.method` sentence: what was resampled and what the interval therefore leaves out."""
    if clustered:
        unit = f"resamples of whole heads ({len(heads)})"
    else:
        unit = f"resamples of simulated validation cases ({len(heads)} head anatomies, too few to resample as clusters)"
    return (
        f"Central 90 % of logistic recalibrations refitted on {REFITS} bootstrap {unit}: it covers the uncertainty of "
        "the calibration only, not differences between anatomies, training runs, scanners, or simulated and real "
        "patients."
    )
