"""Radiomics: what a careful reader could measure on the initial CT without a network, and two models fitted on it.

Features of all slices from the picture alone; logistic regression and gradient boosting are fitted on the same training
cohort as the network. It is the baseline that a network has to beat to earn its place.
"""

import zipfile
import zlib
from pathlib import Path
from typing import Dict, List

import numpy as np
from scipy import ndimage

from .data import Cohort
from .regions import HOT_HU, SMALLEST_ML, SPACING_MM, VOXEL_ML, smooth

CACHE_FILE = "radiomics.npz"
THRESHOLDS_HU = (45, 50, 55, 60, 70)
FEATURES = (
    *(f"log volume > {threshold} HU" for threshold in THRESHOLDS_HU),
    "highest HU",
    "99.5th percentile HU",
    "mean HU, hot",
    "SD of HU, hot",
    "10th percentile HU, hot",
    "90th percentile HU, hot",
    "SD at 6 mm, hot",
    "share of hot voxels that lie deep",
    "share of hot voxels on the hotter side",
    "distance of the hot voxels from the midline, mm",
    "height of the hot voxels, slices",
    "vertical extent of the hot voxels, slices",
    "number of hot components",
    "log volume of the largest component",
    "mean HU of the largest component",
    "compactness of the largest component",
    "left-right difference of mean HU, deep",
    "left-right difference of mean HU, cortical",
    "log volume of the darker side",
    "deepest left-right difference, deep",
)
DEEP_RADIUS = 0.55
"""Share of the semi-axes of the inside of the skull within which tissue counts as deep (basal ganglia, ventricles)."""

DARKER_HU = 3.0
RIM_RADIUS = 0.85
"""Hot components further out on average are partial-volume bone or dura."""

CSF_HU, BRAIN_HU = 20.0, 42.0
"""Asymmetry of the parenchyma is read between these, so that neither CSF nor staining on the other side counts."""

NOTHING_HOT = (45.0, 0.0, 45.0, 45.0, 0.0, 0.0, 0.5, 0.0, 12.0, 0.0, 0.0, 0.0, 45.0, 0.0)
"""The 14 features of the hot region where there is none: HU just below its threshold, the middle of the head."""


def radiomics(image: np.ndarray, inside: np.ndarray) -> List[float]:
    """The values named in FEATURES; image in HU, `inside` bool, both [24, 128, 128]."""
    if not inside.any():
        return [0.0] * 5 + [0.0, 0.0, *NOTHING_HOT, 0.0, 0.0, 0.0, 0.0]
    # Everything below happens inside the skull: the box around it is about half of the grid.
    box = ndimage.find_objects(inside.view(np.uint8))[0]
    image, inside = np.clip(image[box], -20, 140).astype(np.float32), inside[box]
    smoothed = smooth(image)
    values = smoothed[inside]
    features = [float(np.log1p((values > threshold).sum() * VOXEL_ML)) for threshold in THRESHOLDS_HU]
    features += [float(values.max()), float(np.percentile(values, 99.5))]
    middle, radius = relative_radius(inside)
    features += hot_features(image, smoothed, inside, radius, middle, box[0].start)
    return features + asymmetry(image, inside, inside & (radius < DEEP_RADIUS), middle)


def relative_radius(inside: np.ndarray) -> tuple:
    """(column of the midline, distance from the middle of every voxel as a share of the semi-axes of the box of the
    inside of the skull)."""
    centre = [(size - 1) / 2 for size in inside.shape]
    centre[2] = float((inside.sum((0, 1)) * np.arange(inside.shape[2])).sum() / inside.sum())
    grid = np.ogrid[tuple(slice(0, size) for size in inside.shape)]
    squares = (((axis - middle) / max(size / 2, 1)) ** 2 for axis, middle, size in zip(grid, centre, inside.shape))
    return centre[2], np.sqrt(sum(squares)).astype(np.float32)


def hot_features(
    image: np.ndarray, smoothed: np.ndarray, inside: np.ndarray, radius: np.ndarray, midline: float, lowest: int
) -> List[float]:
    """Density, texture, place and shape of the hot components (> 50 HU smoothed, >= 0.1 mL, not on the rim); 14 values."""
    labels, count = ndimage.label((smoothed > HOT_HU) & inside)
    volumes = np.bincount(labels.ravel(), minlength=1) * VOXEL_ML
    volumes[0] = 0
    if count:
        volumes[1:] *= ndimage.mean(radius, labels, np.arange(1, count + 1)) < RIM_RADIUS
    kept = volumes >= SMALLEST_ML
    if not kept.any():
        return list(NOTHING_HOT)
    hot = kept[labels]
    values = smoothed[hot]
    mean = ndimage.uniform_filter(image, (1, 4, 4))
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(image * image, (1, 4, 4)) - mean * mean, 0))
    slices, _, columns = np.nonzero(hot)
    one_side = float((columns > midline).mean())
    largest = labels == volumes.argmax()
    return [
        float(values.mean()),
        float(values.std()),
        *(float(found) for found in np.percentile(values, [10, 90])),
        float(spread[hot].mean()),
        float((radius[hot] < DEEP_RADIUS).mean()),
        max(one_side, 1 - one_side),
        abs(float(columns.mean()) - midline) * SPACING_MM[2],
        float(slices.mean()) + lowest,
        float(np.ptp(slices)),
        float(kept.sum()),
        float(np.log1p(volumes.max())),
        float(smoothed[largest].mean()),
        compactness(largest),
    ]


