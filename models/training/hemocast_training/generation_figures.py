"""How good the generated follow-up is, beside the pictures one could draw without any network."""

from typing import Dict, List

import numpy as np
import torch

from .losses import DYNAMIC_RANGE_HU, ssim
from .metrics import bootstrap
from .network.generator import TISSUE_HU
from .regions import hyperdense_volume, judged_regions, smooth

METHODS = ("hemocast", "no_change", "no_change_denoised", "cap_at_40", "cap_at_40_denoised")
"""no change: the initial CT; cap at 40: everything brighter than 40 HU set to 40 ("all of it washes out, no blood").
Denoised: after a 3 x 3 mean, because the target is free of noise and removing noise alone lowers an error."""

LOWER_IS_BETTER = {
    "mae_hot_8mm": "hot region MAE, HU",
    "ring_bias": "ring bias, HU",
    "mae_brain": "brain MAE, HU",
    "volume_error": "hyperdense volume error, mL",
}
HIGHER_IS_BETTER = {
    "psnr_hot_8mm": "hot region PSNR, dB", "ssim_hot_8mm": "hot region SSIM", "psnr": "brain PSNR, dB", "ssim": "brain SSIM",
}
"""Figures of `case_errors` and their titles; of the bias the amount."""


def candidates(image: np.ndarray, generated: np.ndarray) -> Dict[str, np.ndarray]:
    """The pictures to compare, clipped to the range that may change; HU [24, 128, 128]."""
    initial = np.clip(image, *TISSUE_HU).astype(np.float32)
    denoised = smooth(initial)
    return {
        "hemocast": np.clip(generated, *TISSUE_HU),
        "no_change": initial,
        "no_change_denoised": denoised,
        "cap_at_40": np.minimum(initial, 40),
        "cap_at_40_denoised": np.minimum(denoised, 40),
    }


def case_errors(image: np.ndarray, generated: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> Dict[str, float]:
    """Errors of every method on one case: '<method>.<figure>'; NaN where the case has no hot region.

    mae_hot_8mm: mean absolute error (HU) on initially hot voxels and 8 mm around them; ring_bias: mean signed error
    (HU) in those 8 mm; mae_brain: over the inside of the skull; volume_error: |hyperdense mL - true hyperdense mL|;
    ssim: structural similarity over the inside of the skull (as the generation loss defines it), psnr: peak signal to noise (dB, of
    the same dynamic range) there; both also `_hot_8mm`, in the hot region.
    """
    regions = judged_regions(image, inside)
    true_volume = hyperdense_volume(truth, inside)
    figures: Dict[str, float] = {"hot_ml": float(regions.hot.sum()) * 5 * 1.5 * 1.5 / 1000, "true_ml": true_volume}
    target, places = as_tensor(truth), {"": inside, "_hot_8mm": regions.judged}
    for name, picture in candidates(image, generated).items():
        error = picture - truth
        figures[f"{name}.mae_hot_8mm"] = mean_or_nan(np.abs(error)[regions.judged])
        figures[f"{name}.ring_bias"] = mean_or_nan(error[regions.ring])
        figures[f"{name}.mae_brain"] = mean_or_nan(np.abs(error)[inside])
        figures[f"{name}.volume_ml"] = hyperdense_volume(picture, inside)
        figures[f"{name}.volume_error"] = abs(figures[f"{name}.volume_ml"] - true_volume)
        for place, voxels in places.items():
            figures[f"{name}.psnr{place}"] = decibel(error[voxels])
            alike = float(ssim(as_tensor(picture), target, as_tensor(voxels))) if voxels.any() else float("nan")
            figures[f"{name}.ssim{place}"] = alike
    return figures


def decibel(error: np.ndarray) -> float:
    """Peak signal-to-noise ratio of errors (HU), 10 log10(DYNAMIC_RANGE_HU^2 / mean square), 100 dB at most; NaN without any."""
    if not error.size:
        return float("nan")
    return min(100.0, float(-10 * np.log10(np.square(error / DYNAMIC_RANGE_HU).mean() + 1e-30)))


def as_tensor(volume: np.ndarray) -> torch.Tensor:
    """float32 [1, 24, 128, 128]."""
    return torch.from_numpy(np.asarray(volume, np.float32))[None]


def mean_or_nan(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def summarize_cases(cases: List[Dict[str, float]], seed: int, resamples: int) -> Dict[str, Dict[str, Dict[str, float]]]:
    """figure -> method -> {value, low, high}, the mean over the cases that have the figure, bootstrapped by case."""
    summary: Dict[str, Dict[str, Dict[str, float]]] = {}
    for figure in (*LOWER_IS_BETTER, *HIGHER_IS_BETTER):
        summary[figure] = {}
        for method in METHODS:
            values = np.array([case[f"{method}.{figure}"] for case in cases])
            values = values[np.isfinite(values)]
            if values.size:
                summary[figure][method] = bootstrap(
                    lambda index, values=values: float(values[index].mean()), len(values), seed, resamples
                )
    return summary
