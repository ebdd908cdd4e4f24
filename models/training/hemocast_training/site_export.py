"""The bundle of a fine-tuned run: same contract as every bundle, and it says what it was trained on.

No image of a patient goes into it: the start check's input is a phantom made of ellipses. Calibration and threshold come
from forecasts of patients that the forecasting network had not seen.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

import numpy as np
from torch import nn

from .bundle import EVALUATION_FILE, MODEL_FILE, write_json, write_license, write_metadata
from .calibrate import calibrate
from .checkpoint import save_weights
from .deployed import DeployedNetwork, FeatureCloud
from .golden import write_golden_of
from .network.config import MATRIX, SLICES
from .onnx_model import check_parity, export_onnx, open_session
from .site_card import write_site_card

OOD_QUANTILE = 0.99
INTERVAL = (
    "Central 90 % of logistic recalibrations refitted on 100 bootstrap resamples of the site's patients ({patients}), on "
    "forecasts of patients not trained on: it covers the uncertainty of the calibration only, not differences between "
    "training runs, scanners or hospitals."
)


def export_site(run: Path, network: nn.Module, site: Dict[str, Any], bundle: Path, name: str, version: str) -> Dict[str, Any]:
    """Writes the bundle of a run of `finetune` and returns its metadata. network: final one; site: checkpoint["site"]."""
    found = {name: values.numpy() for name, values in site["out_of_fold"].items()}
    features, training = site["features"].numpy(), site["training"]
    patients = len(set(found["patients"].tolist()))
    calibration = calibrate(found["labels"], found["logits"], found["patients"])
    calibration = calibration._replace(method=INTERVAL.format(patients=patients))
    deployed = DeployedNetwork(network, calibration.temperature, FeatureCloud(features), calibration.bias).eval()
    export_onnx(deployed, bundle / MODEL_FILE)
    image = phantom()
    check_parity(deployed, open_session(bundle / MODEL_FILE), [image[None], np.stack([image, image[:, :, ::-1]])])
    save_weights(network, bundle)
    evaluation = json.loads((run / EVALUATION_FILE).read_text())
    metadata = write_metadata(
        bundle,
        name,
        version,
        calibration,
        ood_threshold(features, found["fold"]),
        {**training, "kind": "fine-tuned on a site's own pairs", "pairs": len(found["labels"]), "patients": patients},
        disclaimer=evaluation["disclaimer"],
        training_data=training_data(training, evaluation["cohort"]),
    )
    write_json(bundle / EVALUATION_FILE, evaluation)
    write_license(bundle)
    (bundle / "docs").mkdir(exist_ok=True)
    shutil.copyfile(run / "curves.png", bundle / "docs" / "curves.png")
    write_golden_of(bundle, image, Path("."), [])
    write_site_card(bundle, metadata, evaluation)
    return metadata


def training_data(training: Dict[str, Any], cohort: Dict[str, Any]) -> str:
    """The `training_data` sentence of the metadata."""
    start = training["start"]
    return (
        f"The site's own pairs: {cohort['pairs']} scan pairs of {cohort['patients']} patients ({cohort['bled']} pairs with "
        f"hemorrhage), {training['final_steps']} steps, seed {training['seed']}. Started from {start['name']} "
        f"{start['version']}: {start['training_data']}"
    )


def ood_threshold(features: np.ndarray, fold: np.ndarray) -> float:
    """The 99 % quantile of the scores of pairs whose own fold is not part of the cloud that scores them, above 0 in four decimals.

    Scores of pairs inside the cloud would be too small: the threshold would flag every new patient. ValueError where the scans are too
    much alike to have one: such a bundle would flag all others, and no service would take it.
    """
    scores = [FeatureCloud(features[fold != number]).scores(features[fold == number]) for number in np.unique(fold)]
    threshold = round(float(np.quantile(np.concatenate(scores), OOD_QUANTILE)), 4)
    if threshold <= 0:
        raise ValueError("The pairs' initial scans are the same to the network: look for copies of one scan in pairs.csv.")
    return threshold


def phantom() -> np.ndarray:
    """float32 [24, 128, 128] whole HU: an elliptic skull with brain, ventricles and a bright spot, and some noise."""
    z, y, x = np.ogrid[-1 : 1 : SLICES * 1j, -1 : 1 : MATRIX * 1j, -1 : 1 : MATRIX * 1j]
    head = (y / 0.88) ** 2 + (x / 0.72) ** 2 + (z / 1.3) ** 2
    hu = np.full((SLICES, MATRIX, MATRIX), -1000.0)
    hu[head < 1] = 900.0
    hu[head < 0.86] = 34.0
    hu[((np.abs(x) - 0.12) / 0.07) ** 2 + (y / 0.25) ** 2 + (z / 0.4) ** 2 < 1] = 7.0
    hu[((x - 0.35) / 0.15) ** 2 + ((y + 0.05) / 0.2) ** 2 + (z / 0.3) ** 2 < 1] = 68.0
    noise = np.random.default_rng(1).normal(0, 4, hu.shape) * (head < 1)
    return np.rint(hu + noise).astype(np.float32)
