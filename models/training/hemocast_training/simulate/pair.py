"""One simulated patient from seed to pictures: the initial CT, what happens next, and the follow-up.

`SimulatedCase` answers for any scan planes; `model_grid_pair` reads it the way the service reads a hospital's series:
native slices, the calvarium-v1 centre, and the slice weights of docs/bundle.md.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy import Head
from ..head_grid import GRID_SPACING_MM, PAD_HU, PlaneVolume, calvarium_center, grid_positions
from ..resample import resample_axis, resampling_weights
from . import severity
from .geometry import HeadInScanner, Planes, Pose, column, displace, draw_pose
from .lesions import Lesions, Tissue
from .patient import BLOOD, CASE_MIX, NONE, STAIN, Patient, draw_patient
from .scanner import Protocol, acquire, draw_protocol
from .shifts import UNSHIFTED, Shift
from .surroundings import head_mask, surround
from .view import View

CSF_HU, GREY_HU = 7.0, 37.5
GREY_EDEMA = 0.2  # grey matter darkens by this share more than white matter
LOWEST_CALVARIUM_MM = -60.0  # the centring rule looks at the uppermost 100 mm only
MODEL_VOXEL_ML = float(np.prod(GRID_SPACING_MM)) / 1000.0

OUTCOME_KINDS = ("none", "HI", "PH")
"""No hemorrhage, hemorrhagic infarction (petechial), parenchymal hematoma."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What happens within 72 h. kind: one of OUTCOME_KINDS.

    group: what the initial scan shows; staining too faint or too small to see counts as no hyperdensity.
    severity, measures: of visible staining without blood, standardised (severity.py); None elsewhere.
    blood_ml: of blood that was visible initially, or of a new hematoma.
    """

    group: int
    probability: float
    severity: float | None
    measures: np.ndarray | None
    label: int
    kind: str
    blood_ml: float
    center: tuple[float, float, float]
    petechial_hu: float


@dataclass(frozen=True)
class Layers:
    """Maps of one time point on a stack of slices, float32 [slices, rows, columns].

    hu; iodine and edema: HU that contrast adds and infarct takes away; blood, infarct, ganglia, brain: fractions 0..1.
    """

    hu: torch.Tensor
    iodine: torch.Tensor
    blood: torch.Tensor
    infarct: torch.Tensor
    edema: torch.Tensor
    ganglia: torch.Tensor
    brain: torch.Tensor


class SimulatedCase:
    """A patient in the scanner. Render the initial layers, decide the outcome on them, then render the follow-up."""

    def __init__(self, head: Head, seed: int, patient: Patient | None = None, pose: Pose | None = None):
        self.patient = patient if patient is not None else draw_patient(seed, head.number)
        self.pose = pose if pose is not None else draw_pose(seed, self.patient.age)
        self.scanner = HeadInScanner(head, self.pose, seed)
        self.lesions = Lesions(self.patient, self.scanner)
        self._random = np.random.default_rng([seed, 7])
        self.outcome: Outcome | None = None

    def view(self, planes: Planes) -> View:
        """The patient's head on these planes, as it lies in the initial scan."""
        return View(self.scanner, self.lesions, planes)

    def later_view(self, view: View) -> View:
        """The head on the same planes in the registered follow-up: `view` itself where registration left no residual."""
        if not any(self.pose.residual_turn + self.pose.residual_mm):
            return view
        return View(HeadInScanner(self.scanner.head, self.pose, self.patient.seed, later=True), self.lesions, view.planes)

    def initial(self, view: View) -> Layers:
        """The initial scan's truth."""
        patient, lesions = self.patient, self.lesions
        center, mass_ml = lesions.clot_center(), 0.0 if patient.patchy else patient.blood_ml
        tissue, near = self._tissue(view, 0, mass_ml, center)
        infarct = lesions.infarct(tissue)
        iodine, _ = lesions.staining(tissue, infarct)
        edema = self._edema(infarct, tissue, 0)
        hu = lesions.incidental(tissue, near) - edema
        if patient.dense_artery_hu > 0:
            hu = hu + (patient.dense_artery_hu + patient.vascular_contrast_hu - hu).clamp(min=0) * lesions.dense_artery(tissue)
        hu = hu + iodine
        blood = torch.zeros_like(hu)
        if patient.blood_ml > 0:
            # Contrast leaks into fresh blood as well.
            density = patient.blood_hu + 0.35 * iodine + 0.1 * patient.iodine_hu
            hu, blood = self._bleed(hu, view, tissue, infarct, center, patient.blood_ml, density, patient.patchy, rim_hu=4.0)
        return self._layers(view, tissue, hu, iodine, blood, infarct, edema)

    def decide(self, iodine: np.ndarray, ganglia: np.ndarray, edema: np.ndarray, grid: Planes) -> Outcome:
        """Draw the outcome from what the initial scan shows on the model grid.

        iodine, ganglia, edema: maps [slices, rows, columns] on the planes `grid`; a later hematoma starts where
        staining is densest.
        """
        patient, random = self.patient, self._random
        measures = None
        if patient.group == STAIN:
            measures = severity.measure(iodine, ganglia, edema, MODEL_VOXEL_ML)
        z = None if measures is None else severity.severity(measures)
        group = NONE if patient.group == STAIN and z is None else patient.group
        p = severity.probability(group, z)
        label = int(random.random() < p)
        kind, volume, center = "none", 0.0, self.lesions.clot_center()
        if group == BLOOD:
            growth = random.uniform(0.85, 1.2) if random.random() < 0.6 else random.uniform(1.2, 2.0)
            if label:
                kind, volume = "HI" if patient.patchy else "PH", patient.blood_ml * growth
        elif label:
            kind = "PH" if random.random() < severity.hematoma_share(measures) else "HI"
            if kind == "PH":
                drawn = random.normal(severity.new_hematoma_log_ml(z), severity.NEW_HEMATOMA_LOG_SD)
                volume = float(np.clip(np.exp(drawn), *severity.NEW_HEMATOMA_ML))
                if measures is not None:
                    center = self._densest(iodine, grid, random)
        self.outcome = Outcome(
            group, p, z, measures, label, kind, volume, tuple(float(c) for c in center), float(random.uniform(14, 30))
        )
        return self.outcome

    def follow_up(self, view: View) -> Layers:
        """The follow-up's truth on the planes of `view`; `decide` comes first."""
        if self.outcome is None:
            raise ValueError("decide the outcome on the initial scan before rendering the follow-up")
        patient, lesions, outcome = self.patient, self.lesions, self.outcome
        patchy = outcome.group == BLOOD and patient.patchy
        tissue, near = self._tissue(view, 1, outcome.blood_ml if outcome.kind == "PH" else 0.0, outcome.center)
        early = lesions.infarct(tissue)
        staining, in_brain = lesions.staining(tissue, early)
        infarct = lesions.final_infarct(tissue, early, in_brain)
        iodine = staining * patient.washout_fraction
        edema = self._edema(infarct, tissue, 1)
        hu = lesions.incidental(tissue, near) - edema + iodine
        blood = torch.zeros_like(hu)
        if outcome.blood_ml > 0:
            density = min(patient.blood_hu, 68.0) + 2.0
            hu, blood = self._bleed(hu, view, tissue, early, outcome.center, outcome.blood_ml, density, patchy, rim_hu=10.0)
        elif outcome.kind == "HI":
            seat = tissue.grey * infarct if patient.iodine_hu == 0 else staining / (patient.iodine_hu + 1e-6)
            spots = (seat * (0.2 + 1.0 * torch.sigmoid((tissue.grain[1] + 0.2) * 5.0))).clamp(0.0, 1.0)
            hu = hu + outcome.petechial_hu * spots
            blood = spots * (outcome.petechial_hu / 28.0)
        return self._layers(view, tissue, hu, iodine, blood, infarct, edema)

    def _layers(self, view, tissue, hu, iodine, blood, infarct, edema):
        ganglia = tissue.ganglia.clamp(0, 1) * self.lesions.lesion_side(tissue)
        rest = (view.spread(layer) for layer in (iodine, blood, infarct, edema, ganglia, tissue.brain))
        return Layers(view.spread(hu, with_outside=True), *rest)

    def _tissue(self, view, time, mass_ml, center):
        points = displace(view.tissue, view.depth, self.patient, time, mass_ml, center)
        maps, near = view.anatomy_at(points)
        # Narrow sulci close when the brain is fuller: their partial volume of CSF turns into grey matter.
        sulcal = (maps["csf"] - maps["ventricle"]).clamp(min=0.0)
        closed = self.pose.closed_sulci
        kept = torch.where(view.depth > 1.5, (sulcal - closed).clamp(min=0.0) / (1.0 - closed), sulcal)
        filled = sulcal - kept
        return Tissue(
            points, view.depth, maps["hu"] + filled * (GREY_HU - CSF_HU), maps["csf"] - filled, maps["grey"] + filled,
            maps["white"], maps["basal_ganglia"], maps["mca"], maps["ventricle"], view.patches, view.grain, view.posterior,
        ), near

    def _edema(self, infarct, tissue, time):
        return infarct * self.patient.infarct_hu[time] * (1.0 + GREY_EDEMA * tissue.grey)

    def _bleed(self, hu, view, tissue, infarct, center, volume, density, patchy, rim_hu):
        lesions = self.lesions
        if patchy:
            blood = lesions.patchy_blood(tissue, infarct, volume, view.point_ml)
        else:
            # Only the tissue around it is displaced: the clot itself has the shape and place it was given.
            clot, rim = lesions.clot(view.tissue, tissue, center, volume)
            blood = torch.maximum(clot, lesions.ventricular_blood(tissue, center, volume, view.point_ml))
            hu = hu - rim * rim_hu
        return hu * (1.0 - blood) + lesions.blood_density(tissue, center, volume, density) * blood, blood

    def _densest(self, iodine, grid, random):
        """Tissue coordinates of a voxel drawn in proportion to the cube of its iodine: where the barrier is most broken."""
        weight = iodine.astype(np.float64).ravel() ** 3
        pick = min(int(np.searchsorted(np.cumsum(weight) / weight.sum(), random.random())), weight.size - 1)
        k, j, i = np.unravel_index(pick, iodine.shape)
        point = column([grid.z[k], grid.y[j], grid.x[i]], self.scanner.head.device)
        return self.scanner.tissue_points(point).view(3).cpu().numpy()


