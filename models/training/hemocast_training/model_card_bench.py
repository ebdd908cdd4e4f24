"""Sections of the model card that show the network beside its rivals, on shifted cohorts and without its parts."""

from pathlib import Path
from typing import Any, Dict, List

from .evaluation_figures import ALL_COMERS_PREVALENCE, ECE_BAR, FLAGGED_ENOUGH
from .panel import SHIFTED_CASE

IN_DISTRIBUTION = (
    ("auc", "AUC", 3),
    ("accuracy", "accuracy at 0.5", 3),
    ("sensitivity", "sensitivity at 0.5", 3),
    ("specificity", "specificity at 0.5", 3),
    ("brier", "Brier score", 3),
    ("ece", "expected calibration error", 3),
    ("calibrationSlope", "calibration slope", 2),
    ("calibrationIntercept", "calibration in the large (logits)", 2),
    ("lesionMaeRatio", "hot region MAE, share of no change", 2),
    ("ringBiasHu", "ring bias, HU", 2),
    ("volumeErrorRatio", "hyperdense volume error, share of no change", 2),
    ("hiVolumeErrorRatio", "the same in hemorrhagic infarction", 2),
    ("phVolumeErrorRatio", "the same in parenchymal hematoma", 2),
    ("phNewVolumeErrorRatio", "the same in parenchymal hematoma of which the initial CT showed nothing", 2),
    ("phNewTrueMl", "hyperdense volume of those on the true follow-up, mL", 1),
    ("phNewGeneratedMl", "on the generated one, mL", 1),
    ("ssim", "SSIM inside the skull", 4),
    ("ssimNoChange", "SSIM of no change", 4),
    ("ssimGain", "SSIM over no change (paired)", 4),
    ("psnr", "PSNR inside the skull, dB", 1),
    ("psnrNoChange", "PSNR of no change, dB", 1),
    ("lesionSsim", "SSIM in the hot region", 3),
    ("lesionSsimNoChange", "of no change", 3),
    ("lesionPsnr", "PSNR in the hot region, dB", 1),
    ("lesionPsnrNoChange", "of no change, dB", 1),
    ("tasksDisagreeShare", "share in which probability and picture contradict each other", 3),
)

BASELINES = {
    "radiomics_regression": "radiomics + logistic regression",
    "radiomics_boosting": "radiomics + gradient boosting",
    "radiomics_regression_true_probability": "radiomics + logistic regression, fitted on true probabilities",
    "radiomics_boosting_true_probability": "radiomics + gradient boosting, fitted on true probabilities",
    "density_regression": "density features + logistic regression",
    "blood_visible_rule": "blood visible now (perfect reader)",
    "max_hu_rule": "highest density",
    "no_change": "no change",
    "no_change_denoised": "no change, 3x3 mean",
    "cap_at_40": "cap at 40 HU",
    "cap_at_40_denoised": "cap at 40 HU, 3x3 mean",
    "no_blood_anywhere": "no blood anywhere",
    "resnet18_3d": "ResNet-18-3D",
    "unet_regression": "U-Net regression",
    "pix2pix": "pix2pix",
    "tiny_as_long": "hemocast's network, trained as long as the networks of the literature",
}

FORECAST_BASELINES = (
    "radiomics_regression", "radiomics_boosting", "radiomics_regression_true_probability", "radiomics_boosting_true_probability",
    "density_regression",
)
OURS_AS_LONG = "tiny_as_long"
TRAINED_AS_LONG = ("resnet18_3d", "unet_regression", "pix2pix", OURS_AS_LONG)
PICTURE_COLUMNS = ("lesionMaeRatio", "ringBiasHu", "volumeErrorRatio", "phVolumeErrorRatio", "phNewVolumeErrorRatio", "ssim")
ABLATION_COLUMNS = ("auc", "aucOverFull", "lesionMaeRatio", "lesionMaeHuOverFull")
CONDITIONAL = {
    "shipped": "nothing (the picture of the bundle named above)",
    "untold": "nothing, the same layers",
    "outcome": "what then happened",
    "none": "always no hemorrhage",
    "petechial": "always petechiae",
    "hematoma": "always a hematoma",
}
CONDITIONAL_COLUMNS = (
    ("phNewMl", "mL drawn in new hematomas", 1),
    ("phNewVolumeErrorRatio", "volume error there, share of no change", 2),
    ("hiMl", "mL drawn in petechial hemorrhage", 1),
    ("notBledMl", "mL drawn where none bled", 1),
    ("lesionMaeHuOverUntold", "hot region, HU over untold (paired)", 2),
)
SHIFT_COLUMNS = (
    ("auc", "AUC", 3),
    ("ceilingAuc", "ceiling AUC", 3),
    ("accuracy", "accuracy", 3),
    ("ece", "ECE", 3),
    ("lesionMaeRatio", "hot region MAE ratio", 2),
    ("volumeErrorRatio", "volume error ratio", 2),
    ("phVolumeErrorRatio", "in hematoma", 2),
    ("phNewVolumeErrorRatio", "in new hematoma", 2),
    ("oodFlaggedShare", "flagged share", 2),
)

