"""CLAIM, item by item: each answered in a sentence made from metadata.json and evaluation.json, or "not available".

The 2024 update, Tejani et al., Radiology: Artificial Intelligence 2024;6(4):e240300 (44 items). Numbers and topics were checked against
several transcriptions of the open text (PMC11304031), which agree, not against the article itself. Titles are short names of ours; the
published wording is what counts.
"""

from typing import Any, Dict, List, Tuple

from .card_attributes import NO_EXTERNAL, about_use, listed, missing, record, start_of, text
from .card_sentences import (
    ASSESSED_BY_NOBODY,
    COMPLETE,
    Item,
    NEXT,
    NO_FUNDING,
    abstract,
    cohort_in_words,
    data_sharing,
    flow,
    limits,
    measures,
    members,
    misses,
    mix,
    partitions,
    preparation,
    robustness,
    runs_sentence,
    sample_size,
    specification,
    training_in_words,
)
from .model_card_bench import heads_sentence


def claim(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[Dict[str, str]]:
    """44 records: `id` (number of the item), `title`, `value`, and `why` where the value is "not available"."""
    items = (*claim_data(metadata, evaluation), *claim_model(metadata, evaluation), *claim_results(metadata, evaluation))
    return [record(*item) for item in items]


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
