"""Which cases the model card shows: chosen by rule, the worst generated one included."""

from typing import Any, Dict, List

import numpy as np

from .data import GROUPS, Cohort
from .regions import smooth

SHIFTED_CASE = "the first case that bled and whose initial CT shows staining but no blood (where there is none, the first that bled)"
"""Which case a shifted cohort shows: chosen before anything is forecast."""


def choose_panel_rows(cohort: Cohort, outcome: Dict[str, Any]) -> List[dict]:
    """Rows for `plot_panel`: of each group and outcome the case with the most initially hot voxels, and the case with
    the largest generation error."""
    labels, group = cohort.values("label"), cohort.values("group")
    hot = np.array([case["hot_ml"] for case in outcome["errors"]])
    chosen: List[int] = []
    for group_index in range(len(GROUPS)):
        for label in (0, 1):
            found = np.flatnonzero((group == group_index) & (labels == label))
            if len(found):
                chosen.append(int(found[hot[found].argmax()]))
    errors = np.array([case["hemocast.mae_hot_8mm"] for case in outcome["errors"]])
    if np.isfinite(errors).any():
        chosen.append(int(np.nanargmax(errors)))
    return [panel_row(cohort, outcome, index) for index in dict.fromkeys(chosen)]


def choose_gallery_rows(cohort: Cohort, outcome: Dict[str, Any], each: int = 3) -> List[dict]:
    """Rows for `plot_panel`: the surest misses (bled, lowest probability), the surest false alarms (did not bleed, highest
    probability) and the largest errors of the generated picture; up to `each` of every kind, none where there are none."""
    labels, probability = cohort.values("label"), outcome["probability"]
    errors = np.array([case["hemocast.mae_hot_8mm"] for case in outcome["errors"]])
    missed = [int(i) for i in np.argsort(probability) if labels[i] == 1 and probability[i] < 0.5]
    alarms = [int(i) for i in np.argsort(-probability) if labels[i] == 0 and probability[i] > 0.5]
    drawn = [int(i) for i in np.argsort(-np.nan_to_num(errors, nan=-1.0)) if np.isfinite(errors[i])]
    kinds = (("missed", missed), ("false alarm", alarms), ("worst picture", drawn))
    return [panel_row(cohort, outcome, i, kind) for kind, found in kinds for i in found[:each]]


def choose_shifted_case(cohort: Cohort) -> int:
    """The index of SHIFTED_CASE."""
    bled = cohort.values("label") == 1
    stained = bled & (cohort.values("group") == GROUPS.index("stain"))
    return int((stained if stained.any() else bled).argmax())


def panel_row(cohort: Cohort, outcome: Dict[str, Any], index: int, kind: str = "") -> dict:
    """The slice that is brightest in the initial or the true follow-up CT, all pictures on it; `kind` leads the title."""
    image = np.clip(cohort.initial[index], -20, 100).astype(np.float32)
    truth = cohort.follow_up[index].astype(np.float32)
    inside = cohort.mask(index)
    bright = (np.maximum(smooth(image), smooth(truth)) > 50) & inside
    plane = int(bright.sum((1, 2)).argmax()) if bright.any() else image.shape[0] // 2
    attention = np.repeat(np.repeat(outcome["attention"][index][plane].astype(np.float32), 4, 0), 4, 1)
    title = (f"{kind.upper()}\n" if kind else "") + (
        f"{GROUPS[int(cohort.values('group')[index])]}, bled: {'yes' if cohort.values('label')[index] else 'no'}, "
        f"p {outcome['probability'][index]:.2f} (true {cohort.values('bayes')[index]:.2f})"
    )
    return {
        "title": title,
        "initial": image[plane],
        "generated": outcome["follow_up"][index][plane].astype(np.float32),
        "truth": truth[plane],
        "attention": attention,
    }
