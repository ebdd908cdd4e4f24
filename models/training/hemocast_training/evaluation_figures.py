"""The figures a release is judged by: `inDistribution`, `ceiling`, `baselines`, `shifted` and `ablations` of evaluation.json.

Ratios are ratios of means over cases; every interval resamples cases, and differences are paired (the same resample for
both). n, seeds and date stand in every block, because blocks may be measured on different cohorts.
"""

from typing import Any, Callable, Dict, List, Optional

import numpy as np

from scipy.special import expit, logit

from .data import GROUPS, KINDS, Cohort
from .labels import HEADS
from .metrics import (
    accuracy,
    auc,
    bootstrap,
    brier,
    calibration_error,
    calibration_line,
    chance_calibration_error,
    net_benefit,
    sensitivity,
    specificity,
)
from .regions import SMALLEST_ML
from .simulate.shifts import SHIFTS

SEED = 2026
NET_BENEFIT_AT = 0.3
ECE_BAR = 0.08
FLAGGED_ENOUGH = 0.5
"""A shifted cohort is caught by the out-of-distribution score when it flags at least this share of the cases."""

PICTURES = ("no_change", "no_change_denoised", "cap_at_40", "cap_at_40_denoised")
LIKENESS = {"ssim": "ssim", "psnr": "psnr", "lesionSsim": "ssim_hot_8mm", "lesionPsnr": "psnr_hot_8mm"}
"""How like the true follow-up: key of evaluation.json -> figure of `case_errors`."""

FORECAST_FIGURES = {"auc": auc, "accuracy": accuracy, "brier": brier, "ece": calibration_error}
NOT_RUN_BASELINES = {name: "not trained (`rivals`)" for name in ("resnet18_3d", "unet_regression", "pix2pix", "tiny_as_long")}
NOT_RUN_NETWORKS = {
    "base": "it was trained on a GPU twice, with a validation AUC of 0.932 and, of other cases, 0.950, but its weights are lost",
    "ensemble": "needs three independent trainings of this length",
}
NOT_RUN_ABLATIONS = {
    name: "not trained (`ablate`)"
    for name in (
        "classification_only", "generation_only", "no_interactive_attention", "no_self_attention", "no_density_bias", "no_gradnorm",
        "no_statistics",
    )
}

ALL_COMERS_PREVALENCE = 0.35
DISAGREES = {"low": 0.15, "high": 0.85, "blood_ml": 1.0}
"""When the two tasks contradict each other: the limits of a bundle that states none (docs/bundle.md, `agreement`)."""

Figure = Dict[str, float]


Heads = Optional[np.ndarray]
"""Number of the head of each case, where intervals are to resample heads and then cases of each; None: cases."""


def bootstrapped(
    figure: Callable[[np.ndarray], float], count: int, resamples: int, biased: bool = False, heads: Heads = None
) -> Figure:
    """`metrics.bootstrap` with the seed of the evaluation."""
    return bootstrap(figure, count, SEED, resamples, biased=biased, heads=heads)


def forecast_figures(labels: np.ndarray, forecast: np.ndarray, resamples: int, heads: Heads = None) -> Dict[str, Figure]:
    """AUC, accuracy, Brier score and expected calibration error of probabilities, each {value, low, high}."""
    return {
        name: bootstrapped(
            lambda i, figure=figure: figure(labels[i], forecast[i]), len(labels), resamples, biased=name == "ece", heads=heads
        )
        for name, figure in FORECAST_FIGURES.items()
    }


def gain(labels: np.ndarray, first: np.ndarray, second: np.ndarray, resamples: int, heads: Heads = None) -> Dict[str, Figure]:
    """first - second in AUC and accuracy, paired."""
    return {
        name: bootstrapped(
            lambda i, figure=FORECAST_FIGURES[name]: figure(labels[i], first[i]) - figure(labels[i], second[i]),
            len(labels),
            resamples,
            heads=heads,
        )
        for name in ("auc", "accuracy")
    }


