"""The hyperdense volume as forecast by who knows the simulator, but not its coin: how far off even that is.

The least absolute error is that of the median. Two in three new hemorrhages are petechial, so that the median seldom holds a new hematoma:
in those cases even this forecast is far off.
"""

from typing import Any, Dict, List

import numpy as np

from .data import GROUPS, KINDS, Cohort
from .evaluation_figures import SEED, column, hemorrhages, volume_ratios
from .simulate import severity

DRAWS = 400


def volume_ceiling(cohort: Cohort, errors: List[Dict[str, float]], resamples: int) -> Dict[str, Any]:
    """Errors of that forecast's volume as shares of those of "no change", as `volume_ratios` names them; empty where a group without
    blood has no petechial hemorrhage, or no case that does not bleed."""
    known = volumes_of_groups(cohort, errors)
    if any(len(volumes) == 0 for kinds in known.values() for volumes in kinds.values()):
        return {}
    error = np.abs(informed_volumes(cohort, errors, known) - column(errors, "true_ml"))
    return volume_ratios(error, column(errors, "no_change.volume_error"), hemorrhages(cohort), resamples)


def volumes_of_groups(cohort: Cohort, errors: List[Dict[str, float]]) -> Dict[int, Dict[str, np.ndarray]]:
    """Hyperdense volumes at follow-up, mL, of each group that shows no blood initially: with no hemorrhage ("none"), with a petechial one
    ("HI")."""
    true, kind, group = column(errors, "true_ml"), cohort.values("kind"), cohort.values("group")
    return {
        int(number): {name: true[(group == number) & (kind == KINDS.index(name))] for name in ("none", "HI")}
        for number in np.unique(group[group != GROUPS.index("blood")])
    }


def informed_volumes(cohort: Cohort, errors: List[Dict[str, float]], known: Dict[int, Dict[str, np.ndarray]]) -> np.ndarray:
    """Median hyperdense volume at follow-up, mL [cases], given each case's true probabilities of hemorrhage and of its kind.

    New hematomas as they are drawn; petechial hemorrhage, and what is left where none bleeds, from `known` of the same group; the truth
    itself where blood shows initially, whose growth is thereby taken as known.
    """
    rng, forecast, bayes = np.random.default_rng(SEED), column(errors, "true_ml"), cohort.values("bayes")
    for index, number in enumerate(cohort.values("group")):
        if number not in known:
            continue
        seen = cohort.measures[index] if np.isfinite(cohort.measures[index]).all() else None
        bleeds = rng.random(DRAWS) < bayes[index]
        hematoma = bleeds & (rng.random(DRAWS) < severity.hematoma_share(seen))
        log_ml = severity.new_hematoma_log_ml(None if seen is None else severity.severity(seen))
        new = np.clip(np.exp(rng.normal(log_ml, severity.NEW_HEMATOMA_LOG_SD, DRAWS)), *severity.NEW_HEMATOMA_ML)
        others = np.where(bleeds, rng.choice(known[number]["HI"], DRAWS), rng.choice(known[number]["none"], DRAWS))
        forecast[index] = np.median(np.where(hematoma, new, others))
    return forecast