def find_center(case: SimulatedCase, slice_mm: float, phase: float) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Native slice positions (mm, +S) over the whole head, and the calvarium-v1 centre (cx, cy, cz) found on them."""
    z = np.arange(-95.0, 125.0, slice_mm) + phase * slice_mm
    looked_at = z[z > LOWEST_CALVARIUM_MM]
    y, x = np.arange(-130.0, 130.0, 3.0), np.arange(-105.0, 105.0, 3.0)
    hu = case.scanner.hounsfield_at(case.scanner.tissue_on(Planes(looked_at, y, x, 1))).cpu().numpy()
    n = len(looked_at)
    return z, calvarium_center(PlaneVolume(hu, np.full(n, x[0]), np.full(n, y[0]), looked_at, 3.0, 3.0))


class GridScan:
    """A case on the model grid, read as the service reads a series: native slices, centring rule, slice weights.

    shift_mm: (x, y, z) by which the grid's centre is moved away from the rule's.
    """

    def __init__(self, case: SimulatedCase, protocol: Protocol, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)):
        phase = float(np.random.default_rng([case.patient.seed, 8]).random())
        z, rule_center = find_center(case, protocol.slice_mm, phase)
        self.case, self.protocol = case, protocol
        self.center = tuple(c + s for c, s in zip(rule_center, shift_mm))
        grid_x, grid_y, grid_z = grid_positions(self.center)
        reach = max(GRID_SPACING_MM[0], protocol.slice_mm) + 1.0
        z = z[(z > grid_z[0] - reach) & (z < grid_z[-1] + reach)]
        self._weights = resampling_weights(z, grid_z, GRID_SPACING_MM[0])
        sub_slices = max(1, int(round(protocol.slice_mm / 2.5)))
        self.view = case.view(Planes.of_slices(z, grid_y, grid_x, protocol.slice_mm, sub_slices))
        self.planes = Planes.of_slices(grid_z, grid_y, grid_x, GRID_SPACING_MM[0], 1)
        self._outside: np.ndarray | None = None

    def later(self) -> "GridScan":
        """The registered follow-up on the same slices and grid."""
        view = self.case.later_view(self.view)
        if view is self.view:
            return self
        scan = copy.copy(self)
        scan.view, scan._outside = view, None
        return scan

    def truth(self, layer: torch.Tensor) -> np.ndarray:
        """A layer on the grid, float32 [24, 128, 128]; 0 where nothing was scanned."""
        return resample_axis(layer.cpu().numpy(), self._weights, 0, 0.0)

    def image(self, hu: torch.Tensor, noise_seed: int | None) -> np.ndarray:
        """The CT of a HU layer on the grid, float32 [24, 128, 128]; without noise, metal and motion when no seed."""
        native = acquire(hu, GRID_SPACING_MM[1], self.protocol, noise_seed)
        if self.protocol.padded or self.protocol.holder:
            x, y = (axis[None].repeat(len(native), 0) for axis in (self.view.planes.x, self.view.planes.y))
            if self._outside is None:
                self._outside = ~head_mask(hu.cpu().numpy(), GRID_SPACING_MM[1])
            surround(native, self._outside, x, y, self.center[:2], self.protocol)
        return resample_axis(native, self._weights, 0, PAD_HU)

    def visible(self, first: Layers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Iodine, basal ganglia and edema of the initial scan on the grid: what the severity is measured on."""
        return self.truth(first.iodine), self.truth(first.ganglia), self.truth(first.edema)