def by_head(cohort: Cohort, forecast: np.ndarray, resamples: int) -> Dict[str, Any]:
    """head -> AUC of the forecast and of the ceiling on its cases, and the paired distance: how much heads differ."""
    labels, truth, heads = cohort.values("label"), cohort.values("bayes"), cohort.values("head")
    found: Dict[str, Any] = {}
    for head in np.unique(heads):
        chosen = heads == head
        y, ours, best = labels[chosen], forecast[chosen], truth[chosen]
        found[str(int(head))] = {
            "cases": len(y),
            "auc": bootstrapped(lambda i: auc(y[i], ours[i]), len(y), resamples),
            "ceiling_auc": bootstrapped(lambda i: auc(y[i], best[i]), len(y), resamples),
            "gap": gain(y, best, ours, resamples)["auc"],
        }
    return found


def decision_figures(labels: np.ndarray, forecast: np.ndarray, resamples: int) -> Dict[str, Any]:
    """Sensitivity and specificity at 0.5 and the net benefit at a threshold of 0.3, each {value, low, high}."""
    count = len(labels)
    return {
        "sensitivity": bootstrapped(lambda i: sensitivity(labels[i], forecast[i]), count, resamples),
        "specificity": bootstrapped(lambda i: specificity(labels[i], forecast[i]), count, resamples),
        "netBenefit": bootstrapped(lambda i: net_benefit(labels[i], forecast[i], NET_BENEFIT_AT), count, resamples),
        "netBenefitThreshold": NET_BENEFIT_AT,
    }


def calibration_figures(labels: np.ndarray, forecast: np.ndarray, resamples: int) -> Dict[str, Any]:
    """Slope and intercept (in the large) of the calibration, each {value, low, high}; `eceOfChance`: the ECE that a perfect
    forecast would show in as many cases."""

    def slope(i: np.ndarray) -> float:
        return calibration_line(labels[i], forecast[i])[0]

    def intercept(i: np.ndarray) -> float:
        return calibration_line(labels[i], forecast[i], fixed_slope=True)[1]

    def figure_of(line: Callable[[np.ndarray], float]) -> Dict[str, Any]:
        try:
            return bootstrapped(line, len(labels), resamples)
        except ValueError as error:
            return {"absent": str(error)}

    return {
        "calibrationSlope": figure_of(slope),
        "calibrationIntercept": figure_of(intercept),
        "eceOfChance": round(chance_calibration_error(forecast, SEED), 4),
    }


def column(errors: List[Dict[str, float]], name: str) -> np.ndarray:
    """One figure of `case_errors` over the cases."""
    return np.array([case[name] for case in errors])


def ratio(first: np.ndarray, second: np.ndarray, chosen: np.ndarray, resamples: int, heads: Heads = None) -> Dict[str, Any]:
    """mean(first) / mean(second) over the chosen cases, {value, low, high, n}; a reason where it does not exist."""
    first, second = first[chosen], second[chosen]
    if len(first) < 2 or second.mean() <= 0:
        return {"n": len(first), "absent": "fewer than two such cases, or no error to compare with"}
    heads = None if heads is None else heads[chosen]
    return {**bootstrapped(lambda i: divided(first[i], second[i]), len(first), resamples, heads=heads), "n": len(first)}


def divided(first: np.ndarray, second: np.ndarray) -> float:
    """Ratio of means; ValueError where the denominator is 0 (that resample is drawn again)."""
    if second.mean() <= 0:
        raise ValueError("the denominator is 0")
    return float(first.mean() / second.mean())


def tasks_disagree(probability: np.ndarray, errors: List[Dict[str, float]]) -> np.ndarray:
    """bool [cases]: unlikely to bleed, but the picture has a millilitre of new blood; or very likely, but it has none at all. The rule of
    the service (`tasks-disagree`) with the hyperdense volume of this evaluation."""
    drawn, before = column(errors, "hemocast.volume_ml"), column(errors, "no_change.volume_ml")
    bleeds_in_picture_only = (probability < DISAGREES["low"]) & (drawn - before >= DISAGREES["blood_ml"])
    return bleeds_in_picture_only | ((probability >= DISAGREES["high"]) & (drawn < SMALLEST_ML))


