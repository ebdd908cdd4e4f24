"""The model card of a fine-tuned bundle, written from metadata.json and evaluation.json: no figure is typed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from .card_attributes import ood_rule

ROWS = {
    "auc": "AUC",
    "accuracy": "accuracy at 0.5",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "calibration_slope": "calibration slope (1 is right)",
    "mean_excess": "mean forecast minus observed frequency",
}


def write_site_card(bundle: Path, metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> None:
    """Writes docs/README.md of the bundle."""
    cohort, training, calibration = evaluation["cohort"], metadata["training"], metadata["calibration"]
    rows = "\n".join(
        f"| {title} | {cell(evaluation['finetuned'][name])} | {cell(evaluation['before_finetuning'][name])} |"
        for name, title in ROWS.items()
    )
    gain, generation = evaluation["gain"]["auc"], evaluation["generation"]
    ratio = generation["mae_hot_8mm_over_no_change"]
    drawn = (
        f"too few pairs with a hyperdensity ({generation['pairs_with_hot_region']}) to say"
        if ratio is None
        else f"{cell(ratio)} of the error of \"no change\" ({generation['pairs_with_hot_region']} pairs)"
    )
    files = "\n".join(f"- `{name}`: SHA-256 `{file['sha256']}`" for name, file in metadata["files"].items())
    text = f"""# {metadata['name']} {metadata['version']}

**{metadata['disclaimer']}**

{metadata['description']}

- Intended use: {metadata['intended_use']}
- Trained on: {metadata['training_data']}
- Input: HU on the model grid (`docs/bundle.md` of the repository); windows and calibration are inside the graph.
- Licence {metadata['license']}, for the files; what the site's governance allows is another question.

## Forecasts of patients not trained on

{cohort['folds']}-fold cross-validation by patient, {cohort['pairs']} pairs of {cohort['patients']} patients, \
{cohort['bled']} bled; {evaluation['date']}. Value (95 % interval over resampled patients). The temperature of each fold \
was fitted on the others.

| | fine-tuned | before fine-tuning |
| --- | --- | --- |
{rows}

- AUC against chance: {chance(evaluation['finetuned']['auc'])}.
- Gain in AUC, paired: {cell(gain)}: {verdict(gain)}.
- Generated follow-up, hot region and 8 mm around it: {drawn}. Against real follow-ups, whose noise no picture can meet.
- Networks of the folds were measured; the network in this bundle was trained on all pairs for \
{training['final_steps']} steps and was itself measured on nobody.

![Folds, ROC and calibration](curves.png)

## Calibration and out-of-distribution score

- Temperature {calibration['temperature']:.3f}, bias {calibration['bias']:.3f} on the forecasts above; prevalence {calibration['prevalence']:.2f}.
- Interval: {calibration['interval']['method']}
- Out-of-distribution threshold {metadata['ood']['threshold']:.2f}: the {metadata['ood']['quantile']:.0%} quantile over \
pairs that were not part of the reference. {ood_rule(metadata['ood'])}

## Limits

- One site's patients, retrospectively. Nothing here says how it does at another hospital, or next year at this one.
- The auxiliary maps inside the network were learned from simulated data and are not supervised by real pairs.
- The picture shows the median course: a hemorrhage that is merely likely may be missing from it while the probability is \
high. The probability is the forecast.

## Files

{files}
"""
    (bundle / "docs").mkdir(exist_ok=True)
    (bundle / "docs" / "README.md").write_text(text)


def cell(figure: Dict[str, float]) -> str:
    """'0.912 (0.880 to 0.940)'."""
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def chance(figure: Dict[str, float]) -> str:
    """Whether the forecasts say anything at all."""
    if figure["low"] > 0.5:
        return "better, the interval excludes 0.5"
    return "NOT shown to be better than chance, the interval does not lie above 0.5: do not use this bundle"


def verdict(gain: Dict[str, float]) -> str:
    """What a paired interval allows one to say."""
    if gain["low"] > 0:
        return "fine-tuning helped, the interval excludes zero"
    if gain["high"] < 0:
        return "fine-tuning harmed, the interval excludes zero"
    return "no difference proven, the interval includes zero"
