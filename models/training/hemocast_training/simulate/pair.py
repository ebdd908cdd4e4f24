"""One simulated patient from seed to pictures: the initial CT, what happens next, and the follow-up.

`SimulatedCase` answers for any scan planes; `model_grid_pair` reads it the way the service reads a hospital's series:
native slices, the calvarium-v1 centre, and the slice weights of docs/bundle.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from ..anatomy import CHANNELS, Head
from ..head_grid import GRID_SHAPE, GRID_SPACING_MM, PAD_HU, PlaneVolume, calvarium_center, grid_positions
from ..resample import resample_axis, resampling_weights
from . import severity
from .geometry import HeadInScanner, Planes, Pose, displace, draw_pose
from .lesions import Lesions, Tissue
from .patient import BLOOD, NONE, STAIN, Patient, draw_patient
from .scanner import Protocol, acquire, draw_protocol
from .surroundings import surround

CSF_HU, GREY_HU = 7.0, 37.5
FOLLOW_UP_GROWTH = 0.12  # the final infarct outgrows the early one
MODEL_VOXEL_ML = float(np.prod(GRID_SPACING_MM)) / 1000.0


@dataclass(frozen=True)
class Outcome:
    """What happens within 72 h. kind: "none", "HI" (petechial) or "PH" (parenchymal hematoma).

    group: what the initial scan shows; staining too faint or too small to see counts as no hyperdensity.
    """

    group: int
    probability: float
    severity: float | None
    label: int
    kind: str
    blood_ml: float
    center: tuple[float, float, float]
    petechial_hu: float


@dataclass(frozen=True)
class Layers:
    """Maps of one time point on a stack of slices, float32 [slices, rows, columns]: HU, iodine HU, fractions 0..1."""

    hu: torch.Tensor
    iodine: torch.Tensor
    blood: torch.Tensor
    infarct: torch.Tensor
    ganglia: torch.Tensor


class View:
    """One head on one stack of planes: what does not change between the scans, and where the brain is.

    Outside the skull nothing happens, so lesions are computed only at the `count` points inside (about a third of all).
    """

    def __init__(self, scanner: HeadInScanner, planes: Planes):
        tissue = scanner.tissue_on(planes)
        self.planes = planes
        self.hu = scanner.hounsfield_at(tissue)
        depth = scanner.surroundings_at(tissue)[0]
        self.inside = depth > 0.0
        self.tissue = tissue[:, self.inside].view(3, 1, 1, -1)
        self.depth = depth[self.inside].view(1, 1, -1)

    def spread(self, values: torch.Tensor, elsewhere: torch.Tensor | None = None) -> torch.Tensor:
        """Values [1, 1, count] put back on the planes and averaged over sub-slices; `elsewhere` (or 0) outside the skull."""
        full = torch.zeros(self.planes.shape) if elsewhere is None else elsewhere.clone()
        full[self.inside] = values.reshape(-1)
        return self.planes.mean_over_slices(full)


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
        """The patient's head on these planes; render both scans from the same view."""
        return View(self.scanner, planes)

    def initial(self, view: View) -> Layers:
        """The initial scan's truth."""
        patient, lesions = self.patient, self.lesions
        center = lesions.clot_center()
        tissue, near, patches, grain = self._tissue(view, 0, patient.blood_ml, center)
        infarct = lesions.infarct(tissue, patches)
        iodine = lesions.staining(tissue, infarct, patches, grain)
        hu = lesions.incidental(tissue, near, patches, grain) - self._edema(infarct, tissue, 0)
        if patient.dense_artery_hu > 0:
            hu = hu + (patient.dense_artery_hu + patient.vascular_contrast_hu - hu).clamp(min=0) * lesions.dense_artery(tissue)
        hu = hu + iodine
        blood = torch.zeros_like(hu)
        if patient.blood_ml > 0:
            density = patient.blood_hu + 0.15 * patient.iodine_hu
            hu, blood = self._bleed(hu, view, tissue, center, patient.blood_ml, density, grain, rim_hu=4.0)
        ganglia = tissue.ganglia.clamp(0, 1) * lesions.lesion_side(tissue)
        return Layers(view.spread(hu, view.hu), *(view.spread(layer) for layer in (iodine, blood, infarct, ganglia)))

    def decide(self, iodine: np.ndarray, ganglia: np.ndarray, infarct: np.ndarray, grid: Planes) -> Outcome:
        """Draw the outcome from what the initial scan shows on the model grid.

        iodine, ganglia, infarct: maps [slices, rows, columns] on the planes `grid`; a later hematoma starts where
        staining is densest.
        """
        patient, random = self.patient, self._random
        measures = None
        if patient.group == STAIN:
            measures = severity.measure(iodine, ganglia, infarct, patient.solidity, MODEL_VOXEL_ML)
        z = None if measures is None else severity.severity(measures)
        group = NONE if patient.group == STAIN and z is None else patient.group
        p = severity.probability(group, z)
        label = int(random.random() < p)
        kind, volume, center = "none", 0.0, self.lesions.clot_center()
        if group == BLOOD:
            growth = random.uniform(0.85, 1.2) if random.random() < 0.6 else random.uniform(1.2, 2.0)
            kind, volume = ("PH", patient.blood_ml * growth) if label else ("none", 0.0)
        elif label:
            # HI to PH is about 2:1; denser, deeper staining tends to parenchymal hematoma.
            deep = 0.0 if measures is None else float(((measures - severity.CENTER) / severity.SPREAD)[[3, 5]].mean())
            kind = "PH" if random.random() < 1.0 / (1.0 + math.exp(-(1.1 * deep - 1.15))) else "HI"
            if kind == "PH":
                volume = float(np.clip(np.exp(random.normal(math.log(9.0) + 0.3 * (z or 0.0), 0.6)), 1.0, 60.0))
                if measures is not None:
                    center = self._densest(iodine, grid, random)
        self.outcome = Outcome(group, p, z, label, kind, volume, tuple(float(c) for c in center), float(random.uniform(14, 30)))
        return self.outcome

    def follow_up(self, view: View) -> Layers:
        """The follow-up's truth on the same planes; `decide` comes first."""
        if self.outcome is None:
            raise ValueError("decide the outcome on the initial scan before rendering the follow-up")
        patient, lesions, outcome = self.patient, self.lesions, self.outcome
        tissue, near, patches, grain = self._tissue(view, 1, outcome.blood_ml, outcome.center)
        early = lesions.infarct(tissue, patches)
        infarct = torch.maximum(early, lesions.infarct(tissue, patches, FOLLOW_UP_GROWTH))
        staining = lesions.staining(tissue, early, patches, grain)
        iodine = staining * patient.washout_fraction
        hu = lesions.incidental(tissue, near, patches, grain) - self._edema(infarct, tissue, 1) + iodine
        blood = torch.zeros_like(hu)
        if outcome.blood_ml > 0:
            density = min(patient.blood_hu, 68.0) + 2.0
            hu, blood = self._bleed(hu, view, tissue, outcome.center, outcome.blood_ml, density, grain, rim_hu=10.0)
        if outcome.kind == "HI":
            seat = tissue.grey * infarct if patient.iodine_hu == 0 else staining / (patient.iodine_hu + 1e-6)
            spots = (seat * (0.2 + 1.0 * torch.sigmoid((grain[1] + 0.2) * 5.0))).clamp(0.0, 1.0)
            hu = hu + outcome.petechial_hu * spots
            blood = spots * (outcome.petechial_hu / 28.0)
        ganglia = tissue.ganglia.clamp(0, 1) * lesions.lesion_side(tissue)
        return Layers(view.spread(hu, view.hu), *(view.spread(layer) for layer in (iodine, blood, infarct, ganglia)))

    def _tissue(self, view, time, mass_ml, center):
        points = displace(view.tissue, view.depth, self.patient, time, mass_ml, center)
        maps = dict(zip(CHANNELS, self.scanner.maps_at(points)))
        depth, near = self.scanner.surroundings_at(points)
        # Narrow sulci close when the brain is fuller: their partial volume of CSF turns into grey matter.
        sulcal = (maps["csf"] - maps["ventricle"]).clamp(min=0.0)
        closed = self.pose.closed_sulci
        kept = torch.where(depth > 1.5, (sulcal - closed).clamp(min=0.0) / (1.0 - closed), sulcal)
        filled = sulcal - kept
        anatomy = Tissue(
            points, depth, maps["hu"] + filled * (GREY_HU - CSF_HU), maps["csf"] - filled, maps["grey"] + filled, maps["white"],
            maps["basal_ganglia"], maps["mca"], maps["ventricle"],
        )
        patches, grain = self.lesions.textures(anatomy)
        return anatomy, near, patches, grain

    def _edema(self, infarct, tissue, time):
        return infarct * self.patient.infarct_hu[time] * (1.0 + 0.35 * tissue.grey)

    def _bleed(self, hu, view, tissue, center, volume, density, grain, rim_hu):
        # Only the tissue around it is displaced: the clot itself has the shape and place it was given.
        clot, rim = self.lesions.clot(view.tissue, tissue, center, volume)
        blood = torch.maximum(clot, self.lesions.ventricular_blood(tissue, clot, volume))
        hu = hu - rim * rim_hu
        return hu * (1.0 - blood) + self.lesions.blood_density(tissue, center, volume, density, grain) * blood, blood

    def _densest(self, iodine, grid, random):
        """Tissue coordinates of a voxel drawn in proportion to the cube of its iodine: where the barrier is most broken."""
        weight = iodine.astype(np.float64).ravel() ** 3
        pick = min(int(np.searchsorted(np.cumsum(weight) / weight.sum(), random.random())), weight.size - 1)
        k, j, i = np.unravel_index(pick, iodine.shape)
        point = torch.tensor([grid.z[k], grid.y[j], grid.x[i]], dtype=torch.float32).view(3, 1, 1, 1)
        return self.scanner.tissue_points(point).view(3).numpy()


