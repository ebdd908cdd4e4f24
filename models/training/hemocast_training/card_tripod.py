"""TRIPOD+AI, item by item: each answered in a sentence made from metadata.json and evaluation.json, or "not available".

Table 2 of Collins et al., BMJ 2024;385:e078378 (27 items, 52 sub-items). Numbers and topics were checked against several transcriptions
of the open text (PMC11019967), which agree, not against the article itself. Titles are short names of ours; the published wording is
what counts.
"""

from typing import Any, Dict, List, Tuple

from .card_attributes import NO_PATIENTS, about_use, listed, missing, ood_rule, record, text
from .card_sentences import (
    ASSESSED_BY_NOBODY,
    COMPLETE,
    Item,
    NEXT,
    NO_FUNDING,
    abstract,
    class_balance,
    cohort_in_words,
    data_sharing,
    events,
    flow,
    interpretation,
    limits,
    measures,
    mix,
    partitions,
    preparation,
    resampled,
    runs_sentence,
    sample_size,
    specification,
    training_cases,
    updating,
    windows,
)
from .model_card_bench import heads_sentence


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
        ("12b", "Handling of predictors", f"{windows(metadata)}, and a soft hyperdensity prior, inside the graph."),
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
        ("18c", "Protocol", missing("no protocol was published; the aims of a release stand in docs/README.md")),
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