SHIFTED_PICTURES = {
    "shifted.png": "ROC, calibration (tenths of the cohort) and decision curve in each shifted cohort, its probabilities not shifted "
    "to another prevalence",
    "shifted-panel.png": f"Initial, generated and true follow-up CT; of each shifted cohort {SHIFTED_CASE}",
}
"""File in docs/ -> its caption."""


def cell(figure: Any, digits: int = 3) -> str:
    """'0.912 (0.880 to 0.940)'; the reason where there is no such figure, nothing where it does not apply."""
    if figure is None:
        return ""
    if "value" not in figure:
        return figure.get("absent", "not available")
    return f"{figure['value']:.{digits}f} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"


def table(head: List[str], rows: List[List[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def was_run(block: Dict[str, Any]) -> bool:
    """Whether a baseline or an ablation was measured."""
    return block.get("status") != "not run"


def bench_section(evaluation: Dict[str, Any]) -> str:
    """The figures in one table, the fitted rivals with paired differences, the pictures one can draw without a network."""
    figures, baselines = evaluation["inDistribution"], evaluation["baselines"]
    rows = [[title, cell(figures.get(name), digits)] for name, title, digits in IN_DISTRIBUTION]
    rows.append(["calibration error of a perfect forecast, as many cases", f"{figures['eceOfChance']:.3f}"])
    for name in ("auc", "accuracy"):
        rows.append([f"ceiling less hemocast, {name}", cell(figures["gapToCeiling"][name])])
    text = ["## The figures in one table\n", table(["in distribution, unseen heads", "value"], rows)]
    rivals = [name for name in FORECAST_BASELINES if was_run(baselines[name])]
    if rivals:
        text.append(
            f"Rivals fitted on {baselines[rivals[0]]['trainedOn']['n']} simulated pairs of the training heads, all slices, from the picture "
            "alone, on the drawn outcomes or (where it says so) on the simulator's true probabilities; the network also learns from the "
            "simulator's maps, and from more pairs. Differences are paired.\n"
        )
        text.append(
            table(
                ["rival", "AUC", "accuracy", "hemocast over it, AUC", "hemocast over it, accuracy"],
                [rival_row(name, baselines[name]) for name in rivals],
            )
        )
    text.append(as_long_section(baselines))
    pictures = [["**hemocast**", *(cell(figures[key], 2) for key in PICTURE_COLUMNS)]]
    for name, block in baselines.items():
        if "volumeErrorRatio" in block and name not in TRAINED_AS_LONG:
            pictures.append([BASELINES.get(name, name), *(cell(block.get(key), 2) for key in PICTURE_COLUMNS)])
    best = evaluation["ceiling"]
    if "volumeErrorRatio" in best:
        name = "a forecast of the volume that knows each case's probabilities, and growth where blood shows already"
        pictures.append([name, *(cell(best.get(key), 2) for key in PICTURE_COLUMNS)])
    text.append("Pictures (errors as a share of no change):\n")
    head = ["", "hot region MAE", "ring bias, HU", "volume error", "volume error, hematoma", "new hematoma", "SSIM"]
    text += [table(head, pictures), not_run_sentence("Baselines", baselines), not_run_sentence("Networks", evaluation["networks"])]
    text += [conditional_sentence(evaluation), steadiness_sentence(evaluation)]
    text.append("![Decision curve](decision-curve.png)\n")
    return "\n".join(text)


def rival_row(name: str, block: Dict[str, Any]) -> List[str]:
    """One fitted baseline with what the network gains over it."""
    gain = block["hemocastGain"]
    return [BASELINES[name], cell(block["auc"]), cell(block["accuracy"]), cell(gain["auc"]), cell(gain["accuracy"])]


def as_long_section(baselines: Dict[str, Any]) -> str:
    """The networks of the literature, beside ours that was trained as long on the same pairs; empty where none was run."""
    blocks = {name: baselines[name] for name in TRAINED_AS_LONG if was_run(baselines[name])}
    if not blocks:
        return ""
    rows = []
    for name, block in blocks.items():
        gains = [block.get(key, {}) for key in ("asLongGain", "hemocastGain")]
        figures = [block.get("auc"), gains[0].get("auc"), gains[1].get("auc"), block.get("lesionMaeRatio")]
        rows.append([BASELINES[name], f"{block['parameters'] / 1e6:.1f} M", *map(cell, figures), cell(gains[0].get("lesionMaeHu"), 2)])
    first = next(iter(blocks.values()))
    return (
        f"Networks of the literature at equal training: each saw {first['trainingPairs']} pairs, repeats included, of {first['trainedOn']['n']}, with the same "
        f"augmentation, and the same probability or follow-up as target; hemocast's learns from the simulator's maps as well. No rate was tuned; one seed; "
        f"n = {first['n']} test cases. Differences are paired.\n\n"
        + table(
            [
                "network", "parameters", "AUC", "hemocast's at this training over it, AUC", "hemocast over it, AUC", "hot region MAE, share of no change",
                "hemocast's at this training less it, HU (below 0: better)",
            ],
            rows,
        )
    )


def conditional_sentence(evaluation: Dict[str, Any]) -> str:
    """What came of pictures that are told what is to happen, in place of one."""
    tried = evaluation["conditional"]
    what = "Pictures that are told what is to happen (a hematoma, petechiae, no hemorrhage)"
    if not was_run(tried):
        return f"{what} were not tried.\n"
    rows = [
        [CONDITIONAL.get(name, name), *(cell(block.get(key), digits) for key, _, digits in CONDITIONAL_COLUMNS)]
        for name, block in tried["pictures"].items()
    ]
    seeds, true, bundle = len(tried["trainingSeeds"]), tried["trueMl"], tried["bundle"]
    return (
        f"{what} were tried, and are not offered: a head beside {bundle['name']} {bundle['version']}, {tried['trainingPairs']} passes of training "
        f"on a CPU core, {seeds} seed{'' if seeds == 1 else 's'}, n = {tried['n']} test cases{of_other_simulator(tried, evaluation)}. True volumes: new "
        f"hematomas {cell(true['phNew'], 1)} mL, petechial {cell(true['hi'], 1)}, no hemorrhage {cell(true['notBled'], 1)}.\n\n"
        + table(["told", *(title for _, title, _ in CONDITIONAL_COLUMNS)], rows)
    )


def steadiness_sentence(evaluation: Dict[str, Any]) -> str:
    """How far the forecasts of single scans move with changes that say nothing about the patient."""
    measured = evaluation["steadiness"]
    if not was_run(measured):
        return "How steady forecasts of single scans are was not measured.\n"
    rows = []
    for name, forecasts in measured["series"].items():
        by_probability = sorted(forecasts, key=lambda change: forecasts[change]["probability"])
        ends = [f"{forecasts[change]['probability']:.2f} ({change})" for change in (by_probability[0], by_probability[-1])]
        own = forecasts["as it is"]
        rows.append([name, f"{own['probability']:.2f}", *ends, f"{own['ood_score']:.2f}"])
    changes = [change for change in next(iter(measured["series"].values())) if change != "as it is"]
    return (
        f"**How steady a forecast is**: the same scan again, {', '.join(changes[:-1])} and {changes[-1]} (turned, smaller and larger in its "
        "planes; AAPM TG-66 lets water be 5 HU off 0). A forecast that moves with these says little about the patient.\n\n"
        + table(["scan", "as it is", "lowest", "highest", "out-of-distribution score"], rows)
    )


def not_run_sentence(what: str, blocks: Dict[str, Any]) -> str:
    """'Baselines not run: ResNet-18-3D (needs a GPU); ...', so that nobody takes silence for a result."""
    missing = [f"{BASELINES.get(name, name)} ({block['reason']})" for name, block in blocks.items() if not was_run(block)]
    return f"{what} not run: {'; '.join(missing)}.\n" if missing else ""


def heads_sentence(found: Dict[str, Any]) -> str:
    """'head 13: 0.952 (0.932 to 0.969), ceiling less hemocast 0.021 (0.012 to 0.031); head 14: ...'."""
    return "; ".join(
        f"head {head}: {cell(figures['auc'])}, ceiling less hemocast {cell(figures['gap'])}" for head, figures in found.items()
    )


def shifted_section(evaluation: Dict[str, Any]) -> str:
    """Other physics and case mixes, with the misses named."""
    shifted = evaluation["shifted"]
    if not shifted:
        return "## Shifted cohorts\n\nNot run: no shifted cohort was given to the evaluation.\n"
    rows = [
        [name + " *" * block["calibratedOn"], str(block["n"]), *(cell(block.get(key), digits) for key, _, digits in SHIFT_COLUMNS)]
        for name, block in shifted.items()
    ]
    head = ["cohort", "cases", *(title for _, title, _ in SHIFT_COLUMNS)]
    missed = [name for name, block in shifted.items() if block["miss"]]
    verdict = (
        f"**Missed: {', '.join(missed)}.** There the calibration error is above {ECE_BAR} and the out-of-distribution score "
        f"flags less than {FLAGGED_ENOUGH:.0%} of the cases: nothing warns the reader."
        if missed
        else f"No cohort is both miscalibrated (ECE above {ECE_BAR}) and unflagged (less than {FLAGGED_ENOUGH:.0%} of the cases)."
    )
    measured_heads = set(evaluation["classification"]["per_head"])
    others = [
        f"AUC by head in {name}: {heads_sentence(block['perHead'])}.\n"
        for name, block in shifted.items()
        if not measured_heads & set(block["perHead"])
    ]
    notes = [
        f"With the probability shifted to a prevalence of {ALL_COMERS_PREVALENCE}, as the service does: "
        f"ECE {cell(block['eceShifted'])} in {name}.\n"
        for name, block in shifted.items()
        if "eceShifted" in block
    ]
    if any(block["calibratedOn"] for block in shifted.values()):
        notes.append("\\* Calibrated and chosen on these heads: ECE and flagged share are not out of sample.\n")
    departures = [f"- **{name}**: {block['departs']}" for name, block in shifted.items() if "departs" in block]
    return "\n".join(["## Shifted cohorts\n", table(head, rows), *departures, "", verdict, "", *notes, *others])


def shifted_pictures(docs: Path) -> List[str]:
    """The pictures of the shifted cohorts under their captions, as far as they were drawn."""
    drawn = {name: caption for name, caption in SHIFTED_PICTURES.items() if (docs / name).exists()}
    return [f"{caption}:\n\n![Shifted cohorts]({name})\n" for name, caption in drawn.items()]


def of_other_simulator(block: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """", of simulator 0.1.0 (...)" where the figures in distribution are of another version; empty where they are of the same."""
    ours, other = (measured.get("simulator") for measured in (evaluation["inDistribution"], block))
    return "" if ours == other else f", of simulator {other or 'not known'} (the figures above: {ours or 'not known'})"


def with_pairs(name: str, block: Dict[str, Any]) -> str:
    """What an ablation is called beside a shorter one of the same name: 'full_3000_pairs'."""
    return f"{name}_{block.get('trainingPairs')}_pairs"


def ablations_section(evaluation: Dict[str, Any]) -> str:
    """What the parts of the network are worth, as far as it was measured."""
    ablations = evaluation["ablations"]
    text = ["## Ablations\n"]
    lengths: Dict[Any, Dict[str, Any]] = {}
    for name, block in ablations.items():
        if was_run(block):
            lengths.setdefault(block.get("trainingPairs"), {})[name] = block
    for pairs, blocks in lengths.items():
        first = next(iter(blocks.values()))
        text.append(
            f"Every network saw {pairs or 'equally many'} pairs, a fraction of the shipped one's training; "
            f"n = {first['n']} test cases{of_other_simulator(first, evaluation)}. Intervals are over cases; with few seeds, the training's own "
            "chance is not in them.\n"
        )
        head = ["network", "seeds", "AUC", "over full (paired)", "hot region MAE ratio", "HU over full (paired)"]
        rows = [
            [
                name.removesuffix(with_pairs("", block)).replace("_", " "),
                ", ".join(str(seed) for seed in block.get("trainingSeeds", [])),
                *(cell(block.get(key)) for key in ABLATION_COLUMNS),
            ]
            for name, block in blocks.items()
        ]
        text.append(table(head, rows))
    return "\n".join([*text, not_run_sentence("Ablations", ablations)])