def shift_prevalence(probability: np.ndarray, calibrated_at: float, assumed: float) -> np.ndarray:
    """Probabilities [cases] at another share of patients who bleed, as the service shifts them: the odds times the ratio of the two
    prevalences' odds."""
    return expit(logit(np.clip(probability, 1e-6, 1 - 1e-6)) + logit(assumed) - logit(calibrated_at))


def over_heads(cohort: Cohort, outcome: Dict[str, Any], rivals: Dict[str, np.ndarray], resamples: int) -> Dict[str, Any]:
    """The figures that a release is judged by, with intervals over resampled heads, and cases of each: crude where heads are few, but
    wider than intervals over cases by what heads differ. `rivals`: name -> probabilities [cases] of the fitted baselines."""
    labels, truth, ours, heads = cohort.values("label"), cohort.values("bayes"), outcome["probability"], cohort.values("head")
    errors = outcome["errors"]
    region, unchanged = column(errors, "no_change.mae_hot_8mm"), column(errors, "no_change.volume_error")
    volume, everyone = column(errors, "hemocast.volume_error"), np.ones(len(labels), bool)
    ceiling = {name: figure for name, figure in forecast_figures(labels, truth, resamples, heads).items() if name in ("auc", "accuracy")}
    return {
        "heads": len(np.unique(heads)),
        **forecast_figures(labels, ours, resamples, heads),
        "ceiling": ceiling,
        "gapToCeiling": gain(labels, truth, ours, resamples, heads),
        "hemocastGain": {
            **{name: gain(labels, ours, rival, resamples, heads) for name, rival in rivals.items()},
            **{name: picture_gain(errors, name, resamples, heads) for name in PICTURES},
            "no_blood_anywhere": {"volumeErrorMl": mean_figure(volume - column(errors, "true_ml"), resamples, heads)},
        },
        "lesionMaeRatio": ratio(column(errors, "hemocast.mae_hot_8mm"), region, np.isfinite(region), resamples, heads),
        "ringBiasHu": mean_figure(column(errors, "hemocast.ring_bias"), resamples, heads),
        "volumeErrorRatio": ratio(volume, unchanged, everyone, resamples, heads),
        "phVolumeErrorRatio": ratio(volume, unchanged, hemorrhages(cohort)["ph"], resamples, heads),
        "ssim": mean_figure(column(errors, "hemocast.ssim"), resamples, heads),
        "ssimNoChange": mean_figure(column(errors, "no_change.ssim"), resamples, heads),
    }


def mean_figure(values: np.ndarray, resamples: int, heads: Heads = None) -> Dict[str, Any]:
    """Mean over the cases that have the figure, {value, low, high, n}."""
    known = np.isfinite(values)
    values, heads = values[known], None if heads is None else heads[known]
    if len(values) < 2:
        return {"n": len(values), "absent": "fewer than two such cases"}
    return {**bootstrapped(lambda i: float(values[i].mean()), len(values), resamples, heads=heads), "n": len(values)}


def volume_ratios(volume: np.ndarray, unchanged: np.ndarray, kinds: Dict[str, np.ndarray], resamples: int) -> Dict[str, Any]:
    """Errors of the hyperdense volume (mL) as shares of those of "no change": over all cases, and over each kind of hemorrhage."""
    everyone = {"volumeErrorRatio": np.ones(len(volume), bool)}
    apart = {f"{name}VolumeErrorRatio": chosen for name, chosen in kinds.items()}
    return {key: ratio(volume, unchanged, chosen, resamples) for key, chosen in {**everyone, **apart}.items()}