def compactness(mask: np.ndarray) -> float:
    """36 pi V^2 / S^3 of a voxel mask, to the power of 1/3: near 1 for a ball, small for sheets and threads."""
    padded = np.pad(mask, 1).view(np.int8)
    z, y, x = SPACING_MM
    faces = [float(np.abs(np.diff(padded, axis=axis)).sum()) for axis in range(3)]
    surface = faces[0] * y * x + faces[1] * z * x + faces[2] * z * y
    volume = float(mask.sum()) * z * y * x
    return float((36 * np.pi * volume**2) ** (1 / 3) / surface)


def asymmetry(image: np.ndarray, inside: np.ndarray, deep: np.ndarray, midline: float) -> List[float]:
    """Differences between the halves: |mean HU| deep and cortical, log mL that is darker by > 3 HU than its mirror
    image after 10 mm smoothing, and the 98th percentile of that darkness in deep tissue (HU)."""
    right = np.arange(inside.shape[2])[None, None, :] < midline
    differences = []
    for part in (deep, inside & ~deep):
        sides = [image[part & right], image[part & ~right]]
        differences.append(abs(float(sides[0].mean()) - float(sides[1].mean())) if all(map(len, sides)) else 0.0)
    brain = inside & (smooth(image) > CSF_HU)
    size = (3, 7, 7)
    weight = ndimage.uniform_filter(brain.astype(np.float32), size)
    tissue = np.where(brain, np.minimum(image, BRAIN_HU), 0).astype(np.float32)
    even = ndimage.uniform_filter(tissue, size) / np.maximum(weight, 1e-3)
    mirror = np.clip(np.round(2 * midline - np.arange(inside.shape[2])).astype(int), 0, inside.shape[2] - 1)
    known = brain & (weight > 0.5)
    both = known & known[:, :, mirror]
    darker = np.where(both, even[:, :, mirror] - even, 0)
    lowest = darker[both & deep]
    return [
        *differences,
        float(np.log1p((darker > DARKER_HU).sum() * VOXEL_ML)),
        float(np.percentile(lowest, 98)) if lowest.size else 0.0,
    ]


def radiomics_matrix(cohort: Cohort) -> np.ndarray:
    """[cases, features]; kept in radiomics.npz of the cohort folder, by seed and checksum of each image."""
    keys = [f"{int(seed)}-{zlib.crc32(image):08x}" for seed, image in zip(cohort.values("seed"), cohort.initial)]
    known = read_cache(cohort)
    missing = [index for index, key in enumerate(keys) if key not in known]
    for index in missing:
        known[keys[index]] = np.array(radiomics(cohort.initial[index], cohort.mask(index)))
    if missing:
        names, values = list(known), np.stack(list(known.values()))
        np.savez_compressed(cohort.folder / CACHE_FILE, keys=names, values=values, code=code_checksum())
    return np.stack([known[key] for key in keys])


def read_cache(cohort: Cohort) -> Dict[str, np.ndarray]:
    """Known features by case; empty where there are none, or those of another version of this file or an unreadable one."""
    path = cohort.folder / CACHE_FILE
    if not path.exists():
        return {}
    try:
        with np.load(path) as found:
            if found["code"] != code_checksum():
                return {}
            return dict(zip(found["keys"].tolist(), found["values"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def code_checksum() -> int:
    """Changes with this file, so that features of an older definition are never mistaken for today's."""
    return zlib.crc32(Path(__file__).read_bytes())


def radiomics_forecasts(train: Cohort, test: Cohort) -> Dict[str, np.ndarray]:
    """Probabilities [cases of test] of both models, fitted on the outcomes of `train`, and on what the network learns from, the true
    probabilities (`..._true_probability`: every case counts as bled and as not bled, by its probability); deterministic."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models = {
        "radiomics_regression": make_pipeline(
            StandardScaler(),
            GridSearchCV(LogisticRegression(max_iter=3000), {"C": [0.01, 0.03, 0.1, 0.3, 1.0]}, scoring="neg_log_loss", cv=5),
        ),
        "radiomics_boosting": HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.05, max_leaf_nodes=8, l2_regularization=1.0, early_stopping=False, random_state=0
        ),
    }
    seen, unseen, labels = radiomics_matrix(train), radiomics_matrix(test), train.values("label")
    forecasts = {name: model.fit(seen, labels).predict_proba(unseen)[:, 1] for name, model in models.items()}
    chance = train.values("bayes")
    twice, either = np.concatenate([seen, seen]), np.repeat([1, 0], len(seen))
    weights = np.concatenate([chance, 1 - chance])
    search = models["radiomics_regression"][-1]
    regression = make_pipeline(StandardScaler(), search.best_estimator_)  # its strictness was chosen on the outcomes
    regression.fit(twice, either, logisticregression__sample_weight=weights)
    boosting = models["radiomics_boosting"].fit(twice, either, sample_weight=weights)
    forecasts["radiomics_regression_true_probability"] = regression.predict_proba(unseen)[:, 1]
    forecasts["radiomics_boosting_true_probability"] = boosting.predict_proba(unseen)[:, 1]
    return forecasts
