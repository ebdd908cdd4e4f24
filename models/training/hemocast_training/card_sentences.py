"""The sentences that TRIPOD+AI and CLAIM both ask for, each made from metadata.json and evaluation.json."""

from typing import Any, Dict, List, Optional, Tuple

from .card_attributes import listed, missing, start_of, text
from .model_card_bench import BASELINES, OURS_AS_LONG, was_run

Item = Tuple[str, str, Any]
"""Number, short title, answer: a text, or what `missing` gives."""

ASSESSED_BY_NOBODY = "the simulator draws the outcome from a known probability: nobody reads or annotates it"
COMPLETE = "None: simulated cases are complete, and none was left out."
NO_FUNDING = "no funding is recorded"
NEXT = "To be measured on scan pairs of patients, of several hospitals; `finetune` measures a hospital's own pairs."
GROUPS_IN_WORDS = {"none": "without hyperdensity", "stain": "with staining only", "blood": "with visible blood"}


def runs_sentence(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """How many training runs the bundle holds."""
    seeds = evaluation["inDistribution"]["trainingSeeds"]
    if len(seeds) == 1:
        return "One training run, one seed"
    named = f"{len(seeds)} training runs (seeds {', '.join(map(str, seeds))})"
    if metadata["training"].get("average_of"):
        return f"One network, the mean of {named} from one start"
    return f"An ensemble of {named}, evaluated as one"


def members(training: Dict[str, Any]) -> List[Dict[str, Any]]:
    """The networks of the bundle, as the metadata describes them."""
    return training.get("members") or [training]


def abstract(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """The study in one sentence."""
    ours, ceiling = evaluation["inDistribution"], evaluation["ceiling"]
    return (
        f"Simulation study of a forecast of hemorrhage after thrombectomy from one CT: AUC {text(ours['auc'])} (best possible "
        f"{text(ceiling['auc'])}) in {cohort_in_words(evaluation)}; no patient was measured."
    )


def cohort_in_words(evaluation: Dict[str, Any]) -> str:
    """'1000 simulated cases on heads 13 and 14, seeds 1 to 9'."""
    cohort = evaluation["cohort"]
    return f"{cohort['cases']} simulated cases on heads {listed(cohort['heads'])}, seeds {cohort['seeds'][0]} to {cohort['seeds'][1]}"


def mix(groups: Dict[str, int]) -> str:
    """'171 without hyperdensity, 664 with staining only and 165 with visible blood'."""
    return listed(f"{count} {GROUPS_IN_WORDS.get(name, name)}" for name, count in groups.items())


def events(cohort: Dict[str, Any]) -> int:
    """How many of the measured cases bled."""
    return round(cohort["prevalence"] * cohort["cases"])


def flow(cohort: Dict[str, Any]) -> str:
    """How many were simulated, how many measured, how many bled."""
    bled = events(cohort)
    return f"{cohort['cases']} cases were measured, none left out: {bled} bled, {cohort['cases'] - bled} did not."


def misses(cohort: Dict[str, Any], ours: Dict[str, Any]) -> str:
    """The confusion matrix at 0.5, in words."""
    bled = events(cohort)
    missed = round((1 - ours["sensitivity"]["value"]) * bled)
    alarms = round((1 - ours["specificity"]["value"]) * (cohort["cases"] - bled))
    return f"At 0.5, {missed} of {bled} hemorrhages were missed and {alarms} of {cohort['cases'] - bled} others called one"


def preparation(metadata: Dict[str, Any]) -> str:
    """The model grid."""
    image = metadata["network_data_format"]["inputs"]["image"]
    voxels, spacing = (" x ".join(f"{value:g}" for value in values) for values in (image["shape"][1:], image["spacing_mm"]))
    return f"Resampled to {voxels} voxels of {spacing} mm, the same for every case. {windows(metadata)} inside the graph."


def windows(metadata: Dict[str, Any]) -> str:
    """How the graph reads HU."""
    offset = metadata["training"].get("network", {}).get("reference_hu") is not None
    return "An offset by the commonest HU of the brain, then fixed HU windows" if offset else "Fixed HU windows"


def training_cases(training: Dict[str, Any]) -> str:
    """How many cases the training had; where it went on from other weights, that they had cases of their own."""
    start = start_of(training)
    if start is None:
        return f"{training['cases']} cases"
    return f"{training['cases']} cases (the last training's: it went on from {start}, whose cases stand in the training data)"


def sample_size(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """Cases of training and evaluation."""
    return (
        f"{evaluation['cohort']['cases']} cases for evaluation; {training_cases(metadata['training'])} for training; no sample size was "
        "calculated."
    )


def partitions(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """Which heads did what, and what the test heads were used for."""
    used = ["the evaluation", "the start check", "the parity check of the export"]
    if any(was_run(block) for block in evaluation["ablations"].values()):
        used.append("the ablations")
    if was_run(evaluation.get("conditional", {})):
        used.append("the trial of conditional pictures")
    if was_run(evaluation["baselines"][OURS_AS_LONG]):
        used.append("the networks of the literature")
    return (
        f"By head anatomy: {len(metadata['training']['heads'])} heads train, others validate, heads "
        f"{listed(evaluation['cohort']['heads'])} test; the test heads are used by {listed(used)}: no weight was trained, nothing "
        "calibrated and no network chosen on them."
    )


def class_balance(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """Prevalences, and that nothing corrects for them."""
    return (
        f"Prevalence {evaluation['cohort']['prevalence']:.2f} in the evaluation, {metadata['calibration']['prevalence']:.2f} in the "
        "calibration: no correction."
    )


def measures(evaluation: Dict[str, Any]) -> str:
    """What was measured, and against what."""
    rivals = sum(was_run(block) for name, block in evaluation["baselines"].items() if name != OURS_AS_LONG)
    return (
        "AUC, accuracy, Brier score, calibration error and slope, net benefit; of the pictures the error in the hot region, ring bias, "
        f"volume error and SSIM; ROC, calibration and decision curves; beside the best possible forecast and {rivals} baselines."
    )


def robustness(evaluation: Dict[str, Any]) -> Any:
    """AUC and calibration error over the shifted cohorts that calibrated nothing, with the misses named."""
    shifted = {name: block for name, block in evaluation["shifted"].items() if not block.get("calibratedOn")}
    if not shifted:
        return missing("no shifted cohort of other heads than the calibration's was evaluated")
    spans = [
        f"{title} {min(values):.3f} to {max(values):.3f}"
        for title, values in (
            (title, [block[name]["value"] for block in shifted.values()]) for name, title in (("auc", "AUC"), ("ece", "calibration error"))
        )
    ]
    missed = listed(name for name, block in shifted.items() if block["miss"])
    return f"Shifted cohorts ({listed(shifted)}): {listed(spans)}; neither calibrated nor flagged: {missed or 'none'}."


def training_in_words(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> str:
    """Optimizer, length, and what the curves show."""
    training = metadata["training"]
    lengths = listed(
        f"{member['pairs_seen']} pairs seen in {member['minutes']:.0f} minutes ({member['device']})" for member in members(training)
    )
    return (
        f"{runs_sentence(metadata, evaluation)}; AdamW with a cosine over the budget, augmentation by flips, shifts, HU offset, gain and "
        f"noise; {lengths}; curves.png, where it was kept, shows losses, GradNorm weights and validation "
        f"AUC of {shown_run(training)}."
    )


def shown_run(training: Dict[str, Any]) -> str:
    """Which run curves.png shows: the export copies that of the first network, an average continues that of its first run."""
    if training.get("average_of"):
        shown = "the first of the averaged runs, with the mean as its last point"
    elif len(members(training)) > 1:
        shown = "the first network only"
    else:
        shown = "the last run only"
    return f"{shown}, not of the training it went on from" if start_of(training) else shown


def specification(metadata: Dict[str, Any]) -> str:
    """Files that hold the whole model."""
    return f"{listed(metadata['files'])}, by SHA-256 in configs/metadata.json, licence {metadata['license']}."


def data_sharing(evaluation: Dict[str, Any]) -> str:
    """How to make the cases again."""
    made = evaluation["cohort"].get("simulated_by")
    seed = f" (evaluation: simulator {made['version']}, split {made['split']}, seed {made['seed']}, {made['count']} cases)" if made else ""
    return f"Cases are made again from their seeds with `simulate`{seed}, on the public label maps of SynthSeg."


def updating(metadata: Dict[str, Any]) -> Any:
    """Item 24: whose weights this version went on from."""
    start = start_of(metadata["training"])
    if start is None:
        return missing("this version is not an update of another one's weights")
    return (
        f"This version is an update: its training went on from the weights of {start} (what those had learned from: 5a); the figures "
        "(23a) are those of the updated network."
    )


def best_rival(evaluation: Dict[str, Any]) -> Optional[str]:
    """The fitted baseline with the highest AUC; None where none was run."""
    baselines = {name: block for name, block in evaluation["baselines"].items() if name != OURS_AS_LONG}
    fitted = {name: block for name, block in baselines.items() if "auc" in block.get("hemocastGain", {})}
    return max(fitted, key=lambda name: fitted[name]["auc"]["value"]) if fitted else None


def resampled(evaluation: Dict[str, Any]) -> str:
    """What the intervals resample."""
    over = evaluation["inDistribution"].get("overHeads")
    if over is None:
        return "intervals resample cases, not heads"
    return f"intervals resample cases, for the main figures also the {over['heads']} heads"


def limits(evaluation: Dict[str, Any]) -> str:
    """What to keep in mind, in one sentence."""
    heads = len(evaluation["cohort"]["heads"])
    return (
        f"Simulated cases only, {heads} head {'anatomy' if heads == 1 else 'anatomies'} in the evaluation; {resampled(evaluation)}, and "
        "never the training: docs/README.md, section Limits."
    )


def interpretation(evaluation: Dict[str, Any]) -> str:
    """How far from the best possible forecast, how far from the best rival, and about whom it says nothing."""
    rival, gain = best_rival(evaluation), ""
    if rival:
        over = text(evaluation["baselines"][rival]["hemocastGain"]["auc"])
        gain = f", hemocast's less that of the best fitted rival ({BASELINES.get(rival, rival)}) {over}"
    gap = text(evaluation["inDistribution"]["gapToCeiling"]["auc"])
    return f"On simulated cases the best possible AUC less hemocast's is {gap}{gain}; it says nothing about patients, nor about fairness."
