"""What a hospital's cross-validation says: forecasts of patients a network has not seen, with intervals over patients."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple

import numpy as np
from scipy.special import expit, logit

from .calibrate import fit_temperature
from .metrics import accuracy, auc, brier, calibration_error

RESAMPLES = 1000
SEED = 2026
SLOPE_PENALTY = 0.01
"""Ridge on the slope's distance from 1, per pair: keeps it finite where a resample happens to be separable."""
NEWTON_STEPS = 15


class OutOfFold(NamedTuple):
    """Per pair, from the network that has not seen its patient: labels 0/1, patients, fold numbers, raw logits, and the
    logits of the network before fine-tuning. Generation: mean absolute error (HU) inside the skull where the initial scan
    is hot and 8 mm around it, of the network and of "no change"; NaN where nothing is hot."""

    labels: np.ndarray
    patients: np.ndarray
    fold: np.ndarray
    logits: np.ndarray
    start_logits: np.ndarray
    error: np.ndarray
    error_no_change: np.ndarray


def cross_fitted(labels: np.ndarray, logits: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Probabilities whose temperature was fitted on the other folds only."""
    probabilities = np.empty(len(logits))
    for number in np.unique(fold):
        here = fold == number
        probabilities[here] = expit(logits[here] / fit_temperature(labels[~here], logits[~here]))
    return probabilities


def site_evaluation(found: OutOfFold, resamples: int = RESAMPLES) -> Dict[str, Any]:
    """Figures {value, low, high} of the fine-tuned network, of the one it started from, and their difference (paired)."""
    tuned = cross_fitted(found.labels, found.logits, found.fold)
    start = cross_fitted(found.labels, found.start_logits, found.fold)
    over = lambda figure: patient_bootstrap(figure, found.patients, resamples)
    labels = found.labels
    hot = np.isfinite(found.error)
    gain = lambda i: float(np.mean(found.error[i][hot[i]]) / np.mean(found.error_no_change[i][hot[i]]))
    return {
        "finetuned": {name: over(lambda i, f=f: f(labels[i], tuned[i])) for name, f in FIGURES.items()},
        "before_finetuning": {name: over(lambda i, f=f: f(labels[i], start[i])) for name, f in FIGURES.items()},
        "gain": {
            "auc": over(lambda i: auc(labels[i], tuned[i]) - auc(labels[i], start[i])),
            "brier": over(lambda i: brier(labels[i], tuned[i]) - brier(labels[i], start[i])),
        },
        "generation": {
            "pairs_with_hot_region": int(hot.sum()),
            "mae_hot_8mm_over_no_change": over(gain) if hot.sum() >= 10 else None,
        },
    }


def calibration_slope(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Slope of a logistic recalibration (penalised towards 1, Newton's method): below 1 the forecasts are too extreme.

    ValueError with a single outcome.
    """
    if len(set(np.asarray(labels).tolist())) < 2:
        raise ValueError("a calibration slope needs both outcomes")
    x = np.stack([logit(np.clip(probabilities, 1e-6, 1 - 1e-6)), np.ones(len(labels))])
    found = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        expected = expit(found @ x)
        gradient = x @ (expected - labels) / len(labels) + SLOPE_PENALTY * (found - [1.0, 0.0])
        curvature = (x * (expected * (1 - expected))) @ x.T / len(labels) + SLOPE_PENALTY * np.eye(2)
        found = found - np.linalg.solve(curvature, gradient)
    return float(found[0])


def mean_excess(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean forecast minus observed frequency: above 0, too many hemorrhages are forecast."""
    return float(np.mean(probabilities) - np.mean(labels))


FIGURES: Dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auc": auc,
    "accuracy": accuracy,
    "brier": brier,
    "ece": calibration_error,
    "calibration_slope": calibration_slope,
    "mean_excess": mean_excess,
}


def patient_bootstrap(figure: Callable[[np.ndarray], float], patients: np.ndarray, resamples: int) -> Dict[str, float]:
    """{value, low, high}: a figure of an index array, with a 95 % percentile interval over resampled patients.

    Resamples in which the figure is undefined (one outcome only) are drawn again.
    """
    members = [np.flatnonzero(patients == patient) for patient in np.unique(patients)]
    rng = np.random.default_rng(SEED)
    values: list[float] = []
    while len(values) < resamples:
        index = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        try:
            value = figure(index)
        except ValueError:
            continue
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, [2.5, 97.5])
    whole = figure(np.arange(len(patients)))
    return {"value": round(float(whole), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
