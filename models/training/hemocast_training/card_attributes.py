"""The 31 source attributes of a predictive decision support intervention, 45 CFR 170.315(b)(11)(iv)(B) (ONC HTI-1).

Every attribute is answered or marked "not available" with the reason; a simulated training makes many of them so. The titles
are short names, the regulation's text is what counts.
"""

from typing import Any, Dict, Iterable, List, Optional, Tuple

NOT_AVAILABLE = "not available"
NO_PATIENTS = "trained and measured on simulated cases only: no patient, hence no demographic group, is described"
NO_EXTERNAL = "no external validation has been done: no patient data were available"
NO_DEPLOYMENT = "research use only: it is not in clinical use anywhere"

PARAGRAPH = "170.315(b)(11)(iv)(B)"

TITLES = (
    ("1.i", "Developer: name and contact"),
    ("1.ii", "Funding of the technical implementation"),
    ("1.iii", "Value produced as output"),
    ("1.iv", "Type of output"),
    ("2.i", "Intended use"),
    ("2.ii", "Intended patients"),
    ("2.iii", "Intended users"),
    ("2.iv", "Intended role in decisions"),
    ("3.i", "Tasks, situations and populations to keep away from"),
    ("3.ii", "Known risks, inappropriate settings and uses, limitations"),
    ("4.i", "Inclusion and exclusion criteria of the training data"),
    ("4.ii", "Use of race, ethnicity, language, orientation, gender identity, sex, age, social and health status as inputs"),
    ("4.iii", "Demographic representativeness of the training data"),
    ("4.iv", "Relevance of the training data to the intended setting"),
    ("5.i", "Approach to fair output"),
    ("5.ii", "Approach to manage, reduce or eliminate bias"),
    ("6.i", "External validation: data source, setting, environment"),
    ("6.ii", "External validation: party that tested"),
    ("6.iii", "External validation: demographic representativeness"),
    ("6.iv", "External validation: process"),
    ("7.i", "Validity on test data from the same source as the training data"),
    ("7.ii", "Fairness on test data from the same source as the training data"),
    ("7.iii", "Validity on external data"),
    ("7.iv", "Fairness on external data"),
    ("7.v", "Evaluations of the effect on outcomes"),
    ("8.i", "Monitoring of validity: process and frequency"),
    ("8.ii", "Validity on local data"),
    ("8.iii", "Monitoring of fairness: process and frequency"),
    ("8.iv", "Fairness on local data"),
    ("9.i", "Updates: process and frequency"),
    ("9.ii", "Correction when validity or fairness is at risk: process and frequency"),
)


