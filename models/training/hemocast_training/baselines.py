"""What the network has to beat: rules a reader could apply, and a logistic regression on simple density features."""

from typing import List

import numpy as np

from .data import Cohort
from .regions import VOXEL_ML, judged_regions, smooth

FEATURES = (
    "log volume > 45 HU",
    "log volume > 50 HU",
    "log volume > 60 HU",
    "log volume > 70 HU",
    "highest HU",
    "99.5th percentile HU",
    "mean HU of the hot region",
    "spread of HU in the hot region",
    "log largest slice area of the hot region",
    "distance of the hot region from the midline",
    "height of the hot region",
    "left-right difference of mean HU",
)


def highest_density(image: np.ndarray, inside: np.ndarray) -> float:
    """The highest 3 x 3 mean inside the skull below 140 HU (above lies bone or metal)."""
    smoothed = smooth(np.clip(image, -20, 140))
    return float(smoothed[inside].max()) if inside.any() else 0.0


def density_features(image: np.ndarray, inside: np.ndarray) -> List[float]:
    """The values named in FEATURES; image in HU, both [24, 128, 128]."""
    smoothed = smooth(np.clip(image, -20, 140))
    values = smoothed[inside] if inside.any() else np.zeros(1)
    features = [float(np.log1p((values > threshold).sum() * VOXEL_ML)) for threshold in (45, 50, 60, 70)]
    features += [float(values.max()), float(np.percentile(values, 99.5))]
    hot = judged_regions(image, inside).hot
    if hot.any():
        slices, _, columns = np.nonzero(hot)
        features += [float(smoothed[hot].mean()), float(smoothed[hot].std())]
        features += [float(np.log1p(hot.sum((1, 2)).max())), abs(float(columns.mean()) - 63.5), float(slices.mean())]
    else:
        features += [HOT_ABSENT_HU, 0.0, 0.0, 0.0, 12.0]
    left, right = np.where(inside, smoothed, np.nan)[:, :, 64:], np.where(inside, smoothed, np.nan)[:, :, :64]
    features.append(abs(float(np.nanmean(left)) - float(np.nanmean(right))) if inside.any() else 0.0)
    return features


HOT_ABSENT_HU = 45.0
"""Stands for the mean HU of a hot region that does not exist: just below its threshold."""


def feature_matrix(cohort: Cohort) -> np.ndarray:
    """[cases, features] of a cohort."""
    return np.array([density_features(cohort.initial[i], cohort.mask(i)) for i in range(len(cohort))])


def density_regression(train: Cohort, test: Cohort) -> np.ndarray:
    """Probabilities [cases of test] of a logistic regression on the density features, fitted on `train`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=3000))
    model.fit(feature_matrix(train), train.values("label"))
    return model.predict_proba(feature_matrix(test))[:, 1]
