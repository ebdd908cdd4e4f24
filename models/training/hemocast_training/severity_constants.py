"""The constants of simulate/severity.py, measured anew: what `acceptance --calibrate` prints."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from .simulate.severity import B, MEASURES, WEIGHTS


def severity_constants(measures: np.ndarray) -> dict:
    """CENTER, SPREAD, COMPOSITE_SD and SHIFT that make z standard and the mean probability 0.50.

    measures: float64 [n, 6] in the order of MEASURES; ValueError with fewer than ten patients.
    """
    if len(measures) < 10:
        raise ValueError("ten visibly stained patients are the least to standardise over; got %d" % len(measures))
    center, spread = measures.mean(axis=0), measures.std(axis=0)
    composite = ((measures - center) / spread) @ WEIGHTS
    z = composite / composite.std()
    excess = lambda shift: float((1.0 / (1.0 + np.exp(-B * (z - shift)))).mean()) - 0.5
    return {
        "patients": len(measures),
        "measures": list(MEASURES),
        "center": center.round(4).tolist(),
        "spread": spread.round(4).tolist(),
        "composite_sd": round(float(composite.std()), 4),
        "shift": round(float(brentq(excess, -3.0, 3.0)), 3),
    }
