"""Which cases the model card shows: chosen by rule, the worst generated one included."""

from typing import Any, Dict, List

import numpy as np

from .data import GROUPS, Cohort
from .regions import smooth


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


def panel_row(cohort: Cohort, outcome: Dict[str, Any], index: int) -> dict:
    """The slice that is brightest in the initial or the true follow-up CT, all pictures on it."""
    image = np.clip(cohort.initial[index], -20, 100).astype(np.float32)
    truth = cohort.follow_up[index].astype(np.float32)
    inside = cohort.mask(index)
    bright = (np.maximum(smooth(image), smooth(truth)) > 50) & inside
    plane = int(bright.sum((1, 2)).argmax()) if bright.any() else image.shape[0] // 2
    attention = np.repeat(np.repeat(outcome["attention"][index][plane].astype(np.float32), 4, 0), 4, 1)
    title = (
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
