"""Scan pairs with a known misalignment, as two scanners would store them: DICOM made from one label map.

HU from a table (not the simulator's physics): skull, brain, fluid, scalp, noise, and a lesion that changes from stain to
blood. The head is moved between the scans by a rotation about its middle and a translation in patient coordinates (LPS).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid
from scipy import ndimage
from scipy.spatial.transform import Rotation

from hemocast_training import labels as lab
from hemocast_training.anatomy import read_label_map
from hemocast_training.dicom_io import ct_slice, write_series
from hemocast_training.native_series import plane_axes

TABLE = (
    ((lab.SOFT_TISSUE, lab.UNKNOWN_SOFT), 45.0),
    ((lab.SKIN,), 20.0),
    (lab.WHITE_MATTER, 29.0),
    (lab.CORTEX + lab.DEEP_GREY, 38.0),
    ((lab.CSF,) + lab.VENTRICLES + lab.CHOROID_PLEXUS, 7.0),
    ((lab.CORTICAL_BONE,), 1150.0),
    ((lab.MARROW,), 600.0),
)
CHIN_CUT_MM = 165


@dataclass(frozen=True)
class Head:
    """float32 HU at 1 mm [z, y, x]; `middle` is the voxel that lies at the patient's origin."""

    hu: np.ndarray
    middle: np.ndarray


@dataclass(frozen=True)
class Layout:
    """How a scanner cuts: matrix and pixel, slices, their distance and thickness mm, tilt, and how images are stored."""

    pixel_mm: float = 1.1
    matrix: int = 200
    step_mm: float = 5.0
    tilt_deg: float = 0.0
    stored: str = "plain"  # or "mirrored"
    offset_mm: tuple = (0.0, 0.0, 0.0)


def make_head(path: Path) -> Head:
    """A head from a SynthSeg label map."""
    labels = read_label_map(path)
    hu = np.full(labels.shape, -1000.0, np.float32)
    for values, density in TABLE:
        hu[np.isin(labels, values)] = density
    hu[(hu == -1000.0) & (labels != lab.AIR)] = 40.0
    inside = np.argwhere(np.isin(labels, lab.CEREBRUM))
    return Head(ndimage.gaussian_filter(hu, 0.6), inside.mean(axis=0))


def with_lesion(head: Head, density: float, radius_mm: float) -> Head:
    """The same head with a ball of `density` HU in the left half of the brain."""
    z, y, x = np.ogrid[tuple(slice(0, n) for n in head.hu.shape)]
    at = head.middle + [5.0, 5.0, 28.0]
    ball = (z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2 < radius_mm**2
    return Head(np.where(ball & (head.hu > 0) & (head.hu < 100), np.float32(density), head.hu), head.middle)


@dataclass(frozen=True)
class Move:
    """How the head lies in the second scan: rotated about the origin by x, y, z angles (degrees), then shifted (mm)."""

    angles_deg: tuple = (0.0, 0.0, 0.0)
    shift_mm: tuple = (0.0, 0.0, 0.0)

    @property
    def rotation(self) -> np.ndarray:
        return Rotation.from_euler("xyz", self.angles_deg, degrees=True).as_matrix()

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] (x, y, z) of the head in the second scan."""
        return points @ self.rotation.T + np.array(self.shift_mm)


def write_scan(folder: Path, head: Head, layout: Layout, move: Move = Move(), seed: int = 0, **attributes) -> Path:
    """Scan the moved head and store it; `attributes` replace or add DICOM attributes of every slice."""
    right, down, normal = plane_axes(layout.tilt_deg)
    table = np.array([0.0, 0.0, 1.0])
    count = int(round(158.0 / layout.step_mm))
    centre = np.array(move.shift_mm) + np.array(layout.offset_mm)
    half = (layout.matrix - 1) / 2 * layout.pixel_mm
    random, series = np.random.default_rng(seed), generate_uid(entropy_srcs=[str(folder)])
    rows = np.arange(layout.matrix)[:, None, None] * layout.pixel_mm * down
    columns = np.arange(layout.matrix)[None, :, None] * layout.pixel_mm * right
    slices = []
    for i in range(count):
        corner = centre - half * right - half * down + table * (82.0 - layout.step_mm * (count - 1 - i))
        images = [
            _read(head, move, corner + sub * layout.step_mm / 3 * normal + rows + columns) for sub in (-1, 0, 1)
        ]
        hu = np.mean(images, axis=0) + random.normal(0, 4.0, images[0].shape)
        pixels = np.clip(np.rint(hu) + 1024, 0, 4095).astype(np.uint16)
        row, position = right, corner
        if layout.stored == "mirrored":
            pixels, row, position = pixels[:, ::-1], -right, corner + 2 * half * right
        slices.append(ct_slice(pixels, {
            "SOPInstanceUID": generate_uid(entropy_srcs=[str(folder), str(i)]),
            "SeriesInstanceUID": series, "StudyInstanceUID": generate_uid(entropy_srcs=[str(folder), "study"]),
            "PatientID": "P", "Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "BodyPartExamined": "HEAD", "KVP": "120", "ConvolutionKernel": "H31s",
            "SliceThickness": "%g" % layout.step_mm, "AcquisitionDate": "20250101", "AcquisitionTime": "100000",
            "ImageOrientationPatient": ["%.7f" % v for v in (*row, *down)],
            "ImagePositionPatient": ["%.4f" % v for v in position],
            "PixelSpacing": ["%g" % layout.pixel_mm] * 2, "RescaleSlope": "1", "RescaleIntercept": "-1024",
            **attributes,
        }))
    write_series(slices, folder, compress=False)
    return folder


def _read(head: Head, move: Move, points: np.ndarray) -> np.ndarray:
    """HU of the moved head at points [rows, columns, 3] in patient coordinates; the body ends below the chin."""
    x, y, z = np.moveaxis((points - np.array(move.shift_mm)) @ move.rotation, -1, 0)
    coordinates = np.stack([z, y, x]) + head.middle[:, None, None]
    return ndimage.map_coordinates(head.hu, coordinates, order=1, cval=-1000.0)
