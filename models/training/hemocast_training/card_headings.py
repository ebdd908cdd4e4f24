"""TRIPOD+AI and CLAIM, item by item: each answered in a sentence made from metadata.json and evaluation.json, or "not available".

TRIPOD+AI: table 2 of Collins et al., BMJ 2024;385:e078378 (27 items, 52 sub-items). CLAIM: the 2024 update, Tejani et al., Radiology:
Artificial Intelligence 2024;6(4):e240300 (44 items). Numbers and topics were checked against several transcriptions of the open
texts (PMC11019967, PMC11304031), which agree, not against the articles themselves. Titles are short names of ours; the published
wording is what counts.
"""

from typing import Any, Dict, List, Optional, Tuple

from .card_attributes import NO_EXTERNAL, NO_PATIENTS, about_use, listed, missing, ood_rule, record, start_of, text
from .model_card_bench import BASELINES, heads_sentence, was_run

Item = Tuple[str, str, Any]
"""Number, short title, answer: a text, or what `missing` gives."""

GROUPS_IN_WORDS = {"none": "without hyperdensity", "stain": "with staining only", "blood": "with visible blood"}
ASSESSED_BY_NOBODY = "the simulator draws the outcome from a known probability: nobody reads or annotates it"
COMPLETE = "None: simulated cases are complete, and none was left out."
NO_FUNDING = "no funding is recorded"
NEXT = "To be measured on scan pairs of patients, of several hospitals; `finetune` measures a hospital's own pairs."


