"""What the acceptance measures on one simulated patient: truth on the model grid, no rendered CT but for the noise.

Only what a target needs is computed: the follow-up for stained patients, the scanner's noise for one patient in five.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .anatomy import Head
from .simulate.geometry import Planes
from .simulate.pair import MODEL_VOXEL_ML, OUTCOME_KINDS, GridScan, Layers, SimulatedCase
from .simulate.patient import STAIN
from .simulate.scanner import Protocol, acquire, draw_protocol
from .simulate.severity import STAIN_VISIBLE_HU

VISIBLE_ML = 0.2  # the least volume that `severity.measure` takes for visible
NOISE_EVERY = 5
PATCH_MM = 150.0
BONE_SHARE_HU = 130.0  # above it a voxel holds some bone; staining stays below

FIELDS = (
    "drawn_group", "group", "probability", "label", "kind",
    "lesion_mean_hu", "lesion_peak_hu", "iodine_left", "hyperdensity_left", "stain_in_infarct",
    "stain_in_outline", "noise_hu",
)


def measure_case(head: Head, seed: int, with_noise: bool) -> dict:
    """FIELDS of the patient of a seed; NaN for what does not apply.

    drawn_group: before visibility is judged; group, probability, label, kind: the Outcome;
    lesion_mean_hu, lesion_peak_hu: mean and 97th percentile of the noise-free HU of what is visible initially;
    iodine_left, hyperdensity_left: 1 where at follow-up iodine, and iodine less the infarct's hypodensity, is visible;
    stain_in_infarct: mean fraction of final infarct under the staining, weighted by iodine;
    stain_in_outline: share of the iodine in the brain that lies where at least half of the brain is final infarct, as a reader
      would outline it; contrast in sulci is not in the brain;
    noise_hu: SD of the noise in white matter at the native pixel.
    """
    case = SimulatedCase(head, seed)
    protocol = draw_protocol(seed)
    scan = GridScan(case, protocol)
    first = case.initial(scan.view)
    outcome = case.decide(*scan.visible(first), scan.planes)
    row = dict.fromkeys(FIELDS, float("nan"))
    row.update(
        drawn_group=case.patient.group, group=outcome.group, probability=outcome.probability,
        label=outcome.label, kind=OUTCOME_KINDS.index(outcome.kind),
    )
    row.update(_lesion(scan, first))
    if outcome.group == STAIN:
        row.update(_what_is_left(case, scan))
    if with_noise:
        row["noise_hu"] = native_noise(case, protocol, scan.center)
    return row


def as_table(rows: list[dict]) -> dict[str, np.ndarray]:
    """Cases as `check_cohort` reads them: float64 [cases] for each of FIELDS."""
    return {field: np.array([row[field] for row in rows], float) for field in FIELDS}


def _lesion(scan: GridScan, first: Layers) -> dict:
    region = (scan.truth(first.iodine) > STAIN_VISIBLE_HU) | (scan.truth(first.blood) > 0.5)
    if not is_visible(region):
        return {}
    values = scan.truth(first.hu)[region]
    values = values[values < BONE_SHARE_HU]
    return {"lesion_mean_hu": float(values.mean()), "lesion_peak_hu": float(np.percentile(values, 97))}


def is_visible(region: np.ndarray) -> bool:
    """Whether a region of the model grid is large enough to be seen, by the rule that the severity uses."""
    return bool(region.sum() * MODEL_VOXEL_ML >= VISIBLE_ML)


def _what_is_left(case: SimulatedCase, scan: GridScan) -> dict:
    later = case.follow_up(scan.view)
    iodine, infarct, edema, brain = (scan.truth(layer) for layer in (later.iodine, later.infarct, later.edema, later.brain))
    stain = iodine / case.patient.washout_fraction
    stained = stain > STAIN_VISIBLE_HU
    share = lambda where, of: float((of * where)[stained].sum() / of[stained].sum()) if stained.any() else float("nan")
    return {
        "iodine_left": float(is_visible(iodine > STAIN_VISIBLE_HU)),
        "hyperdensity_left": float(is_visible(iodine - edema > STAIN_VISIBLE_HU)),
        "stain_in_infarct": share(infarct, stain),
        # Cortex shares its voxels with CSF: an infarct that holds all of the staining covers no whole voxel there.
        "stain_in_outline": share(infarct >= 0.5 * brain, stain * brain),
    }


def native_noise(case: SimulatedCase, protocol: Protocol, center: tuple[float, float, float]) -> float:
    """SD in HU of the difference between the CT with and without noise, in white matter of one native slice."""
    quiet = dataclasses.replace(protocol, metal_hu=0.0, motion_mm=0.0)
    offsets = np.arange(-PATCH_MM, PATCH_MM, protocol.pixel_mm)
    planes = Planes(np.array([center[2] + 20.0]), center[1] + offsets, center[0] + offsets, 1)
    maps = case.scanner.maps_at(case.scanner.tissue_on(planes))
    hu, white = maps[0], maps[3].numpy() > 0.9
    noise = acquire(hu, protocol.pixel_mm, quiet, case.patient.seed) - acquire(hu, protocol.pixel_mm, quiet, None)
    return float(noise[white].std())
