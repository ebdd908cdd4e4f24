"""The model card, written from metadata.json and evaluation.json: no figure in it is typed by hand."""

from pathlib import Path
from typing import Any, Dict, List

from .aims import aims_section
from .card_attributes import PARAGRAPH, ood_rule
from .card_sentences import runs_sentence
from .card_json import checklists, write_card_json
from .generation_figures import HIGHER_IS_BETTER, LOWER_IS_BETTER, METHODS
from .model_card_bench import ablations_section, bench_section, cell, heads_sentence, shifted_pictures, shifted_section, table

METHOD_NAMES = {
    "hemocast": "**hemocast**",
    "no_change": "no change",
    "no_change_denoised": "no change, 3x3 mean",
    "cap_at_40": "cap at 40 HU",
    "cap_at_40_denoised": "cap at 40 HU, 3x3 mean",
}

SUBSETS = {
    "all": "All cases",
    "bled": "Cases that bled",
    "did_not_bleed": "Cases that did not bleed",
    "blood_visible": "Cases with blood visible on the initial CT",
}

CHECKLISTS = {
    "sourceAttributes": "Source attributes, 45 CFR 170.315(b)(11)(iv)(B)",
    "tripodAi": "TRIPOD+AI (Collins et al., BMJ 2024;385:e078378)",
    "claim": "CLAIM, 2024 update (Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300)",
}


