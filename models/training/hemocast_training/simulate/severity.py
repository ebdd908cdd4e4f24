"""How bad the visible staining looks, and the probability of hemorrhage that follows from it.

P(hemorrhage | staining only) = logistic(B * z). z is a weighted mean of six visible measures, standardised over a
calibration cohort; location, texture and extent weigh more than intensity, so that no single HU threshold solves the
task. B = 3.5 puts the best possible AUC near 0.96 and accuracy near 0.89.
"""

from __future__ import annotations

import math

import numpy as np

from .patient import BLOOD, NONE, STAIN

B = 3.5
P_BLOOD_VISIBLE = 0.99
P_NO_HYPERDENSITY = 0.04

MEASURES = ("mean_hu", "volume", "solidity", "ganglia_share", "infarct", "peak_hu")
WEIGHTS = np.array([0.30, 0.35, 0.50, 0.70, 0.50, 0.15])
# Mean and SD over 400 stained patients of the training heads (`acceptance --calibrate` prints them anew), the SD of the
# weighted sum, and the shift that makes the mean probability 0.50.
CENTER = np.array([2.5618, 2.9003, 0.0037, 0.3680, 4.7127, 3.3606])
SPREAD = np.array([0.2984, 1.2730, 0.9999, 0.2906, 0.8433, 0.5036])
COMPOSITE_SD = 1.2181
SHIFT = 0.06
STAIN_VISIBLE_HU = 6.0


def measure(iodine: np.ndarray, ganglia: np.ndarray, infarct: np.ndarray, solidity: float, voxel_ml: float):
    """The six measures (MEASURES) of an initial scan, float64 [6]; None when nothing is visibly stained.

    iodine: HU [slices, rows, columns]; ganglia, infarct: fractions on the lesion's side of the same shape.
    """
    stained = iodine > STAIN_VISIBLE_HU
    count = int(stained.sum())
    if count * voxel_ml < 0.2:
        return None
    values = iodine[stained]
    return np.array(
        [
            math.log(float(values.mean())),
            math.log(count * voxel_ml),
            solidity,
            float((values * np.clip(ganglia[stained], 0, 1)).sum() / values.sum()),
            math.log(float(infarct.sum()) * voxel_ml + 3.0),
            math.log(float(np.percentile(values, 97))),
        ]
    )


def severity(measures: np.ndarray) -> float:
    """Composite severity z, near standard normal over stained patients."""
    return float((WEIGHTS * (measures - CENTER) / SPREAD).sum() / COMPOSITE_SD - SHIFT)


def probability(group: int, z: float | None) -> float:
    """Probability of hemorrhage within 72 h given the visible state of the initial scan."""
    if group == BLOOD:
        return P_BLOOD_VISIBLE
    if group == NONE or z is None:
        return P_NO_HYPERDENSITY
    assert group == STAIN
    return 1.0 / (1.0 + math.exp(-B * z))
