"""A simulated case as a hospital scanner would store it: native matrix, slices from vertex to below the skull base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .head_grid import PlaneVolume
from .simulate.geometry import Planes
from .simulate.pair import SimulatedCase
from .simulate.scanner import Protocol, acquire
from .simulate.surroundings import head_mask, surround

SUB_SLICES = 3


@dataclass(frozen=True)
class Acquisition:
    """Layout of a native series. Lengths mm.

    matrix: rows and columns; pixel_mm: in-plane spacing; count: slices; table_step_mm: distance between slices along the
    table; tilt_deg: gantry tilt as `plane_axes` reads it.
    """

    matrix: int = 384
    pixel_mm: float = 0.651
    count: int = 30
    table_step_mm: float = 5.0
    tilt_deg: float = 0.0


def plane_axes(tilt_deg: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X, Y, Z of the image planes in patient coordinates (LPS). A positive tilt moves the back of the plane down."""
    c, s = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    return np.array([1.0, 0.0, 0.0]), np.array([0.0, c, -s]), np.array([0.0, s, c])


def render_series(
    case: SimulatedCase, protocol: Protocol, layout: Acquisition, center: tuple[float, float, float]
) -> PlaneVolume:
    """The initial CT of a case at native resolution, float32 HU in the axes of its planes.

    center: (cx, cy, cz) of the model grid in those axes (`GridScan.center`); the top slice lies 8 mm above the vertex.
    """
    cx, cy, cz = center
    _, down, normal = plane_axes(layout.tilt_deg)
    table = np.array([0.0, 0.0, 1.0])
    top = cz + 56.0 + 8.0
    step = layout.table_step_mm * float(table @ normal)
    shear = layout.table_step_mm * float(table @ down)  # how far each slice's rows start behind those of the one below
    index = np.arange(layout.count)
    z = top - step * (layout.count - 1 - index)
    half = (layout.matrix - 1) / 2 * layout.pixel_mm
    # The field of view is centred on the head in the middle of the stack.
    y0 = cy - half + shear * (index - (layout.count - 1) * 0.6)
    x0 = np.full(layout.count, cx - half)
    offsets = np.arange(layout.matrix) * layout.pixel_mm
    hu = torch.empty((layout.count, layout.matrix, layout.matrix))
    for i in index:
        planes = Planes.of_slices(z[i : i + 1], y0[i] + offsets, x0[i] + offsets, protocol.slice_mm, SUB_SLICES)
        hu[i] = case.initial(case.view(planes)).hu[0]
    image = acquire(hu, layout.pixel_mm, protocol, case.patient.seed)
    surround(image, ~head_mask(hu.numpy(), layout.pixel_mm), x0[:, None] + offsets, y0[:, None] + offsets, (cx, cy), protocol)
    return PlaneVolume(image, x0, y0, z, layout.pixel_mm, layout.pixel_mm)