def write_model_card(bundle: Path, metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> None:
    """Writes docs/README.md of the bundle, and card.json beside it: the same card for machines."""
    sections = [
        heading(metadata, evaluation),
        aims_section(evaluation["aims"]),
        bench_section(evaluation),
        classification_section(evaluation),
        generation_section(evaluation["generation"]),
        calibration_section(metadata, evaluation),
        shifted_section(evaluation),
        *shifted_pictures(bundle / "docs"),
        ablations_section(evaluation),
    ]
    if (bundle / "docs" / "failures.png").exists():
        sections.append("## Where it fails\n\nThe surest misses, the surest false alarms and the worst pictures, by rule.\n")
        sections.append("![Failures](failures.png)\n")
    sections.append(LIMITS)
    (bundle / "docs").mkdir(exist_ok=True)
    if (bundle / "docs" / "curves.png").exists():
        sections.append("![Losses, GradNorm weights and validation AUC of the run](curves.png)\n")
    sections += checklist_sections(metadata, evaluation)
    (bundle / "docs" / "README.md").write_text("\n".join(sections))
    write_card_json(bundle, metadata, evaluation)


def heading(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    cohort = evaluation["cohort"]
    file = next(iter(metadata["files"].values()))
    mix = ", ".join(f"{count} {name}" for name, count in cohort["groups"].items())
    return f"""# {metadata['name']} {metadata['version']}

**{metadata['disclaimer']}**

{metadata['description']}

- Intended use: {metadata['intended_use']}
- Trained on: {metadata['training_data']}
- Measured on: {cohort['cases']} simulated cases of simulator {evaluation['inDistribution'].get('simulator') or 'not known'} (seeds \
{cohort['seeds'][0]} to {cohort['seeds'][1]}; {mix}) on \
{len(cohort['heads'])} heads never trained on; prevalence {cohort['prevalence']:.2f}; {evaluation['date']}.
- Input: HU on the model grid (`docs/bundle.md` of the repository); windows and calibration are inside the graph.
- File: {file['bytes'] / 1e6:.1f} MB, SHA-256 `{file['sha256']}`. Licence {metadata['license']}.

All figures: value (95 % interval over {evaluation['bootstrap']['resamples']} resamples of cases). \
{runs_sentence(metadata, evaluation)}: independent trainings were not measured against each other, and no interval covers how they differ. \
How heads differ is covered only where a row says so. The same card for machines: `card.json`.
"""


def classification_section(evaluation: Dict[str, Any]) -> str:
    figures = evaluation["classification"]
    rows = [forecast_row("**hemocast**", figures["hemocast"])]
    if "density_regression" in figures["baselines"]:
        rows.append(forecast_row("density features + logistic regression", figures["baselines"]["density_regression"]))
    rows.append(forecast_row("blood visible now (perfect reader)", figures["baselines"]["blood_visible_rule"]))
    rule = figures["baselines"]["max_hu_rule"]
    name = f"highest density (accuracy of > {rule['threshold_hu']} HU)"
    rows.append(f"| {name} | {cell(rule['auc'])} | {cell(rule['accuracy'])} | | |")
    rows.append(forecast_row("ceiling: the simulator's true probability", figures["ceiling"]))
    heads = heads_sentence(figures["per_head"])
    stain = figures["stain_only"]
    text = [
        "## Probability of hemorrhage\n",
        "| | AUC | accuracy | Brier | ECE |\n| --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n",
        f"- Distance to the ceiling (AUC): {cell(figures['regret_auc'])}.",
        f"- Contrast staining without blood ({stain['cases']} cases, the hard ones): AUC {cell(stain['auc'])}, "
        f"ceiling {cell(stain['ceiling_auc'])}.",
        f"- By head: {heads}.",
    ]
    if "auc_over_density_regression" in figures:
        gain = figures["auc_over_density_regression"]
        text.append(f"- Over the logistic regression (AUC, paired): {cell(gain)}: {verdict(gain)}.")
    return "\n".join(text) + "\n\n![ROC and calibration](discrimination.png)\n"


def generation_section(generation: Dict[str, Any]) -> str:
    text = [
        "## Generated follow-up CT\n",
        f"Against the {generation['target']}; hot region: initially above 50 HU inside the skull, plus 8 mm (defined "
        f"without the truth, {generation['cases_with_hot_region']} cases have one).\n",
    ]
    for key, title in SUBSETS.items():
        if not generation[key]["mae_brain"]:
            continue
        figures = generation[key]
        text.append(f"{title}:\n")
        columns = {**LOWER_IS_BETTER, **HIGHER_IS_BETTER}
        text.append("| | " + " | ".join(columns.values()) + " |")
        text.append("| --- " * (len(columns) + 1) + "|")
        for method in METHODS:
            values = [cell(figures[name].get(method), 2) for name in columns]
            text.append(f"| {METHOD_NAMES[method]} | " + " | ".join(values) + " |")
        text.append(f"\n{losses_sentence(figures)}\n")
    text.append("![Initial, generated, true follow-up](panel.png)\n")
    return "\n".join(text)


def losses_sentence(figures: Dict[str, Any]) -> str:
    """Which baselines have a lower (or for the bias, nearer to zero; for PSNR and SSIM a higher) mean than the network, said outright."""
    better = []
    for name, title in {**LOWER_IS_BETTER, **HIGHER_IS_BETTER}.items():
        if "hemocast" not in figures[name]:
            continue
        worse = {method: abs(figures[name][method]["value"]) * (-1 if name in HIGHER_IS_BETTER else 1) for method in METHODS}
        ahead = [METHOD_NAMES[method] for method in METHODS[1:] if worse[method] <= worse["hemocast"]]
        if ahead:
            better.append(f"{title.split(',')[0]} ({', '.join(ahead)})")
    return "The network loses in: " + "; ".join(better) + "." if better else "No baseline does better in the mean."


def calibration_section(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    calibration, figures = metadata["calibration"], metadata["calibration"]["figures"]
    return f"""## Calibration and out-of-distribution score

- Temperature {calibration['temperature']:.3f} and bias {calibration['bias']:.3f} on {figures['cases']} validation cases: ECE \
{figures['ece_before']:.3f} before, {figures['ece_after']:.3f} after; cross-entropy {figures['nll_before']:.3f} \
before, {figures['nll_after']:.3f} after. Prevalence {calibration['prevalence']:.2f}.
- Interval: {calibration['interval']['method']}
- The out-of-distribution score (Mahalanobis distance of the pooled feature) is above its threshold \
({metadata['ood']['threshold']:.2f}, {metadata['ood']['quantile']:.0%} of validation) in \
{evaluation['ood_flagged_share']:.1%} of the measured cases. {ood_rule(metadata['ood'])} Every real head is unlike a simulated one.
"""


LIMITS = """## Limits

- Nothing here was measured on a patient. Figures describe simulated cases, whose outcome was drawn from a formula.
- The generator is trained with an L1 loss, so it draws the median: a hemorrhage that is merely likely may be missing \
from the picture while the probability is high, and of hematomas that the initial CT does not show most of the volume is missing \
(the figures in one table). Infarcts are soft clouds where true ones have gyri, and stain above 100 HU beside bone stays as bright steps. In the one real head CT that \
was looked at, the cortex under the vault comes out darker than it was. Sharper ones would have to be \
drawn from a distribution instead of averaged, which was not tried. The picture illustrates; the probability is the forecast.
- A forecast can move with what scanners may differ by, most of all on scans that are not the simulator's (How steady a forecast is).
- Few head anatomies: read the figures per head. Calibration holds at the stated prevalence only.
- Voxels outside -20..150 HU (bone, air, metal, dense calcification), and above 100 HU within 3 mm of bone, are returned unchanged.
"""


def checklist_sections(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[str]:
    """One section for each of CHECKLISTS."""
    records = checklists(metadata, evaluation)
    return [checklist_section(title, records[key]) for key, title in CHECKLISTS.items()]


def checklist_section(title: str, records: List[Dict[str, str]]) -> str:
    """A checklist as a table, from the records of card.json."""
    rows = [[f"{record['id'].replace(PARAGRAPH, '')} {escaped(record['title'])}", escaped(answer(record))] for record in records]
    return f"## {title}\n\nTitles are short names; the published wording counts.\n\n{table(['item', 'answer'], rows)}"


def answer(record: Dict[str, str]) -> str:
    """The value of a record, with the reason where there is none."""
    return f"{record['value']}: {record['why']}." if "why" in record else record["value"]


def escaped(text: str) -> str:
    """One line that neither ends a table cell nor opens a tag."""
    for character in ("\\", "|", "<"):
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def forecast_row(name: str, figures: Dict[str, Any]) -> str:
    return f"| {name} | " + " | ".join(cell(figures[key]) for key in ("auc", "accuracy", "brier", "ece")) + " |"


def verdict(gain: Dict[str, float]) -> str:
    """What a paired interval allows one to say."""
    if gain["low"] > 0:
        return "better, the interval excludes zero"
    if gain["high"] < 0:
        return "worse, the interval excludes zero"
    return "no difference proven, the interval includes zero"
