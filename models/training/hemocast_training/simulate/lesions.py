"""Infarct, contrast staining, blood and incidental findings, as maps over tissue points.

Maps are torch float32 [slices, rows, columns]; HU are added to tissue, fractions lie in 0..1.
Physics: HU = tissue - edema(t) + 25 * iodine(t) + f_blood(t) * (HU_blood - tissue).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from .fields import HEAD_BOX_MM, RandomField, rise
from .geometry import HeadInScanner, column, rotation, sphere_radius
from .patient import Patient
from .severity import STAIN_VISIBLE_HU

IODINE_CEILING_HU = 88.0  # with tissue at 38 the brightest staining stays near 120 HU, below bone
FOLLOW_UP_GROWTH = 0.15  # the final infarct outgrows the early one
STAIN_LOST_HU = 3.0  # brain whose iodine is below it lives; from STAIN_VISIBLE_HU on it is lost
WALL_MM = 3.0  # brain between hematoma and ventricle that does not hold
IN_VENTRICLES = 0.3  # mL in the ventricles for each mL of a hematoma that broke in
OWN_SIDE_MM = 10.0  # by which its level is higher on the hematoma's side


@dataclass(frozen=True)
class Tissue:
    """The anatomy at a set of points: tissue coordinates [3, ...], mm below the inner table, and the maps read there.

    patches [4, ...], grain [2, ...]: the patient's random textures; read where the tissue lay before anything moved it.
    posterior [...]: mm towards the table in the scanner's axes, where blood settles.
    """

    points: torch.Tensor
    depth: torch.Tensor
    hu: torch.Tensor
    csf: torch.Tensor
    grey: torch.Tensor
    white: torch.Tensor
    ganglia: torch.Tensor
    mca: torch.Tensor
    ventricle: torch.Tensor
    patches: torch.Tensor
    grain: torch.Tensor
    posterior: torch.Tensor

    @property
    def brain(self) -> torch.Tensor:
        return (self.grey + self.white).clamp(0.0, 1.0)


class Lesions:
    """Paints one patient's lesions; the random textures are fixed to the tissue, so both scans show the same ones."""

    def __init__(self, patient: Patient, head: HeadInScanner):
        self.patient, self.head = patient, head
        self._patch_level: dict[float, float] = {}
        self._ventricle_level: dict[float, float] = {}
        random = np.random.default_rng([patient.seed, 4])
        device = head.head.device
        self._patches = RandomField(random, 4, 8.0, 4.0, device=device)  # infarct edge, stained cortex, hottest core, clot surface and lumps
        self._grain = RandomField(random, 2, patient.grain_mm, 2.5, device=device)  # petechiae, lumps
        self._bone = RandomField(random, 1, 10.0, 6.0, HEAD_BOX_MM, device)

    def textures(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The patch fields [4, ...] and the grain fields [2, ...] at tissue points [3, ...]."""
        return self._patches.at(points), self._grain.at(points)

    def bone(self, points: torch.Tensor, hu: torch.Tensor) -> torch.Tensor:
        """HU [n] with this patient's bone: its mineral, its contrast of tables and diploe, and how both vary along it."""
        index = (hu > 200.0).nonzero()[:, 0]
        bone = hu[index]
        uneven = self._bone.at(points[:, index].view(3, 1, 1, -1)).view(-1)
        changed = 700.0 + (bone - 700.0) * self.patient.bone_contrast + self.patient.bone_hu + 90.0 * uneven
        share = ((bone - 200.0) / 250.0).clamp(0.0, 1.0)
        return hu.index_copy(0, index, bone + (changed - bone) * share)

    def lesion_side(self, tissue: Tissue) -> torch.Tensor:
        """1 in the hemisphere of the occluded artery, 0 in the other."""
        return rise(self.patient.side * tissue.points[2], 2.5)

    def infarct(self, tissue: Tissue, growth: float = 0.0) -> torch.Tensor:
        """Fraction of infarcted tissue. growth: added extent, 0..1; the core in the basal ganglia goes first."""
        extent = self.patient.infarct_extent
        if extent == 0:
            return torch.zeros_like(tissue.hu)
        reached = tissue.patches[0] + 0.8 * tissue.ganglia - (1.0 - 2.1 * min(1.0, extent + growth))
        return tissue.mca * self.lesion_side(tissue) * rise(reached, 0.25) * tissue.brain

    def staining(self, tissue: Tissue, infarct: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Iodine on the initial scan in HU: basal ganglia and gyral cortex of the infarct, solid or petechial; and its part in
        the brain, without the contrast in sulci."""
        patient, patches, grain = self.patient, tissue.patches, tissue.grain
        if patient.iodine_hu == 0:
            return torch.zeros_like(tissue.hu), torch.zeros_like(tissue.hu)
        side = self.lesion_side(tissue)
        nuclei = rise(tissue.ganglia - 0.34 + 0.12 * grain[1], 0.07) * tissue.brain
        deep = nuclei * side * (0.3 + 0.7 * rise(patches[1] + 1.1 + 0.8 * patient.spread, 0.25))
        gyri = tissue.grey + 0.15 * tissue.white
        gyral = gyri * tissue.mca * side * rise(patches[1] - 0.55 + 0.75 * patient.spread, 0.2)
        where = patient.ganglia_weight * deep + patient.cortex_weight * gyral
        where = where * (0.08 + 0.92 * infarct) / max(patient.ganglia_weight, patient.cortex_weight)
        solid = 1.0 / (1.0 + math.exp(-1.7 * patient.solidity))
        petechial = 1.5 * rise(grain[0] - 0.4, 0.12)
        # Even solid staining is denser here and thinner there.
        texture = solid * (1.0 + 0.14 * grain[0] + 0.16 * patches[2]) + (1.0 - solid) * petechial
        core = 1.0 + patient.hot_core * torch.exp(-(((patches[2] - 1.2) / 0.6) ** 2))
        # A stained lesion is a plateau with an edge: leakage is little where the barrier holds, and saturates where not.
        leak = (where * texture) ** 2
        filled = 1.2 * leak / (leak + 0.2)
        iodine = in_brain = patient.iodine_hu * (filled * core).clamp(0.0, 2.0)
        if patient.sulcal_contrast_hu > 0:
            sulci = tissue.csf * (1.0 - tissue.ventricle) * tissue.mca * side * rise(patches[1] - 0.5, 0.25)
            iodine = iodine + patient.sulcal_contrast_hu * sulci
        return saturated(iodine), saturated(in_brain)

    def final_infarct(self, tissue: Tissue, early: torch.Tensor, in_brain: torch.Tensor) -> torch.Tensor:
        """Fraction of tissue that is dead at follow-up: the early infarct, outgrown, and the brain that stained.

        in_brain: HU of iodine in the brain. Staining marks a broken barrier, and what leaked visibly does not recover.
        """
        lost = tissue.brain * ((in_brain - STAIN_LOST_HU) / (STAIN_VISIBLE_HU - STAIN_LOST_HU)).clamp(0.0, 1.0)
        return torch.maximum(torch.maximum(early, self.infarct(tissue, FOLLOW_UP_GROWTH)), lost)

    def patchy_blood(self, tissue: Tissue, infarct: torch.Tensor, volume_ml: float, point_ml: float) -> torch.Tensor:
        """Fraction of blood in patches of the infarct, which cross from grey into white matter.

        The patches are where a texture is highest: of petechiae, and high where it stains; or, `confluent` (as in HI2), of larger lumps,
        whether it stains there or not. How high is decided once for each volume, on the first view of it (the whole head on the model
        grid). A larger volume contains the smaller one.
        """
        grain, patches = tissue.grain[1], tissue.patches
        texture = 0.35 * grain + 0.9 * patches[3] if self.patient.confluent else 0.75 * grain + 0.55 * patches[1]
        score = texture + 1.5 * (infarct - 1.0)
        seat = rise(infarct - 0.35, 0.08) * tissue.brain
        if volume_ml not in self._patch_level:
            candidates = score[seat > 0.5]
            wanted = min(int(volume_ml / point_ml) + 1, candidates.numel())
            level = float(torch.topk(candidates, wanted).values[-1]) if wanted > 0 else math.inf
            self._patch_level[volume_ml] = level
        return rise(score - self._patch_level[volume_ml], 0.10) * seat

    def clot_center(self) -> np.ndarray:
        """Tissue coordinates of the hematoma of the initial scan: lentiform nucleus or lateral lobe."""
        patient = self.patient
        lentiform = self.head.landmark("lentiform_left" if patient.side > 0 else "lentiform_right")
        jitter = np.array(patient.clot_offset)
        if patient.clot_deep:
            return lentiform + jitter * [4.0, 6.0, 3.0]
        return lentiform + [14.0, 10.0, patient.side * 19.0] + jitter * [10.0, 16.0, 4.0]

    def clot(self, place: torch.Tensor, tissue: Tissue, center, volume_ml: float) -> tuple[torch.Tensor, torch.Tensor]:
        """A lobulated hematoma: (fraction of blood, fraction of the edematous rim around it).

        place: points [3, ...] before the hematoma displaced them; tissue: what is seen there now.
        """
        patient = self.patient
        patches, grain = tissue.patches, tissue.grain
        radius = sphere_radius(volume_ml) * 0.82
        device = place.device
        turned = torch.einsum("ij,jdhw->idhw", rotation(*patient.clot_turn).to(device), place - column(center, device))
        scaled = turned / (column(patient.clot_axes, device) * radius)
        shape = torch.sqrt((scaled**2).sum(0) + 1e-6)
        for z, y, x, size in patient.clot_lobes:
            lobe = scaled - column([z, y, x], device) * 1.05
            shape = torch.minimum(shape, torch.sqrt((lobe**2).sum(0) + 1e-6) / size)
        shape = shape + 0.32 * patches[3] + 0.17 * grain[1]
        # It lies in the brain: neither in the skull nor as a layer under it.
        inside = (tissue.brain + tissue.csf).clamp(0.0, 1.0) * rise(tissue.depth - 4.0, 1.0)
        blood = rise(1.0 - shape, 0.9 / radius) * inside
        rim = rise(1.32 - shape, 1.6 / radius) * tissue.brain
        return blood, (rim - blood).clamp(min=0.0)

    def blood_density(self, tissue: Tissue, center, volume_ml: float, hu) -> torch.Tensor:
        """HU of the blood around `hu`: uneven, and layered when it has not clotted (plasma above, cells settled to the back).

        The level is straight, and horizontal in the planes of the scan, whatever the hematoma has pushed aside.
        """
        density = hu + 3.5 * tissue.grain[1]
        if self.patient.fluid_level and volume_ml > 8:
            below = tissue.posterior - float(self.head.scan_point(center)[1]) - 2.0
            density = density + 12.0 * torch.tanh(below / 1.2) - 6.0
        return density

    def ventricular_blood(self, tissue: Tissue, center, volume_ml: float, point_ml: float) -> torch.Tensor:
        """Fraction of blood that broke into the ventricles and settled in their back parts, higher on the hematoma's side.

        Only a hematoma of 5 mL or more whose sphere of that volume comes within WALL_MM of the ventricle's wall breaks in;
        what broke in initially stays in. Its level is found for each volume on the first view of it, as in `patchy_blood`.
        """
        first_ml = self.patient.blood_ml or volume_ml
        near = self.head.to_ventricle_mm(center) <= sphere_radius(first_ml) + WALL_MM
        if not (self.patient.into_ventricle and near and first_ml >= 5):
            return torch.zeros_like(tissue.ventricle)
        room = ((tissue.ventricle - 0.3) / 0.4).clamp(0.0, 1.0)
        place = tissue.posterior + OWN_SIDE_MM * self.lesion_side(tissue)
        if volume_ml not in self._ventricle_level:
            lowest_first = torch.argsort(place.flatten(), descending=True)
            filled = torch.cumsum(room.flatten()[lowest_first], 0) * point_ml
            last = min(int((filled < IN_VENTRICLES * volume_ml).sum()), filled.numel() - 1)
            self._ventricle_level[volume_ml] = float(place.flatten()[lowest_first[last]])
        return room * rise(place - self._ventricle_level[volume_ml], 0.8)

    def incidental(self, tissue: Tissue, near_ventricle: torch.Tensor) -> torch.Tensor:
        """Tissue HU with age, calcification, an old infarct, and vascular contrast, before anything acute."""
        patient, z_y_x, patches, grain = self.patient, tissue.points, tissue.patches, tissue.grain
        hu = tissue.hu - patient.leukoaraiosis_hu * tissue.white * near_ventricle
        hu = hu + patient.vascular_contrast_hu * 0.12 * tissue.grey
        if patient.old_infarct is not None:
            z, y, x, radius = patient.old_infarct
            distance = _distance(z_y_x, (z, y, x)) / radius + 0.45 * patches[3] + 0.15 * grain[1]
            scar = rise(1.0 - distance, 0.12) * (tissue.brain + tissue.csf)
            hu = hu * (1.0 - scar) + 9.0 * scar
        for name, strength in patient.calcification_hu.items():
            size = {"pineal": 3.0, "glomus": 4.5, "lentiform": 5.0}[name.partition("_")[0]]
            place = self.head.landmark(name)
            if name.startswith("lentiform"):
                place = place + [0.0, 4.0, -2.0 * np.sign(place[2])]  # the pallidum, its inner part
            distance = _distance(z_y_x, place) / size + 0.25 * grain[1]
            hu = hu + strength * rise(0.8 - distance, 0.14) * (tissue.brain + tissue.csf).clamp(0.0, 1.0)
        return hu

    def dense_artery(self, tissue: Tissue) -> torch.Tensor:
        """Fraction of thrombus or contrast in the horizontal part of the middle cerebral artery."""
        z, y, x = self.head.landmark("chiasm")
        side = self.patient.side
        lateral = side * (tissue.points[2] - x)
        curve_z = z - 1.0 + 0.05 * lateral
        curve_y = y + 4.0 - 0.006 * (lateral - 8.0) ** 2
        away = torch.sqrt((tissue.points[0] - curve_z) ** 2 + (tissue.points[1] - curve_y) ** 2)
        along = rise(lateral - 8.0, 1.0) * rise(26.0 - lateral, 1.0)
        return rise(1.7 - away, 0.4) * along


def saturated(iodine: torch.Tensor) -> torch.Tensor:
    """HU of iodine below IODINE_CEILING_HU."""
    return IODINE_CEILING_HU * torch.tanh(iodine / IODINE_CEILING_HU)


def _distance(points: torch.Tensor, center) -> torch.Tensor:
    return torch.sqrt(sum((points[axis] - float(center[axis])) ** 2 for axis in range(3)) + 1e-6)