def picture_figures(
    errors: List[Dict[str, float]], kinds: Dict[str, np.ndarray], method: str, resamples: int
) -> Dict[str, Any]:
    """How good the picture of `method` is, beside "no change" on the same cases; `kinds` as `hemorrhages` finds them."""
    region = column(errors, "no_change.mae_hot_8mm")
    volume, unchanged = column(errors, f"{method}.volume_error"), column(errors, "no_change.volume_error")
    return {
        "lesionMaeRatio": ratio(column(errors, f"{method}.mae_hot_8mm"), region, np.isfinite(region), resamples),
        "ringBiasHu": mean_figure(column(errors, f"{method}.ring_bias"), resamples),
        **volume_ratios(volume, unchanged, kinds, resamples),
        **{key: mean_figure(column(errors, f"{method}.{name}"), resamples) for key, name in LIKENESS.items()},
    }


def picture_gain(errors: List[Dict[str, float]], method: str, resamples: int, heads: Heads = None) -> Dict[str, Any]:
    """hemocast - method, paired: lesion MAE (HU) and volume error (mL), below 0 is better; SSIM, above 0 is better."""
    names = {"lesionMaeHu": "mae_hot_8mm", "volumeErrorMl": "volume_error", "ssim": "ssim"}
    return {
        key: mean_figure(column(errors, f"hemocast.{name}") - column(errors, f"{method}.{name}"), resamples, heads)
        for key, name in names.items()
    }


def measured_on(cohort: Cohort, date: str) -> Dict[str, Any]:
    """n, seeds, date, version of the simulator (None where no cohort.json says it): what a block's figures were measured on, and when."""
    seeds = cohort.values("seed")
    span, simulator = [int(seeds.min()), int(seeds.max())], cohort.record().get("version")
    return {"n": len(cohort), "seeds": span, "date": date, "bootstrapUnit": "case", "simulator": simulator}


def network_block(cohort: Cohort, outcome: Dict[str, Any], forecasts: Dict[str, Figure], resamples: int) -> Dict[str, Any]:
    """The network on one cohort, probability and picture; `forecasts`: its AUC, accuracy, Brier and ECE."""
    labels, errors = cohort.values("label"), outcome["errors"]
    kinds = hemorrhages(cohort)
    picture = picture_figures(errors, kinds, "hemocast", resamples)
    volumes = {
        f"{name}{which}Ml": mean_figure(column(errors, key)[chosen], resamples)
        for name, chosen in kinds.items()
        for which, key in (("True", "true_ml"), ("Generated", "hemocast.volume_ml"))
    }
    return {
        **forecasts,
        **calibration_figures(labels, outcome["probability"], resamples),
        **decision_figures(labels, outcome["probability"], resamples),
        "gapToCeiling": gain(labels, cohort.values("bayes"), outcome["probability"], resamples),
        **picture,
        **volumes,
        **{f"{key}NoChange": mean_figure(column(errors, f"no_change.{name}"), resamples) for key, name in LIKENESS.items()},
        "ssimGain": picture_gain(errors, "no_change", resamples)["ssim"],
        "tasksDisagreeShare": mean_figure(tasks_disagree(outcome["probability"], errors).astype(float), resamples),
    }


def hemorrhages(cohort: Cohort) -> Dict[str, np.ndarray]:
    """bool [cases] each: petechial ("hi"), parenchymal hematoma ("ph"), and those whose initial CT showed no blood ("phNew")."""
    kind, group = cohort.values("kind"), cohort.values("group")
    hematoma = kind == KINDS.index("PH")
    return {"hi": kind == KINDS.index("HI"), "ph": hematoma, "phNew": hematoma & (group != GROUPS.index("blood"))}


