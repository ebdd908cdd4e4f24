"""How bad the visible staining looks, and the probability of hemorrhage that follows from it.

P(hemorrhage | staining only) = logistic(B * z). z is a weighted mean of six measures of the initial scan, all taken from
the picture's own maps on the model grid, standardised over a calibration cohort. Location, texture and the infarct weigh
more than intensity, so that no HU threshold solves the task. B = 3.5 puts the best possible AUC near 0.96 and accuracy
near 0.89.
"""

from __future__ import annotations

import math

import numpy as np

from .patient import BLOOD, NONE, STAIN

B = 3.5
P_BLOOD_VISIBLE = 1.0
P_NO_HYPERDENSITY = 0.04
NEW_HEMATOMA_ML = (1.0, 60.0)
NEW_HEMATOMA_LOG_SD = 0.6

MEASURES = ("mean_hu", "volume", "evenness", "ganglia_share", "edema_load", "peak_hu")
WEIGHTS = np.array([0.20, 0.25, 0.55, 0.80, 0.55, 0.35])
# Mean and SD over 400 stained patients of the training heads (`acceptance --calibrate` prints them anew), the SD of the
# weighted sum, and the shift that makes the mean probability 0.50.
CENTER = np.array([2.8103, 3.2503, 0.3394, 0.2634, 6.7248, 3.6157])
SPREAD = np.array([0.3619, 1.0963, 0.1782, 0.2049, 0.6225, 0.5252])
COMPOSITE_SD = 1.3998
SHIFT = 0.069
STAIN_VISIBLE_HU = 6.0
EDEMA_FLOOR_HU_ML = 20.0
BLOCK = 4


def raw_measures(iodine: np.ndarray, ganglia: np.ndarray, edema: np.ndarray, voxel_ml: float):
    """The six measures (MEASURES) of an initial scan, float64 [6]; None when nothing is visibly stained.

    iodine: HU [slices, rows, columns]; ganglia: fraction on the lesion's side; edema: HU the infarct takes away.
    mean_hu, peak_hu: log of mean and 97th percentile over the stained voxels; volume: log mL; ganglia_share: of the iodine;
    evenness: minus the log of SD over mean within blocks of 4 x 4 voxels; edema_load: log of HU mL.
    """
    stained = iodine > STAIN_VISIBLE_HU
    count = int(stained.sum())
    if count * voxel_ml < 0.2:
        return None
    values = iodine[stained]
    slices, rows, columns = iodine.shape
    blocks = iodine.reshape(slices, rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
    unevenness = float(blocks.std(axis=(2, 4)).sum() / blocks.mean(axis=(2, 4)).sum())
    return np.array(
        [
            math.log(float(values.mean())),
            math.log(count * voxel_ml),
            -math.log(unevenness + 0.02),
            float((values * np.clip(ganglia[stained], 0, 1)).sum() / values.sum()),
            math.log(float(edema.sum()) * voxel_ml + EDEMA_FLOOR_HU_ML),
            math.log(float(np.percentile(values, 97))),
        ]
    )


def measure(iodine: np.ndarray, ganglia: np.ndarray, edema: np.ndarray, voxel_ml: float):
    """`raw_measures` standardised over stained patients: float64 [6], or None."""
    raw = raw_measures(iodine, ganglia, edema, voxel_ml)
    return None if raw is None else (raw - CENTER) / SPREAD


def severity(measures: np.ndarray) -> float:
    """Composite severity z of standardised measures [6], near standard normal over stained patients."""
    return float((WEIGHTS * measures).sum() / COMPOSITE_SD - SHIFT)


def probability(group: int, z: float | None) -> float:
    """Probability of hemorrhage within 72 h given the visible state of the initial scan."""
    if group == BLOOD:
        return P_BLOOD_VISIBLE
    if group == NONE or z is None:
        return P_NO_HYPERDENSITY
    assert group == STAIN
    return 1.0 / (1.0 + math.exp(-B * z))


def hematoma_share(measures: np.ndarray | None) -> float:
    """Of the hemorrhages that do not show initially, the share that are parenchymal hematomas: HI to PH is about 2:1; denser, deeper
    staining tends to hematoma. measures: standardised [6], None where nothing is visibly stained."""
    deep = 0.0 if measures is None else float(measures[[3, 5]].mean())
    return 1.0 / (1.0 + math.exp(-(1.1 * deep - 1.35)))


def new_hematoma_log_ml(z: float | None) -> float:
    """Log of the median volume of a hematoma that does not show initially; log-normal with SD NEW_HEMATOMA_LOG_SD."""
    return math.log(9.0) + 0.3 * (z or 0.0)
