"""The aims of a release, and whether it reached them: `aims` of evaluation.json, and the card's section of that name.

An aim is met when the whole interval lies inside its limits, met in the figure only when the value alone does, and missed otherwise.
"""

from typing import Any, Dict, List, NamedTuple, Optional

from .evaluation_figures import ECE_BAR, FLAGGED_ENOUGH, calibrated_or_flagged
from .model_card_bench import cell, table

MET, FIGURE_ONLY, MISSED, NOT_MEASURED = "met", "met in the figure only", "missed", "not measured"
INDEPENDENT_RUNS = 3


class Aim(NamedTuple):
    """key: of evaluation.json's `aims`; path: keys of evaluation.json down to {value, low, high}; low, high: what it is to lie between,
    None where open."""

    key: str
    name: str
    path: str
    low: Optional[float]
    high: Optional[float]
    digits: int


GAIN = "inDistribution.overHeads.hemocastGain"
AIMS = (
    Aim("gapAuc", "AUC, ceiling less hemocast", "inDistribution.overHeads.gapToCeiling.auc", None, 0.025, 3),
    Aim("gapAccuracy", "accuracy, ceiling less hemocast", "inDistribution.overHeads.gapToCeiling.accuracy", None, 0.02, 3),
    Aim("gainRegression", "AUC over radiomics with logistic regression", f"{GAIN}.radiomics_regression.auc", 0.0, None, 3),
    Aim("gainBoosting", "AUC over radiomics with gradient boosting", f"{GAIN}.radiomics_boosting.auc", 0.0, None, 3),
    Aim("ece", "calibration error", "inDistribution.overHeads.ece", None, 0.03, 3),
    Aim("lesionMaeRatio", "error in the hot region, share of no change", "inDistribution.overHeads.lesionMaeRatio", None, 0.6, 2),
    Aim("lesionMaeOverCap", "error in the hot region over cap at 40 HU, HU", f"{GAIN}.cap_at_40.lesionMaeHu", None, 0.0, 2),
    Aim("ringBiasHu", "bias in the ring of 8 mm, HU", "inDistribution.overHeads.ringBiasHu", -2.0, 2.0, 1),
    Aim("volumeErrorRatio", "error of hyperdense volume, share of no change", "inDistribution.overHeads.volumeErrorRatio", None, 0.55, 2),
    Aim(
        "volumeErrorOverNoBlood", "error of hyperdense volume over no blood anywhere, mL",
        f"{GAIN}.no_blood_anywhere.volumeErrorMl", None, 0.0, 2,
    ),
    Aim(
        "phVolumeErrorRatio", "error of hyperdense volume in parenchymal hematoma, share of no change",
        "inDistribution.overHeads.phVolumeErrorRatio", None, 1.0, 2,
    ),
    Aim("ssimGain", "SSIM over no change", f"{GAIN}.no_change.ssim", 0.0, None, 3),
)
CALIBRATED = f"shifted cohorts whose calibration error is at most {ECE_BAR} or of which {FLAGGED_ENOUGH:.0%} are flagged"
RUNS = "independent trainings in the bundle"
# Of a count of cohorts: its own end, then those of the calibration error and of the flagged share.
ENDS = (("value", "value", "value"), ("low", "high", "low"), ("high", "low", "high"))
DIGITS = {aim.key: aim.digits for aim in AIMS}


def judge(figure: Optional[Dict[str, Any]], low: Optional[float], high: Optional[float]) -> str:
    """The verdict on {value, low, high}; NOT_MEASURED where there is no such figure."""
    if figure is None or "value" not in figure:
        return NOT_MEASURED

    def inside(least: float, most: float) -> bool:
        return (low is None or least >= low) and (high is None or most <= high)

    if inside(figure["low"], figure["high"]):
        return MET
    return FIGURE_ONLY if inside(figure["value"], figure["value"]) else MISSED


def found(evaluation: Dict[str, Any], path: str) -> Optional[Dict[str, Any]]:
    """What stands at 'a.b.c' of the evaluation; None where nothing does."""
    for key in path.split("."):
        evaluation = evaluation.get(key) if isinstance(evaluation, dict) else None
    return evaluation


def independent_runs(training: Dict[str, Any]) -> int:
    """Trainings in the bundle that share nothing; `training` as in its metadata. The mean of several runs is one, and so are members that
    began with the same weights."""
    members = training.get("members") or [training]
    return 1 if any(member.get("start") for member in members) else len(members)


def judged_aims(evaluation: Dict[str, Any], training: Dict[str, Any], would_take: Dict[str, str]) -> List[Dict[str, Any]]:
    """One record an aim: key, name, figure, low and high (its limits), verdict; and wouldTake where it is not met and `would_take` (key ->
    sentence) has one."""
    judged = [block for block in evaluation["shifted"].values() if not block["calibratedOn"]]
    counted = {end: sum(calibrated_or_flagged(block["overHeads"], *ends) for block in judged) for end, *ends in ENDS if judged}
    runs = independent_runs(training)
    records = [
        *({"key": aim.key, "name": aim.name, "figure": found(evaluation, aim.path), "low": aim.low, "high": aim.high} for aim in AIMS),
        {"key": "shifted", "name": CALIBRATED, "figure": counted or None, "low": len(judged), "high": None},
        {"key": "independentRuns", "name": RUNS, "figure": {"value": runs}, "low": INDEPENDENT_RUNS, "high": None},
    ]
    for record in records:
        value = record["figure"] or {}
        interval = {"low": value.get("value"), "high": value.get("value"), **value} if "value" in value else None
        record["verdict"] = judge(interval, record["low"], record["high"])
        if record["verdict"] != MET and record["key"] in would_take:
            record["wouldTake"] = would_take[record["key"]]
    return records


def aims_section(aims: List[Dict[str, Any]]) -> str:
    """The aims as a table, then what those would take that are not met."""
    rows = []
    for aim in aims:
        wanted = [f"{word} {aim[end]:g}" for word, end in (("at least", "low"), ("at most", "high")) if aim[end] is not None]
        figure = aim["figure"]
        counted = figure is not None and "value" in figure and "low" not in figure
        shown = str(figure["value"]) if counted else cell(figure, DIGITS.get(aim["key"], 0))
        verdict = aim["verdict"] if aim["verdict"] == MET else f"**{aim['verdict']}**"
        rows.append([aim["name"], " and ".join(wanted), shown, verdict])
    open_ones = [f"- **{aim['name']}**: {aim['wouldTake']}" for aim in aims if "wouldTake" in aim]
    return "\n".join([
        "## Aims of the release\n",
        "Met: the whole 95 % interval lies inside. Intervals are over heads and their cases; the last two rows are counts, of cohorts also by "
        "the worse and by the better end of their intervals.\n",
        table(["aim", "wanted", "measured", ""], rows),
        *(["What those would take that are not met, and what was tried:\n", *open_ones, ""] if open_ones else []),
    ])