def baseline_blocks(
    cohort: Cohort, outcome: Dict[str, Any], measured: Dict[str, Any], rivals: Dict[str, np.ndarray], date: str, resamples: int
) -> Dict[str, Any]:
    """name -> figures with `hemocastGain` (paired). `measured`: figures of the forecasts as `classification` found them;
    `rivals`: the scores behind them [cases]."""
    labels, errors, kinds = cohort.values("label"), outcome["errors"], hemorrhages(cohort)
    stamp = measured_on(cohort, date)
    blocks: Dict[str, Any] = {}
    for name, figures in measured.items():
        blocks[name] = {**stamp, **figures}
        if name in rivals:
            blocks[name]["hemocastGain"] = gain(labels, outcome["probability"], rivals[name], resamples)
    for name in PICTURES:
        blocks[name] = {
            **stamp,
            **picture_figures(errors, kinds, name, resamples),
            "hemocastGain": picture_gain(errors, name, resamples),
        }
    bloodless, unchanged = column(errors, "true_ml"), column(errors, "no_change.volume_error")
    blocks["no_blood_anywhere"] = {
        **stamp,
        **volume_ratios(bloodless, unchanged, kinds, resamples),
        "hemocastGain": {"volumeErrorMl": mean_figure(column(errors, "hemocast.volume_error") - bloodless, resamples)},
    }
    for name, reason in NOT_RUN_BASELINES.items():
        blocks[name] = not_run(reason)
    return blocks


def not_run(reason: str) -> Dict[str, str]:
    """What stands in place of figures that were not measured."""
    return {"status": "not run", "reason": reason}


def other_networks(training: Dict[str, Any]) -> Dict[str, Dict[str, str]]:
    """The networks of the design that the bundle is not, each as not run; `training` as in its metadata."""
    itself = {"base": training["network"].get("name") == "base", "ensemble": len(training.get("members", [])) > 1}
    return {name: not_run(reason) for name, reason in NOT_RUN_NETWORKS.items() if not itself[name]}


def shifted_block(cohort: Cohort, outcome: Dict[str, Any], metadata: Dict[str, Any], date: str, resamples: int) -> Dict[str, Any]:
    """The network on a shifted cohort; `miss`: neither calibrated (ECE <= 0.08) nor flagged (half of the cases); `calibratedOn`: these
    heads served calibration, threshold and choice; `departs`: in what, by the cohort's own record. Of the case mix of all comers
    `eceShifted` is the calibration error after the shift to its prevalence, which the service makes."""
    labels, bayes, heads = cohort.values("label"), cohort.values("bayes"), cohort.values("head")
    figures = forecast_figures(labels, outcome["probability"], resamples)
    flagged = (outcome["ood_score"] > metadata["ood"]["threshold"]).astype(float)
    caught = mean_figure(flagged, resamples)
    record, departures, shifted = cohort.record(), [], {}
    if record.get("shift", "none") != "none":
        departures.append(SHIFTS[record["shift"]].told)
    if record.get("prevalence_mix") == "all-comers":
        departures.append(f"The case mix of all comers; {labels.mean():.0%} of these bled.")
        moved = shift_prevalence(outcome["probability"], metadata["calibration"]["prevalence"], ALL_COMERS_PREVALENCE)
        shifted["eceShifted"] = forecast_figures(labels, moved, resamples)["ece"]
    if departures:
        shifted["departs"] = " ".join(departures)
    return {
        **measured_on(cohort, date),
        "calibratedOn": bool(set(cohort.values("head").tolist()) & set(HEADS["validation"])),
        **shifted,
        **network_block(cohort, outcome, figures, resamples),
        "perHead": by_head(cohort, outcome["probability"], resamples),
        "overHeads": {
            **forecast_figures(labels, outcome["probability"], resamples, heads),
            "oodFlaggedShare": mean_figure(flagged, resamples, heads),
        },
        "ceilingAuc": bootstrapped(lambda i: auc(labels[i], bayes[i]), len(labels), resamples),
        "oodFlaggedShare": caught,
        "miss": not calibrated_or_flagged({"ece": figures["ece"], "oodFlaggedShare": caught}),
    }


def calibrated_or_flagged(block: Dict[str, Any], of_error: str = "value", of_flagged: str = "value") -> bool:
    """Whether a shifted cohort is calibrated or flagged, by the value or an end of the interval of its error and of its flagged share."""
    return block["ece"][of_error] <= ECE_BAR or block["oodFlaggedShare"][of_flagged] >= FLAGGED_ENOUGH
