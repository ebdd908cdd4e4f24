"""Where each scan point lies in the head: pose in the scanner, individual shape, and displacement by mass.

Every map goes backwards, from a point of the scan to the tissue seen there, so images are read, never scattered.
Points are torch float32 [3, slices, rows, columns], (z, y, x) mm; scan axes are those of the image planes (+S, +P, +L).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..anatomy import Head
from .fields import HEAD_BOX_MM, RandomField, read_lattice
from .patient import Patient


_OTHER_SIDE = {"left": "right", "right": "left"}
MASS_REACH_MM = 50.0  # beyond the hematoma's own radius


@dataclass(frozen=True)
class Pose:
    """How one head lies relative to the image planes, and how it differs in shape from the head it was made from.

    pitch, roll, yaw in radians (pitch > 0: chin up against the plane, the effect of gantry tilt included);
    scale: size along (z, y, x); mirrored: left and right swapped; warp_mm: RMS of the smooth deformation;
    ventricle_scale: relative change of ventricle size; closed_sulci: 0 keeps the widest sulci, 0.5 the narrowest;
    residual_turn, residual_mm: (pitch, roll, yaw) in radians and (z, y, x) by which the follow-up still lies turned and moved against
    the initial scan once the two are registered.
    """

    pitch: float
    roll: float
    yaw: float
    scale: tuple[float, float, float]
    mirrored: bool
    warp_mm: float
    ventricle_scale: float
    closed_sulci: float
    residual_turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    residual_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


def draw_pose(seed: int, age: float, **chosen) -> Pose:
    """Draw pose and shape: pitch sd 6 degrees with a tail of tilted gantries, yaw and roll sd 3 degrees, size sd 4 %."""
    random = np.random.default_rng([seed, 2])
    degrees = np.deg2rad
    tail = random.random() < 0.12
    atrophy = float(np.clip((age - 70) / 40 + random.normal(0, 0.4), -0.7, 0.8))
    values = dict(
        pitch=float(degrees(random.normal(0, 6)) + (degrees(random.uniform(-12, 14)) if tail else 0.0)),
        roll=float(degrees(random.normal(0, 2.5))),
        yaw=float(degrees(random.normal(0, 3))),
        scale=tuple(random.uniform([0.94, 0.93, 0.94], [1.05, 1.06, 1.06])),
        mirrored=bool(random.random() < 0.5),
        warp_mm=float(random.uniform(1.0, 2.2)),
        ventricle_scale=0.28 * atrophy,
        closed_sulci=float(np.clip(0.28 - 0.3 * atrophy + random.normal(0, 0.05), 0.0, 0.5)),
    )
    return Pose(**{**values, **chosen})


def rotation(pitch: float, roll: float, yaw: float) -> torch.Tensor:
    """3x3 rotation acting on (z, y, x): pitch about x, roll about y, yaw about z."""
    cp, sp, cr, sr, cy, sy = (f(a) for a in (pitch, roll, yaw) for f in (math.cos, math.sin))
    about_x = torch.tensor([[cp, -sp, 0.0], [sp, cp, 0.0], [0.0, 0.0, 1.0]])
    about_y = torch.tensor([[cr, 0.0, -sr], [0.0, 1.0, 0.0], [sr, 0.0, cr]])
    about_z = torch.tensor([[1.0, 0.0, 0.0], [0.0, cy, -sy], [0.0, sy, cy]])
    return about_x @ about_y @ about_z


def sphere_radius(volume_ml: float) -> float:
    """Radius in mm of a sphere of so many mL."""
    return (volume_ml * 1000 * 3 / (4 * math.pi)) ** (1 / 3)


def column(point, device: torch.device) -> torch.Tensor:
    """A point (z, y, x) as float32 [3, 1, 1, 1], to be held against points [3, ...]."""
    return torch.tensor(point, dtype=torch.float32).to(device).view(3, 1, 1, 1)


@dataclass(frozen=True)
class Planes:
    """The sample points of a stack of image planes: all combinations of z, y and x in mm (+S, +P, +L).

    Slices have thickness: `z` holds `sub_slices` consecutive positions for each slice.
    """

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray
    sub_slices: int

    @classmethod
    def of_slices(cls, z: np.ndarray, y: np.ndarray, x: np.ndarray, thickness_mm: float, sub_slices: int) -> "Planes":
        """Planes that sample slices centred at `z` evenly over their thickness."""
        within = (np.arange(sub_slices) - (sub_slices - 1) / 2) * thickness_mm / sub_slices
        return cls((np.asarray(z)[:, None] + within).ravel(), np.asarray(y), np.asarray(x), sub_slices)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.z), len(self.y), len(self.x)

    def points(self, device: torch.device = torch.device("cpu")) -> torch.Tensor:
        """All sample points, float32 [3, len(z), len(y), len(x)]."""
        axes = [torch.from_numpy(axis.astype(np.float32)).to(device) for axis in (self.z, self.y, self.x)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def mean_over_slices(self, layer: torch.Tensor) -> torch.Tensor:
        """Mean over the sub-slices of each slice: [slices, rows, columns]."""
        return layer.view(-1, self.sub_slices, *layer.shape[1:]).mean(1)


class HeadInScanner:
    """Reads a head at scan points, for one patient's pose and shape; `later`: as it lies in the registered follow-up."""

    def __init__(self, head: Head, pose: Pose, seed: int, later: bool = False):
        self.head, self.pose = head, pose
        inverse_scale = torch.diag(torch.tensor([1.0 / s for s in pose.scale], dtype=torch.float32))
        self._to_tissue = (inverse_scale @ rotation(pose.pitch, pose.roll, pose.yaw).T).to(head.device)
        self._turned_back = rotation(*pose.residual_turn).T.to(head.device) if later else None
        self._warp = RandomField(np.random.default_rng([seed, 3]), 3, 24.0, 8.0, HEAD_BOX_MM, head.device)

    def landmark(self, name: str) -> np.ndarray:
        """Tissue coordinates (z, y, x) of a landmark, mirrored with the head."""
        stem, _, side = name.rpartition("_")
        if self.pose.mirrored and side in _OTHER_SIDE:
            name = stem + "_" + _OTHER_SIDE[side]
        z, y, x = self.head.landmarks[name]
        return np.array([z, y, -x if self.pose.mirrored else x])

    def scan_point(self, tissue: np.ndarray) -> np.ndarray:
        """Scan coordinates (z, y, x) of a tissue point, without the small smooth deformation."""
        return np.linalg.solve(self._to_tissue.cpu().numpy().astype(float), np.asarray(tissue, dtype=float))

    def to_ventricle_mm(self, tissue: np.ndarray) -> float:
        """Distance in mm of a tissue point from the ventricles, to about 2 mm; 0 within them."""
        z, y, x = tissue
        near = self.head.surroundings[1]
        index = np.rint((np.array([z, y, -x if self.pose.mirrored else x]) + self.head.origin) / 3.0).astype(int)
        return -5.0 * math.log(max(float(near[tuple(np.clip(index, 0, np.array(near.shape) - 1))]), 1e-3))

    def tissue_points(self, points: torch.Tensor) -> torch.Tensor:
        """Tissue coordinates seen at scan `points`, before any mass displaces them."""
        if self._turned_back is not None:
            # To where these points lay in the initial scan.
            points = torch.einsum("ij,jdhw->idhw", self._turned_back, points - column(self.pose.residual_mm, points.device))
        tissue = torch.einsum("ij,jdhw->idhw", self._to_tissue, points)
        tissue += self.pose.warp_mm * self._warp.at(points)
        center = column(self.landmark("ventricles"), tissue.device)
        offset = tissue - center
        near = torch.exp(-(offset**2).sum(0) / 30.0**2)
        return center + offset * (1.0 - self.pose.ventricle_scale * near)

    def tissue_on(self, planes: Planes) -> torch.Tensor:
        """`tissue_points` of all points of the planes, [3, z, y, x], interpolated in-plane from every 6 mm (it is smooth)."""
        coarse = lambda axis: np.linspace(axis[0], axis[-1], max(2, int(np.ceil((axis[-1] - axis[0]) / 6.0)) + 1))
        lattice = self.tissue_points(Planes(planes.z, coarse(planes.y), coarse(planes.x), 1).points(self.head.device))
        return F.interpolate(
            lattice.transpose(0, 1), size=planes.shape[1:], mode="bilinear", align_corners=True
        ).transpose(0, 1)

    def maps_at(self, tissue: torch.Tensor) -> torch.Tensor:
        """All anatomy channels [7, ...] (anatomy.CHANNELS) at tissue points."""
        return read_lattice(self.head.map_tensor, self._mirror(tissue), self.head.origin, 1.0)

    def hounsfield_at(self, tissue: torch.Tensor) -> torch.Tensor:
        """Only the HU channel [...] at tissue points; cheap, for finding the calvarium."""
        return read_lattice(self.head.map_tensor[:1], self._mirror(tissue), self.head.origin, 1.0)[0]

    def surroundings_at(self, tissue: torch.Tensor) -> torch.Tensor:
        """Depth below the inner table in mm and closeness to the ventricles, [2, ...], at tissue points."""
        origin = tuple(o / 3.0 for o in self.head.origin)
        return read_lattice(self.head.surroundings_tensor, self._mirror(tissue), origin, 3.0)

    def _mirror(self, tissue: torch.Tensor) -> torch.Tensor:
        return torch.stack([tissue[0], tissue[1], -tissue[2]]) if self.pose.mirrored else tissue


