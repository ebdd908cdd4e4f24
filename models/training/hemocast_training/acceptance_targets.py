"""The targets T1 to T8 that keep the simulated cohort near what is published: figures of a table of cases, and pass or fail.

Sources of the targets: docs/simulator.md. Figures of outcome use the true probability instead of the drawn label, which
has less sampling error; one check of its own makes sure that labels are drawn from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .metrics import auc
from .simulate.cohort import ceiling
from .simulate.patient import ALL_COMERS_MIX, BLOOD, NONE, STAIN

HI, PH = 1, 2
CONTAINED = 0.9  # share of the iodine inside the infarct's outline that counts as all of it


@dataclass(frozen=True)
class Check:
    """One figure against its target, both ends included. error: standard error of the figure, 0 where it has none."""

    name: str
    what: str
    figure: float
    error: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """False as well for a figure that could not be measured (NaN)."""
        return self.within(0.0)

    def within(self, errors: float) -> bool:
        """Whether the figure is at most so many standard errors outside: what a few patients can say of the target."""
        return bool(self.low - errors * self.error <= self.figure <= self.high + errors * self.error)


def check_cohort(cases: dict[str, np.ndarray]) -> list[Check]:
    """Every check of a table of cases: one array for each of acceptance_cases.FIELDS."""
    return [
        *_case_mix(cases), *_outcome(cases), *_washout(cases), *_density(cases), *_detection(cases),
        *_infarct(cases), *_kinds(cases), *_noise(cases),
    ]


def information(cases: dict[str, np.ndarray]) -> dict[str, float]:
    """Figures without a target that help to read the checks."""
    stain = cases["group"] == STAIN
    limit = ceiling(cases["probability"], cases["label"])
    return {
        "prevalence (mean true probability)": float(cases["probability"].mean()),
        "ceiling AUC": limit["auc"],
        "ceiling accuracy, expected": limit["expected_accuracy"],
        "share of stained patients with iodine > 6 HU left, edema ignored": float(np.nanmean(cases["iodine_left"][stain])),
        "AUC of the 97th percentile of HU, blood against staining": _blood_against_stain(cases, "lesion_peak_hu"),
        "AUC of the 97th percentile of HU for any hemorrhage, all patients": _density_for_outcome(cases),
        "share of staining below 50 HU on average": float((cases["lesion_mean_hu"][stain] < 50).mean()),
        "median mean HU of staining": float(np.nanmedian(cases["lesion_mean_hu"][stain])),
        "mean share of final infarct under the staining": float(np.nanmean(cases["stain_in_infarct"][stain])),
    }


def _share(values: np.ndarray) -> tuple[float, float]:
    """Mean of 0/1 values, NaN left out, and its standard error."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return float("nan"), float("nan")
    share = float(values.mean())
    return share, float(np.sqrt(share * (1 - share) / values.size))


def _mean(values: np.ndarray) -> tuple[float, float]:
    if values.size < 2:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))


def _case_mix(cases) -> list[Check]:
    published = (("blood visible", BLOOD, 0.17), ("contrast staining only", STAIN, 0.67), ("no hyperdensity", NONE, 0.16))
    return [
        Check("T1", "share with " + name, *_share(cases["group"] == group), share - 0.03, share + 0.03)
        for name, group, share in published
    ]


def _outcome(cases) -> list[Check]:
    p, group, drawn = cases["probability"], cases["group"], cases["drawn_group"]
    groups = [(share, *_mean(p[drawn == g])) for g, share in ALL_COMERS_MIX.items()]
    all_comers = sum(share * mean for share, mean, _ in groups)
    all_comers_error = np.sqrt(sum((share * error) ** 2 for share, _, error in groups))
    spread = np.sqrt((p * (1 - p)).sum())
    departure = float((cases["label"] - p).sum() / spread) if spread > 0 else float("nan")
    return [
        Check("T2", "probability of hemorrhage, staining only", *_mean(p[group == STAIN]), 0.45, 0.55),
        Check("T2", "probability of hemorrhage, no hyperdensity", *_mean(p[group == NONE]), 0.03, 0.10),
        Check("T2", "prevalence with the all-comers mix", float(all_comers), float(all_comers_error), 0.32, 0.38),
        Check("T2", "labels against probabilities, standard errors", departure, 1.0, -3.0, 3.0),
    ]


def _washout(cases) -> list[Check]:
    left = cases["hyperdensity_left"][cases["group"] == STAIN]
    return [Check("T3", "staining still hyperdense at follow-up", *_share(left), 0.15, 0.30)]


def _blood_against_stain(cases, field: str) -> float:
    seen = np.isfinite(cases[field]) & (cases["group"] != NONE)
    blood = (cases["group"] == BLOOD)[seen]
    return auc(blood, cases[field][seen]) if 0 < blood.sum() < blood.size else float("nan")


def _density_for_outcome(cases) -> float:
    """Where nothing hyperdense is visible, the peak counts as the lowest."""
    peak = np.where(np.isfinite(cases["lesion_peak_hu"]), cases["lesion_peak_hu"], 0.0)
    bled = cases["label"] == 1
    return auc(bled, peak) if 0 < bled.sum() < bled.size else float("nan")


def _density(cases) -> list[Check]:
    figure = _blood_against_stain(cases, "lesion_mean_hu")
    smaller = min((cases["group"] == BLOOD).sum(), (cases["group"] == STAIN).sum())
    # Upper bound of an AUC's variance: A (1 - A) / size of the smaller group (Birnbaum and Klose 1957).
    error = float(np.sqrt(max(figure * (1 - figure), 0.0) / max(smaller, 1)))
    return [Check("T4", "AUC of the mean HU, blood against staining", figure, error, 0.75, 0.85)]


def _detection(cases) -> list[Check]:
    correct = np.where(cases["group"] == BLOOD, cases["probability"], 1 - cases["probability"])
    return [Check("T5", "accuracy of a perfect detector of visible blood", *_mean(correct), 0.62, 0.70)]


def _infarct(cases) -> list[Check]:
    stain = cases["group"] == STAIN
    mostly, contained = (
        np.where(np.isfinite(share), share >= least, np.nan)
        for share, least in ((cases["stain_in_infarct"][stain], 0.5), (cases["stain_in_outline"][stain], CONTAINED))
    )
    return [
        Check("T6", "staining that lies mostly in the final infarct", *_share(mostly), 0.90, 1.0),
        Check("T6", "staining that the final infarct contains", *_share(contained), 0.90, 1.0),
    ]


def _kinds(cases) -> list[Check]:
    later, everyone = cases["group"] != BLOOD, np.ones(cases["group"].size, bool)
    return [
        Check("T7", "HI to PH, " + name, *_ratio(cases["kind"][who]), 1.5, 2.7)
        for name, who in (("no blood visible initially", later), ("all hemorrhages", everyone))
    ]


def _ratio(kind: np.ndarray) -> tuple[float, float]:
    hi, ph = int((kind == HI).sum()), int((kind == PH).sum())
    if hi == 0 or ph == 0:
        return float("nan"), float("nan")
    return hi / ph, hi / ph * float(np.sqrt(1 / hi + 1 / ph))


def _noise(cases) -> list[Check]:
    return [Check("T8", "noise SD in white matter, native pixel, HU", *_mean(cases["noise_hu"][np.isfinite(cases["noise_hu"])]), 3.5, 4.5)]