def source_attributes(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> List[Dict[str, str]]:
    """31 records: `id` (paragraph of the regulation), `title`, `value`, and `why` where the value is "not available"."""
    found = {**about_use(metadata), **about_data(metadata, evaluation), **about_validity(metadata, evaluation)}
    return [record(f"{PARAGRAPH}({key.replace('.', ')(')})", title, found[key]) for key, title in TITLES]


def record(identifier: str, title: str, answer: Any) -> Dict[str, str]:
    """An answered record, or one that says why there is no answer: `answer` is a text, or (NOT_AVAILABLE, why)."""
    if isinstance(answer, tuple):
        return {"id": identifier, "title": title, "value": answer[0], "why": answer[1]}
    return {"id": identifier, "title": title, "value": answer}


def missing(why: str) -> Tuple[str, str]:
    """An answer that does not exist, and why."""
    return NOT_AVAILABLE, why


def about_use(metadata: Dict[str, Any]) -> Dict[str, Any]:
    """Groups 1 to 3: what it is, what for, what not for."""
    low, high = metadata["editable_range_hu"]
    prevalence = metadata["calibration"]["prevalence"]
    return {
        "1.i": missing("an open-source project without a legal manufacturer; contact is its issue tracker"),
        "1.ii": missing("no funding to declare is recorded"),
        "1.iii": "Probability (0 to 1) of intracranial hemorrhage within 72 h after thrombectomy, with an interval; a generated "
        "follow-up CT; an attention map; an out-of-distribution score.",
        "1.iv": "Prediction (probability) and a generated image that illustrates it.",
        "2.i": metadata["intended_use"],
        "2.ii": "Adults after endovascular thrombectomy of an ischemic stroke, at their first non-contrast head CT.",
        "2.iii": "Researchers in stroke imaging, with a neuroradiologist or stroke physician who reads the CT itself.",
        "2.iv": "None in patient care. In research it informs: it replaces neither the reading of the CT nor a decision.",
        "3.i": "Diagnosis, triage or treatment of any patient; children; CT with contrast; CT before thrombectomy; trauma, tumor or "
        "surgery; images other than head CT.",
        "3.ii": "Never validated on patients. The generated CT is the median of what may come, so a merely likely hemorrhage can be "
        f"missing from it. Voxels outside {low:.0f} to {high:.0f} HU (above 100 HU near bone) are returned unchanged. The "
        f"probability holds at a prevalence of {prevalence:.2f} only, unless it is shifted. {ood_rule(metadata['ood'])}",
    }


def about_data(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Dict[str, Any]:
    """Groups 4 and 5: training data and fairness."""
    return {
        "4.i": f"{metadata['training_data']} Case mix: none, staining without blood, visible blood; every simulated case is in.",
        "4.ii": "None of them is an input: the only input is the CT image.",
        "4.iii": missing(NO_PATIENTS),
        "4.iv": "Simulated pairs with the physics of CT and the case mix of the literature; how near they are to the patients of "
        "a hospital is unknown.",
        "5.i": missing(f"{NO_PATIENTS}; figures per head anatomy are in evaluation.json (classification.per_head)"),
        "5.ii": missing("no bias between groups of patients can be measured in simulated cases; train and test share no head"),
    }


def about_validity(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Dict[str, Any]:
    """Groups 6 to 9: validation, figures, maintenance."""
    ours, ceiling = evaluation["inDistribution"], evaluation["ceiling"]
    shifted = ", ".join(evaluation["shifted"]) or "none was evaluated"
    return {
        "6.i": missing(NO_EXTERNAL),
        "6.ii": missing(NO_EXTERNAL),
        "6.iii": missing(NO_EXTERNAL),
        "6.iv": missing(NO_EXTERNAL),
        "7.i": f"{ours['n']} simulated cases on heads never trained on, {evaluation['date']}: AUC {text(ours['auc'])} "
        f"(best possible {text(ceiling['auc'])}), accuracy {text(ours['accuracy'])}, Brier score {text(ours['brier'])}, "
        f"calibration error {text(ours['ece'])}. All figures, baselines and shifted cohorts ({shifted}): evaluation.json.",
        "7.ii": missing(NO_PATIENTS),
        "7.iii": missing(NO_EXTERNAL),
        "7.iv": missing(NO_EXTERNAL),
        "7.v": missing("no study of outcomes exists"),
        "8.i": missing(NO_DEPLOYMENT),
        "8.ii": missing(f"{NO_DEPLOYMENT}; a hospital can measure its own pairs with `finetune`"),
        "8.iii": missing(NO_DEPLOYMENT),
        "8.iv": missing(NO_DEPLOYMENT),
        "9.i": f"A new version is a new bundle with new figures; this is {metadata['version']} of {metadata['created']}. No "
        "schedule is promised.",
        "9.ii": "The service can be paused at once and results withdrawn as entered in error; a corrected bundle follows the same "
        "evaluation. No frequency is promised.",
    }


def text(figure: Dict[str, float]) -> str:
    """'0.912 (0.880 to 0.940)'."""
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def ood_rule(ood: Dict[str, Any]) -> str:
    """What becomes of a strange scan, as the service decides it from `ood` of the metadata (docs/bundle.md)."""
    threshold, above = ood["threshold"], ood.get("refuse_above")
    if above is not None:
        return f"An out-of-distribution score above {threshold:.2f} is flagged, one above {above:.2f} is refused."
    if ood.get("action") == "refuse":
        return f"An out-of-distribution score above {threshold:.2f} is refused."
    return f"An out-of-distribution score above {threshold:.2f} is flagged, and no scan is turned away for it."


def start_of(training: Dict[str, Any]) -> Optional[str]:
    """Whose weights the training went on from: "hemocast-tiny 0.3.1", or "the training run named NAME"; None: from random ones."""
    start = training.get("start")
    if not start:
        return None
    return f"the training run named {start['name']}" if start["version"] == "run" else f"{start['name']} {start['version']}"


def listed(values: Iterable[Any]) -> str:
    """'13 and 14', '1, 2 and 3'."""
    words = [str(value) for value in values]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
