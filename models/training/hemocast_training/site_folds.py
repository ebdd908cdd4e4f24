"""Folds of a hospital's pairs: by patient, balanced by outcome, and what is too little to learn from."""

from __future__ import annotations

from typing import Iterator, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from .refusal import Refused

MIN_PATIENTS = 30
MIN_PATIENTS_PER_OUTCOME = 10
"""What makes folds, temperature and intervals computable at all. What makes them useful is several times as much."""


class Fold(NamedTuple):
    """Indices of pairs: to train on, to decide when to stop, and to forecast without having seen them."""

    train: np.ndarray
    stop: np.ndarray
    held_out: np.ndarray


def refuse_too_few(labels: np.ndarray, patients: np.ndarray, folds: int) -> None:
    """Refused by name where there are too few patients, or too few of one outcome."""
    if folds < 3:
        raise Refused("too-few-folds", "one fold is held out and one decides when to stop: at least 3 are needed")
    count = len(set(patients.tolist()))
    bled = len(set(patients[labels == 1].tolist()))
    dry = len(set(patients[labels == 0].tolist()))
    if bled == 0 or dry == 0:
        raise Refused("one-outcome-only", "all %d pairs have the same label: nothing can be learned from them" % len(labels))
    if count < MIN_PATIENTS:
        raise Refused("too-few-patients", "%d patients, at least %d are needed" % (count, MIN_PATIENTS))
    if min(bled, dry) < MIN_PATIENTS_PER_OUTCOME:
        reason = "%d patients bled and %d did not, at least %d of each are needed"
        raise Refused("too-few-of-one-outcome", reason % (bled, dry, MIN_PATIENTS_PER_OUTCOME))


def folds_by_patient(labels: np.ndarray, patients: np.ndarray, count: int, seed: int) -> Iterator[Fold]:
    """`count` folds; a patient's pairs are never in two parts. The fold after the held-out one decides when to stop: a
    fold that chose the moment to stop would flatter the forecasts of its own patients."""
    people = np.unique(patients)
    bled = np.array([labels[patients == one].max() for one in people])
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    parts = [np.flatnonzero(np.isin(patients, people[chosen])) for _, chosen in splitter.split(people, bled)]
    for index, held_out in enumerate(parts):
        stop = parts[(index + 1) % count]
        rest = np.setdiff1d(np.arange(len(labels)), np.concatenate([held_out, stop]))
        yield Fold(rest, stop, held_out)