def model_grid_pair(
    case: SimulatedCase, protocol: Protocol, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), to_look_at: bool = False
) -> dict:
    """The pair on the model grid: dict of float32 arrays [24, 128, 128], the Outcome and the grid's centre.

    initial: the CT with noise; follow_up: what the same scanner would show then, without noise, metal or motion;
    iodine (HU), blood_initial, blood_follow_up, infarct (final), ganglia: the truth behind them. to_look_at: also
    follow_up_scanned, the follow-up with a scan's noise.
    """
    scan = GridScan(case, protocol, shift_mm)
    first = case.initial(scan.view)
    iodine, ganglia, edema = scan.visible(first)
    outcome = case.decide(iodine, ganglia, edema, scan.planes)
    later_scan = scan.later()
    later = case.follow_up(later_scan.view)
    scanned = {"follow_up_scanned": later_scan.image(later.hu, case.patient.seed + 1)} if to_look_at else {}
    return {
        **scanned,
        "initial": scan.image(first.hu, case.patient.seed),
        "follow_up": later_scan.image(later.hu, None),
        "iodine": iodine,
        "blood_initial": scan.truth(first.blood),
        "blood_follow_up": scan.truth(later.blood),
        "infarct": scan.truth(later.infarct),
        "ganglia": ganglia,
        "outcome": outcome,
        "center": scan.center,
    }


def simulate_measures(head: Head, seed: int) -> np.ndarray | None:
    """Raw severity measures of a patient forced into the staining group: what the severity is standardised over."""
    case = SimulatedCase(head, seed, draw_patient(seed, head.number, group=STAIN))
    scan = GridScan(case, draw_protocol(seed))
    return severity.raw_measures(*scan.visible(case.initial(scan.view)), MODEL_VOXEL_ML)


def simulate_pair(
    head: Head, seed: int, mix: dict[int, float] = CASE_MIX, shift: Shift = UNSHIFTED, to_look_at: bool = False
) -> tuple[dict, SimulatedCase]:
    """Everything drawn from the seed: the pair on the model grid and the case behind it.

    mix: shares of the groups; shift: a documented departure from the cohort of training (shifts.py); to_look_at: as in model_grid_pair.
    """
    patient = draw_patient(seed, head.number, mix)
    patient, protocol, pose = shift.apply(patient, draw_protocol(seed), draw_pose(seed, patient.age))
    case = SimulatedCase(head, seed, patient, pose)
    moved = np.random.default_rng([seed, 9]).normal(0, [2.0, 2.5, 2.0])
    return model_grid_pair(case, protocol, tuple(moved), to_look_at), case
