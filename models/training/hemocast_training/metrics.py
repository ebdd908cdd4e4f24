"""Figures of merit with bootstrap intervals. Labels are 0/1, probabilities 0..1, images HU."""

from typing import Callable, Dict, Optional, Tuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, ties count half; ValueError where only one class is present."""
    positive = np.asarray(labels) == 1
    count, others = int(positive.sum()), int((~positive).sum())
    if count == 0 or others == 0:
        raise ValueError("An AUC needs cases of both classes: simulate more cases.")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of cases on the right side of 0.5."""
    return float(((np.asarray(probabilities) > 0.5) == (np.asarray(labels) == 1)).mean())


def brier(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared difference of probability and outcome."""
    return float(((np.asarray(probabilities) - labels) ** 2).mean())


def sensitivity(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of the cases that bled with a probability above 0.5; ValueError where none bled."""
    bled = np.asarray(labels) == 1
    if not bled.any():
        raise ValueError("A sensitivity needs cases that bled: simulate more cases.")
    return float((np.asarray(probabilities)[bled] > 0.5).mean())


def specificity(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of the cases that did not bleed with a probability of at most 0.5; ValueError where all bled."""
    spared = np.asarray(labels) == 0
    if not spared.any():
        raise ValueError("A specificity needs cases that did not bleed: simulate more cases.")
    return float((np.asarray(probabilities)[spared] <= 0.5).mean())


def net_benefit(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> float:
    """Net benefit (Vickers and Elkin 2006) of acting at a probability of at least `threshold`, 0 < threshold < 1: true
    positives a case, less false positives weighed by the odds of the threshold."""
    acted, bled = np.asarray(probabilities) >= threshold, np.asarray(labels) == 1
    return float((acted & bled).mean() - (acted & ~bled).mean() * threshold / (1 - threshold))


def negative_log_likelihood(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean cross-entropy in nats."""
    return float(np.mean(np.logaddexp(0, logits) - np.asarray(labels) * logits))


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over bins of equal count: mean |forecast - frequency|, weighted by count.

    It is biased upwards in small samples: read it beside `chance_calibration_error`.
    """
    order = np.argsort(probabilities, kind="stable")
    error = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            error += len(part) * abs(np.mean(np.asarray(probabilities)[part]) - np.mean(np.asarray(labels)[part]))
    return float(error / len(order))


def chance_calibration_error(probabilities: np.ndarray, seed: int, draws: int = 200) -> float:
    """The calibration error that chance alone gives these forecasts: mean over outcomes drawn from them."""
    rng, forecast = np.random.default_rng(seed), np.asarray(probabilities)
    return float(np.mean([calibration_error(rng.random(len(forecast)) < forecast, forecast) for _ in range(draws)]))


def calibration_line(labels: np.ndarray, probabilities: np.ndarray, fixed_slope: bool = False) -> Tuple[float, float]:
    """(slope, intercept) of outcome ~ logistic(slope * logit(p) + intercept), Cox 1958; 1 and 0 are perfect.

    A slope below 1: too extreme. With `fixed_slope` (1), the intercept is calibration in the large: above 0, too low.
    ValueError where one class is absent or the fit diverges because the forecasts separate the classes.
    """
    labels = np.asarray(labels, np.float64)
    logits = logit(np.clip(np.asarray(probabilities, np.float64), 1e-6, 1 - 1e-6))
    if labels.min() == labels.max():
        raise ValueError("A calibration line needs cases of both classes: simulate more cases.")
    design = np.stack([logits, np.ones_like(logits)], 1)[:, int(fixed_slope):]
    offset = logits if fixed_slope else 0.0
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        fitted = expit(design @ weights + offset)
        curvature = design.T @ (design * (fitted * (1 - fitted))[:, None])
        try:
            step = np.linalg.solve(curvature, design.T @ (labels - fitted))
        except np.linalg.LinAlgError as error:
            raise ValueError("The forecasts separate the classes: a calibration line does not exist.") from error
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            return (1.0, float(weights[0])) if fixed_slope else (float(weights[0]), float(weights[1]))
    raise ValueError("The fit of the calibration line did not converge.")


def bootstrap(
    figure: Callable[[np.ndarray], float], count: int, seed: int, resamples: int = 1000, level: float = 0.95, biased: bool = False,
    heads: Optional[np.ndarray] = None,
) -> Dict[str, float]:
    """{value, low, high}: `figure` of an index array, with a percentile interval over resampled cases.

    biased: a resample repeats cases, so a figure that noise can only raise (a calibration error) is higher in all of them than in
    the sample; the interval is then moved by the mean difference, not below 0.

    heads: number of the head of each case; heads are then resampled first, and of each drawn one its cases. With few heads such an
    interval is crude, but it holds how far heads differ, which resampled cases cannot.

    Resamples in which the figure is undefined (a single class) are drawn again; ValueError where most of them are.
    """
    rng = np.random.default_rng(seed)
    groups = [np.arange(count)] if heads is None else [np.flatnonzero(heads == head) for head in np.unique(heads)]
    values = []
    undefined = 0
    while len(values) < resamples:
        try:
            drawn = [groups[index] for index in rng.integers(0, len(groups), len(groups))]
            value = figure(np.concatenate([cases[rng.integers(0, len(cases), len(cases))] for cases in drawn]))
        except ValueError:
            undefined += 1
            if undefined > 2 * resamples:
                raise
            continue
        if np.isfinite(value):
            values.append(value)
    tail = (1 - level) / 2 * 100
    low, high = np.percentile(values, [tail, 100 - tail])
    value = figure(np.arange(count))
    if biased:
        low, high = (max(0.0, end - (float(np.mean(values)) - value)) for end in (low, high))
    return {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