def displace(tissue: torch.Tensor, depth: torch.Tensor, patient: Patient, time: int, mass_ml: float, center) -> torch.Tensor:
    """Tissue coordinates seen once a hematoma of `mass_ml` at `center` and the infarct's swelling push on the brain.

    depth: [...] mm below the inner table; the skull does not move, so displacement fades within 10 mm of it.
    time: 0 initial, 1 follow-up (which swelling applies).
    """
    free = (depth / 10.0).clamp(0.0, 1.0)
    moved = tissue
    if mass_ml > 0:
        radius = sphere_radius(mass_ml)
        offset = tissue - column(center, tissue.device)
        distance = torch.sqrt((offset**2).sum(0)) + 1e-3
        # Half of the volume is displaced tissue, the rest is destroyed: r_source^3 = r^3 - 0.5 R^3.
        source = (distance**3 - 0.5 * radius**3).clamp(min=0.0) ** (1 / 3)
        fade = torch.exp(-((distance / (radius + MASS_REACH_MM)) ** 2)) * free
        moved = moved + offset / distance * ((source - distance) * fade)
    swelling = patient.swelling_mm[time]
    if swelling > 0:
        z, y, x = moved
        push = ((x - patient.side * 14) / 26) ** 2 + ((y - 5) / 40) ** 2 + ((z - 12) / 30) ** 2
        moved = torch.stack([z, y, x + patient.side * swelling * torch.exp(-push) * free])
    return moved