def find_center(case: SimulatedCase, slice_mm: float, phase: float) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Native slice positions (mm, +S) over the whole head, and the calvarium-v1 centre (cx, cy, cz) found on them."""
    z = np.arange(-95.0, 125.0, slice_mm) + phase * slice_mm
    y, x = np.arange(-130.0, 130.0, 2.5), np.arange(-105.0, 105.0, 2.5)
    hu = case.scanner.hounsfield_at(case.scanner.tissue_on(Planes(z, y, x, 1))).numpy()
    n = len(z)
    return z, calvarium_center(PlaneVolume(hu, np.full(n, x[0]), np.full(n, y[0]), z, 2.5, 2.5))


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

    def truth(self, layer: torch.Tensor) -> np.ndarray:
        """A layer on the grid, float32 [24, 128, 128]; 0 where nothing was scanned."""
        return resample_axis(layer.numpy(), self._weights, 0, 0.0)

    def image(self, hu: torch.Tensor, noise_seed: int | None) -> np.ndarray:
        """The CT of a HU layer on the grid, float32 [24, 128, 128]; without noise, metal and motion when no seed."""
        native = acquire(hu, GRID_SPACING_MM[1], self.protocol, noise_seed)
        if self.protocol.padded or self.protocol.holder:
            x, y = (axis[None].repeat(len(native), 0) for axis in (self.view.planes.x, self.view.planes.y))
            surround(native, hu.numpy(), x, y, self.center[:2], self.protocol)
        return resample_axis(native, self._weights, 0, PAD_HU)

    def visible(self, first: Layers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Iodine, basal ganglia and infarct of the initial scan on the grid: what the severity is measured on."""
        return self.truth(first.iodine), self.truth(first.ganglia), self.truth(first.infarct)