def tripod_ai(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[Dict[str, str]]:
    """52 records: `id` (number of the sub-item), `title`, `value`, and `why` where the value is "not available"."""
    items = (
        *tripod_introduction(metadata, evaluation),
        *tripod_data(metadata, evaluation),
        *tripod_analysis(metadata, evaluation),
        *tripod_open_science(metadata, evaluation),
        *tripod_results(metadata, evaluation),
        *tripod_discussion(metadata, evaluation),
    )
    return [record(*item) for item in items]


def claim(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[Dict[str, str]]:
    """44 records: `id` (number of the item), `title`, `value`, and `why` where the value is "not available"."""
    items = (*claim_data(metadata, evaluation), *claim_model(metadata, evaluation), *claim_results(metadata, evaluation))
    return [record(*item) for item in items]


def tripod_introduction(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 1 to 4."""
    use = about_use(metadata)
    return (
        ("1", "Title", f"{metadata['name']} {metadata['version']}: {metadata['description']}"),
        ("2", "Abstract", abstract(metadata, evaluation)),
        (
            "3a",
            "Medical context and rationale",
            "Prognostic: blood and contrast staining look alike on the CT after thrombectomy, and which of them bleeds is to be forecast; "
            "the interactive attention follows Jiang et al. 2024 (arXiv 2408.00940).",
        ),
        ("3b", "Target population, purpose, users", f"{use['2.ii']} Users: {use['2.iii']} Role: {use['2.iv']}"),
        ("3c", "Known health inequalities", missing("not examined: simulated cases belong to no sociodemographic group")),
        ("4", "Objectives", f"Development and evaluation of one network: {metadata['intended_use']}"),
    )


def tripod_data(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 5 to 11: data, participants, outcome, predictors."""
    return (
        ("5a", "Sources of data", f"Development: {metadata['training_data']} Evaluation: {cohort_in_words(evaluation)}."),
        ("5b", "Dates of the data", missing(f"nobody was recruited or followed up; the evaluation is of {evaluation['date']}")),
        ("6a", "Setting and centres", missing("simulated cases come from no hospital")),
        ("6b", "Eligibility", "Every simulated case is in; the case mix is the simulator's."),
        ("6c", "Treatments", "Every simulated scan is one after thrombectomy; no other treatment is simulated."),
        ("7", "Preparation and quality of the data", preparation(metadata)),
        ("8a", "Outcome and time horizon", "Intracranial hemorrhage within 72 h, drawn from a probability that the simulator knows."),
        ("8b", "Assessors of the outcome", missing(ASSESSED_BY_NOBODY)),
        ("8c", "Blinding to the outcome", missing(ASSESSED_BY_NOBODY)),
        ("9a", "Choice of predictors", "The image as a whole: no predictor was chosen or left out beforehand."),
        ("9b", "Definition of predictors", "The voxels (HU) of the first non-contrast head CT after thrombectomy, and nothing else."),
        ("9c", "Assessors of predictors", missing("nobody rates or measures the image: the network reads its voxels")),
        ("10", "Sample size", sample_size(metadata, evaluation)),
        ("11", "Missing data", COMPLETE),
    )


def tripod_analysis(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 12 to 17: methods of the analysis."""
    calibration, cohort = metadata["calibration"], evaluation["cohort"]
    return (
        ("12a", "Use of the data", partitions(metadata, evaluation)),
        ("12b", "Handling of predictors", "Fixed HU windows and a soft hyperdensity prior, both inside the graph."),
        (
            "12c",
            "Type of model and how it was built",
            f"{metadata['description']} {runs_sentence(metadata, evaluation)}; {calibration['method']} fitted on validation heads; no "
            "search over hyperparameters is recorded.",
        ),
        ("12d", "Differences between clusters", f"Figures are given for each head anatomy; {resampled(evaluation)}."),
        ("12e", "Measures and plots", measures(evaluation)),
        (
            "12f",
            "Updating after the evaluation",
            missing(f"nothing was updated after it; {calibration['method']} were fitted before it, on validation heads"),
        ),
        ("12g", "How forecasts were computed", "ONNX Runtime on models/model.onnx of this bundle, never on the checkpoint."),
        ("13", "Class imbalance", class_balance(metadata, evaluation)),
        ("14", "Fairness", missing(NO_PATIENTS)),
        (
            "15",
            "Output and thresholds",
            "A calibrated probability (0 to 1) with an interval and a generated follow-up CT; no threshold for acting is given; accuracy, "
            "sensitivity and specificity are stated at 0.5.",
        ),
        (
            "16",
            "Development against evaluation data",
            f"Other heads ({listed(cohort['heads'])}) and other seeds, the same kind of outcome and of input; how the training cases vary: "
            f"5a; shifted cohorts: {listed(evaluation['shifted']) or 'none was evaluated'}.",
        ),
        ("17", "Ethical approval", missing("no patient data, hence no approval or consent was needed")),
    )


def tripod_open_science(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 18 and 19."""
    return (
        ("18a", "Funding", missing(NO_FUNDING)),
        ("18b", "Conflicts of interest", missing("no declarations of the authors are recorded")),
        ("18c", "Protocol", missing("no protocol was published; the aims of a release stand in models/training/README.md")),
        ("18d", "Registration", "The study was not registered."),
        ("18e", "Data", data_sharing(evaluation)),
        ("18f", "Code", f"models/training of the repository, licence {metadata['license']}."),
        ("19", "Patient and public involvement", "None took place."),
    )


def tripod_results(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 20 to 24."""
    cohort, ours, calibration = evaluation["cohort"], evaluation["inDistribution"], metadata["calibration"]
    stain = evaluation["classification"]["stain_only"]
    return (
        ("20a", "Flow of participants", flow(cohort)),
        ("20b", "Characteristics of participants", f"{mix(cohort['groups'])}; demographic characteristics do not exist."),
        (
            "20c",
            "Comparison with the development data",
            f"Prevalence {cohort['prevalence']:.2f} in the evaluation, {calibration['prevalence']:.2f} in the validation cases of the "
            "calibration; that of the training cases is not recorded in the bundle.",
        ),
        (
            "21",
            "Numbers in each analysis",
            f"Training: {training_cases(metadata['training'])}; calibration: {calibration['figures']['cases']} validation cases; "
            f"evaluation: {cohort['cases']} cases, {events(cohort)} of them bled.",
        ),
        ("22", "Full model", specification(metadata)),
        (
            "23a",
            "Performance",
            f"AUC {text(ours['auc'])}, accuracy {text(ours['accuracy'])}, Brier score {text(ours['brier'])}, calibration error "
            f"{text(ours['ece'])}; staining without blood ({stain['cases']} cases): AUC {text(stain['auc'])}; the rest: evaluation.json.",
        ),
        ("23b", "Performance by cluster", f"AUC by head anatomy: {heads_sentence(evaluation['classification']['per_head'])}."),
        ("24", "Results of updating", updating(metadata)),
    )


def tripod_discussion(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 25 to 27."""
    return (
        ("25", "Interpretation", interpretation(evaluation)),
        ("26", "Limitations", limits(evaluation)),
        (
            "27a",
            "Poor or missing input",
            f"The service refuses what it cannot read as a non-contrast head CT. {ood_rule(metadata['ood'])}",
        ),
        (
            "27b",
            "Interaction and expertise of users",
            "The image is read and resampled by rule, without anybody's hand; whoever uses the result must be able to read the CT itself.",
        ),
        ("27c", "Next steps", NEXT),
    )


def claim_data(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 1 to 21: study, data, reference standard, partitions."""
    use = about_use(metadata)
    return (
        ("1", "Title", f"{metadata['name']} {metadata['version']}, deep learning. {metadata['disclaimer']}"),
        ("2", "Abstract", abstract(metadata, evaluation)),
        ("3", "Background and intended use", f"{metadata['intended_use']} Role: {use['2.iv']}"),
        ("4", "Aims and hypotheses", "To forecast the hemorrhage and draw the follow-up CT with one network; no hypothesis is recorded."),
        ("5", "Prospective or retrospective", "Neither: a simulation study."),
        ("6", "Goal of the study", "Creation of a model, and its measurement on simulated cases."),
        ("7", "Sources of data", metadata["training_data"]),
        ("8", "Inclusion and exclusion", "Every simulated case is in; none is left out."),
        ("9", "Preprocessing", preparation(metadata)),
        ("10", "Subsets of the data", "Whole heads on the model grid; no slice, region or case was picked by hand."),
        ("11", "De-identification", missing("no patient data went in")),
        ("12", "Missing data", COMPLETE),
        (
            "13",
            "Image acquisition",
            "Drawn for each case by the simulator (slice thickness, blur, noise, tilt, metal, motion): models/training/docs/simulator.md.",
        ),
        ("14", "Reference standard", "The simulated follow-up CT, and the outcome drawn from the simulator's known probability."),
        ("15", "Why this reference standard", "It is the only one that simulated cases have, and it is known without error."),
        ("16", "Source of annotations", missing(ASSESSED_BY_NOBODY)),
        ("17", "Annotation of the test set", missing(ASSESSED_BY_NOBODY)),
        ("18", "Variability between readers", missing(ASSESSED_BY_NOBODY)),
        ("19", "Assignment to partitions", partitions(metadata, evaluation)),
        ("20", "Level of separation", "Head anatomy: training, validation and test share no head."),
        ("21", "Size of the test set", sample_size(metadata, evaluation)),
    )


def claim_model(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 22 to 34: model, training, evaluation."""
    training, bootstrap = metadata["training"], evaluation["bootstrap"]
    start = start_of(training)
    seeds = evaluation["inDistribution"]["trainingSeeds"]
    combined = len(members(training)) > 1
    looks = [f"{member['validation_auc']:.3f}" for member in members(training) if "validation_auc" in member]
    return (
        ("22", "Model", f"{metadata['description']} Inputs, outputs and layers: the graph itself, and models/training/README.md."),
        (
            "23",
            "Software",
            "PyTorch for the training, ONNX Runtime for the evaluation, in versions that models/training/pyproject.toml allows; which ones "
            "they were is not recorded in the bundle.",
        ),
        ("24", "Initial weights", f"Those of {start}." if start else "Random ones."),
        ("25", "Training", training_in_words(metadata, evaluation)),
        (
            "26",
            "Choice of the final model",
            "The averaged weights at the end of the budget of each run, none of an earlier look; what else validation cases decided stands "
            "in the training data (7).",
        ),
        (
            "27",
            "Ensemble",
            f"{runs_sentence(metadata, evaluation)}: the means of their logits and pictures."
            if combined
            else f"None: {'the weights of the runs were averaged into one network' if len(seeds) > 1 else 'one network of one run'}.",
        ),
        ("28", "Measures of performance", measures(evaluation)),
        (
            "29",
            "Uncertainty and significance",
            f"{bootstrap['level']:.0%} intervals over {bootstrap['resamples']} resamples of cases, paired for differences; no tests.",
        ),
        ("30", "Robustness", robustness(evaluation)),
        (
            "31",
            "Explanation",
            "The attention map shows where both tasks looked; whether it helps a reader was not tested.",
        ),
        (
            "32",
            "Internal testing",
            f"{cohort_in_words(evaluation)}; last look at validation cases in the training: AUC {listed(looks) or 'none'}.",
        ),
        ("33", "External testing", missing(NO_EXTERNAL)),
        ("34", "Trial registration", missing("not a clinical trial")),
    )


def claim_results(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Tuple[Item, ...]:
    """Items 35 to 44: results, discussion, other information."""
    cohort, ours = evaluation["cohort"], evaluation["inDistribution"]
    return (
        ("35", "Numbers included and excluded", flow(cohort)),
        (
            "36",
            "Characteristics in each partition",
            f"Test: {mix(cohort['groups'])}, prevalence {cohort['prevalence']:.2f}; validation: prevalence "
            f"{metadata['calibration']['prevalence']:.2f}; training: not recorded in the bundle; demographic characteristics do not exist.",
        ),
        (
            "37",
            "Performance by partition and subgroup",
            f"Test: AUC {text(ours['auc'])}; by head anatomy: {heads_sentence(evaluation['classification']['per_head'])}; validation: "
            f"calibration error {metadata['calibration']['figures']['ece_after']:.3f}.",
        ),
        (
            "38",
            "Diagnostic performance",
            f"Sensitivity {text(ours['sensitivity'])}, specificity {text(ours['specificity'])} at 0.5; ROC curve: docs/discrimination.png.",
        ),
        (
            "39",
            "Failures",
            f"{misses(cohort, ours)}; the surest misses, the surest false alarms and the worst pictures, by rule: docs/failures.png.",
        ),
        ("40", "Limitations", limits(evaluation)),
        ("41", "Implications for practice", f"None yet: {metadata['disclaimer']} {NEXT}"),
        ("42", "Protocol and technical details", "models/training/README.md, docs/bundle.md; no protocol was published."),
        ("43", "Availability", f"{specification(metadata)} {data_sharing(evaluation)}"),
        ("44", "Funding", missing(NO_FUNDING)),
    )


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
    return f"Resampled to {voxels} voxels of {spacing} mm; HU windows inside the graph; the same for every case."


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
    rivals = sum(was_run(block) for block in evaluation["baselines"].values())
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
    fitted = {name: block for name, block in evaluation["baselines"].items() if "auc" in block.get("hemocastGain", {})}
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
