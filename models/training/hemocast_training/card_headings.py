"""The headings of TRIPOD+AI (Collins et al. 2024) and CLAIM (2024 update), each answered in a sentence or "not available"."""

from typing import Any, Dict, List

from .card_attributes import NO_EXTERNAL, NO_PATIENTS, missing, record, text


def tripod_ai(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[Dict[str, str]]:
    """27 records: `id` (item number), `title`, `value`, and `why` where the value is "not available"."""
    cohort, ours = evaluation["cohort"], evaluation["inDistribution"]
    answers = (
        ("Title", f"{metadata['name']} {metadata['version']}: {metadata['description']}"),
        ("Abstract", "docs/README.md of the bundle."),
        ("Background", "Blood and contrast staining look alike on CT after thrombectomy; which of them bleeds is to be forecast."),
        ("Objectives", metadata["intended_use"]),
        ("Data", metadata["training_data"]),
        ("Participants", missing(NO_PATIENTS)),
        ("Data preparation", "Resampling to 24 x 128 x 128 voxels of 5 x 1.5 x 1.5 mm; windows inside the graph."),
        ("Outcome", "Hemorrhage within 72 h, drawn from the simulator's known probability of each case."),
        ("Predictors", "The voxels of the initial non-contrast CT, nothing else."),
        ("Sample size", f"{metadata['training']['cases']} cases for training, {cohort['cases']} for evaluation; no calculation."),
        ("Missing data", "None: simulated cases are complete."),
        ("Analytical methods", "Dual-task network, temperature scaling on validation heads; see docs/README.md."),
        ("Class imbalance", f"Prevalence {cohort['prevalence']:.2f} in the evaluation: no correction."),
        ("Fairness", missing(NO_PATIENTS)),
        ("Model output", "Calibrated probability; generated follow-up CT; no threshold for acting is given."),
        ("Training versus evaluation", "Split by head anatomy: training, validation and test share no head."),
        ("Ethical approval", missing("no patient data, hence no approval was needed")),
        ("Open science", f"Code and weights under {metadata['license']}; data by seed. No protocol was registered."),
        ("Patient and public involvement", missing("none took place")),
        ("Participants (results)", f"{cohort['cases']} simulated cases on heads {cohort['heads']}: {cohort['groups']}."),
        ("Model development", f"{metadata['training']['cases']} training cases; seeds {ours['trainingSeeds']}."),
        ("Model specification", "The ONNX graph of this bundle, by SHA-256 in configs/metadata.json."),
        ("Model performance", f"AUC {text(ours['auc'])}, calibration error {text(ours['ece'])}; all figures: evaluation.json."),
        ("Model updating", missing("this version is not an update of another one's weights")),
        ("Interpretation", "It shows what is possible on simulated cases; it says nothing about patients."),
        ("Limitations", "docs/README.md, section Limits."),
        ("Usability", "Input must be a non-contrast head CT; the service refuses what it cannot read, the score flags the strange."),
    )
    return [record(str(number), title, answer) for number, (title, answer) in enumerate(answers, 1)]


def claim(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[Dict[str, str]]:
    """One record for each heading of the checklist: `id`, `title`, `value`, and `why`."""
    cohort, ours = evaluation["cohort"], evaluation["inDistribution"]
    bootstrap = evaluation["bootstrap"]
    answers = (
        ("Title and abstract", f"{metadata['name']} {metadata['version']}, {metadata['disclaimer']}"),
        ("Introduction", metadata["intended_use"]),
        ("Study design", "Simulation study; retrospective and prospective do not apply."),
        ("Data", metadata["training_data"]),
        ("Reference standard", "The simulated follow-up and outcome: known, not read by people."),
        ("Data partitions", "By head anatomy; test heads are used by the evaluation and the start check only."),
        ("Testing data", f"{cohort['cases']} simulated cases, seeds {cohort['seeds'][0]} to {cohort['seeds'][1]}."),
        ("Model", metadata["description"]),
        ("Training", f"Seeds {ours['trainingSeeds']}; docs/README.md shows the curves where they were kept."),
        ("Evaluation", f"{bootstrap['level']:.0%} intervals over {bootstrap['resamples']} resamples of cases; baselines; failures."),
        ("External testing", missing(NO_EXTERNAL)),
        ("Results: data", f"{cohort['groups']}; prevalence {cohort['prevalence']:.2f}."),
        ("Results: performance", f"AUC {text(ours['auc'])}; failures are shown in docs/failures.png."),
        ("Discussion", "docs/README.md, section Limits."),
        ("Other information", f"Licence {metadata['license']}; no registration; funding is not recorded."),
    )
    return [record(title.lower().replace(" ", "-").replace(":", ""), title, answer) for title, answer in answers]