def model_grid_pair(case: SimulatedCase, protocol: Protocol, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> dict:
    """The pair on the model grid: dict of float32 arrays [24, 128, 128], the Outcome and the grid's centre.

    initial: the CT with noise; follow_up: what the same scanner would show then, without noise, metal or motion;
    iodine (HU), blood_initial, blood_follow_up, infarct (final), ganglia: the truth behind them.
    """
    scan = GridScan(case, protocol, shift_mm)
    first = case.initial(scan.view)
    iodine, ganglia, infarct = scan.visible(first)
    outcome = case.decide(iodine, ganglia, infarct, scan.planes)
    later = case.follow_up(scan.view)
    return {
        "initial": scan.image(first.hu, case.patient.seed),
        "follow_up": scan.image(later.hu, None),
        "iodine": iodine,
        "blood_initial": scan.truth(first.blood),
        "blood_follow_up": scan.truth(later.blood),
        "infarct": scan.truth(later.infarct),
        "ganglia": ganglia,
        "outcome": outcome,
        "center": scan.center,
    }


def simulate_measures(head: Head, seed: int) -> np.ndarray | None:
    """Severity measures of a patient forced into the staining group: what the severity is standardised over."""
    case = SimulatedCase(head, seed, draw_patient(seed, head.number, group=STAIN))
    scan = GridScan(case, draw_protocol(seed))
    return severity.measure(*scan.visible(case.initial(scan.view)), case.patient.solidity, MODEL_VOXEL_ML)


def simulate_pair(head: Head, seed: int) -> tuple[dict, SimulatedCase]:
    """Everything drawn from the seed: the pair on the model grid and the case behind it."""
    case = SimulatedCase(head, seed)
    shift = np.random.default_rng([seed, 9]).normal(0, [2.0, 2.5, 2.0])
    return model_grid_pair(case, draw_protocol(seed), tuple(shift)), case
