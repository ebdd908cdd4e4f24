"""Head anatomy for the simulator: tissue maps in Hounsfield units built from whole-head label maps.

A head is a stack of smooth 1 mm maps, contiguous `[z][y][x]` with +S, +P, +L and the origin near the anterior
commissure. It is built once per label map and kept as .npz in a cache folder.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from . import labels as lab
from .head_tissue import hounsfield_map
from .territories import mca_territory

CHANNELS = ("hu", "csf", "grey", "white", "basal_ganglia", "mca", "ventricle")
CACHE_VERSION = 7
KEPT_BELOW_VERTEX_MM = 172


@dataclass(frozen=True)
class Head:
    """One head. maps: float16 [7, z, y, x] in the order of CHANNELS, HU for `hu` and fractions 0..1 for the rest.

    origin: voxel index (z, y, x) of the anterior commissure; a point p mm lies at index p + origin.
    landmarks: name -> (z, y, x) in mm from the origin.
    surroundings: float16 [2, z/3, y/3, x/3] on a 3 mm lattice (its voxel (0, 0, 0) is the same point as that of `maps`):
      depth below the inner table in mm (0 outside, at most 40), and closeness to the ventricles (1 at the wall, falling
      by 1/e every 5 mm).
    device: where a patient made from this head is computed.
    """

    number: int
    maps: np.ndarray
    surroundings: np.ndarray
    origin: tuple[float, float, float]
    landmarks: dict[str, tuple[float, float, float]]
    device: torch.device = torch.device("cpu")

    @cached_property
    def map_tensor(self) -> torch.Tensor:
        """`maps` as float32 on the device, for interpolation."""
        return torch.from_numpy(self.maps.astype(np.float32)).to(self.device)

    @cached_property
    def surroundings_tensor(self) -> torch.Tensor:
        """`surroundings` as float32 on the device, for interpolation."""
        return torch.from_numpy(self.surroundings.astype(np.float32)).to(self.device)


def label_map_path(anatomy: Path, number: int) -> Path:
    """Where the label map of a head lies under the anatomy folder; FileNotFoundError says what to download."""
    path = Path(anatomy) / ("training_seg_%02d.nii.gz" % number)
    if not path.is_file():
        raise FileNotFoundError(
            "%s is missing: --anatomy must name the folder of SynthSeg training label maps (docs/simulator.md)" % path
        )
    return path


def load_head(anatomy: Path, number: int, cache: Path) -> Head:
    """The head `number`, from the cache folder, or built from its label map and cached."""
    stored = Path(cache) / ("head-%02d-v%d.npz" % (number, CACHE_VERSION))
    if stored.is_file():
        with np.load(stored) as file:
            notes = json.loads(str(file["notes"]))
            return Head(number, file["maps"], file["surroundings"], tuple(notes["origin"]), notes["landmarks"])
    head = build_head(read_label_map(label_map_path(anatomy, number)), number, Path(anatomy))
    stored.parent.mkdir(parents=True, exist_ok=True)
    partial = stored.with_suffix(".%d.partial.npz" % os.getpid())  # several processes may build the same head
    notes = json.dumps({"origin": head.origin, "landmarks": head.landmarks})
    np.savez(partial, maps=head.maps, surroundings=head.surroundings, notes=notes)
    partial.replace(stored)
    return head


def read_label_map(path: Path) -> np.ndarray:
    """Read a label map as int16 [z, y, x] with +S, +P, +L, 1 mm."""
    import nibabel

    image = nibabel.load(path)
    if not np.allclose(image.header.get_zooms()[:3], 1.0, atol=0.02):
        raise ValueError("%s is not 1 mm isotropic; resample it first" % path)
    wanted = nibabel.orientations.axcodes2ornt(("S", "P", "L"))
    turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), wanted)
    return np.ascontiguousarray(nibabel.orientations.apply_orientation(np.asarray(image.dataobj), turn)).astype(np.int16)


def build_head(label_map: np.ndarray, number: int, anatomy: Path) -> Head:
    """Turn a label map (int16 [z, y, x], +S +P +L, 1 mm) into a Head.

    anatomy: folder whose parent holds `territories_tatu_mni`; FileNotFoundError without it.
    """
    labels = _crop(_level(_clean(label_map)))
    origin = _anterior_commissure(labels)
    landmarks = _landmarks(labels, origin)
    is_in = lambda values: np.isin(labels, values)
    csf = is_in((lab.CSF,) + lab.VENTRICLES + lab.CHOROID_PLEXUS)
    white = is_in(lab.WHITE_MATTER)
    grey = is_in(lab.CORTEX + lab.DEEP_GREY)
    ganglia = is_in(lab.BASAL_GANGLIA)
    ventricle = is_in(lab.VENTRICLES + lab.CHOROID_PLEXUS)
    mca = mca_territory(labels, anatomy) * (csf | white | grey)
    # 1 mm labels are hard edges; real tissue borders and 0.5 mm voxels mix. Along z the blur also stands for the part
    # of a thick slice that lies between two sub-slices.
    soft = lambda mask: ndimage.gaussian_filter(mask.astype(np.float32), (0.7, 0.55, 0.55))
    maps = np.stack(
        [
            ndimage.gaussian_filter(hounsfield_map(labels, origin, landmarks, seed=number), (0.7, 0.5, 0.5)),
            soft(csf),
            soft(grey),
            soft(white),
            # Wider than the label: staining and infarct do not stop where an atlas draws a nucleus.
            ndimage.gaussian_filter(ganglia.astype(np.float32), 1.8),
            ndimage.gaussian_filter(mca.astype(np.float32), 2.5),
            soft(ventricle),
        ]
    ).astype(np.float16)
    vessels = is_in((lab.ARTERY, lab.VENOUS_SINUS))
    cavity = ndimage.binary_closing(csf | white | grey, iterations=3) | csf | (vessels & ndimage.binary_dilation(csf, iterations=3))
    inside = ndimage.distance_transform_edt(cavity)[::3, ::3, ::3]
    to_ventricle = ndimage.distance_transform_edt(~ventricle)[::3, ::3, ::3]
    surroundings = np.stack([np.minimum(inside, 40.0), np.exp(-to_ventricle / 5.0)]).astype(np.float16)
    return Head(number, np.ascontiguousarray(maps), surroundings, origin, landmarks)


def _clean(labels: np.ndarray) -> np.ndarray:
    """Keep the largest connected head, and fill pinholes (labelling noise, not air cells) with the nearest tissue."""
    head = labels != lab.AIR
    components, count = ndimage.label(head)
    if count == 0:
        raise ValueError("the label map is empty")
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    labels = np.where(components == sizes.argmax(), labels, lab.AIR)
    holes, count = ndimage.label(labels == lab.AIR)
    small = np.bincount(holes.ravel()) < 60
    small[0] = False
    pinhole = small[holes]
    nearest = ndimage.distance_transform_edt(labels == lab.AIR, return_distances=False, return_indices=True)
    return np.where(pinhole, labels[tuple(nearest)], labels)


def _level(labels: np.ndarray) -> np.ndarray:
    """Pitch the head so that the eyes lie 29 degrees below the horizontal through the anterior commissure.

    The people behind the label maps were scanned with the chin up or down by as much as 30 degrees; the simulator draws
    its own pitch, so every head starts from the same one. Nearest-neighbour: labels must stay labels.
    """
    eyes = labels == lab.EYE
    if not eyes.any():
        return labels
    z0, y0, x0 = _anterior_commissure(labels)
    z, y, _ = _centroid(eyes)
    turn = np.arctan2(z - z0, y0 - y) - np.deg2rad(-29.0)
    if abs(turn) < np.deg2rad(3.0):
        return labels
    labels = np.pad(labels, ((30, 30), (20, 20), (0, 0)))
    center = np.array([z0 + 30, y0 + 20])
    cosine, sine = np.cos(turn), np.sin(turn)
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    offset = center - rotation @ center
    matrix = np.eye(3)
    matrix[:2, :2] = rotation
    return ndimage.affine_transform(labels, matrix, offset=(*offset, 0.0), order=0, cval=lab.AIR)


def _crop(labels: np.ndarray) -> np.ndarray:
    occupied = [np.nonzero((labels != lab.AIR).any(axis=axes))[0] for axes in ((1, 2), (0, 2), (0, 1))]
    (z0, z1), (y0, y1), (x0, x1) = ((int(i[0]), int(i[-1]) + 1) for i in occupied)
    z0 = max(z0, z1 - KEPT_BELOW_VERTEX_MM)
    return np.pad(labels[z0:z1, y0:y1, x0:x1], ((0, 4), (4, 4), (4, 4)))


def _centroid(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        raise ValueError("the label map lacks a structure the simulator places lesions by")
    return np.array(ndimage.center_of_mass(mask))


def _anterior_commissure(labels: np.ndarray) -> tuple[float, float, float]:
    """The pallida lie about 5 mm behind and 1 mm below the anterior commissure, symmetric about the mid-plane."""
    left, right = (_centroid(labels == value) for value in lab.PALLIDUM)
    z, y, x = (left + right) / 2
    return float(z + 1.0), float(y - 5.0), float(x)


def _landmarks(labels: np.ndarray, origin: tuple[float, float, float]) -> dict[str, tuple[float, float, float]]:
    zero = np.array(origin)
    z, y, x = (np.arange(n) - o for n, o in zip(labels.shape, origin))
    left = (x > 0)[None, None, :]
    glomus = np.isin(labels, lab.CHOROID_PLEXUS) & (y > 15)[None, :, None] & (z > -6)[:, None, None]
    third = np.argwhere(labels == lab.THIRD_VENTRICLE) - zero
    points = {
        "glomus_left": _centroid(glomus & left) - zero,
        "glomus_right": _centroid(glomus & ~left) - zero,
        "pineal": np.array([np.median(third[:, 0]) + 2.0, third[:, 1].max() + 4.0, 0.0]),
        "chiasm": _centroid(labels == lab.OPTIC_CHIASM) - zero,
        "ventricles": _centroid(np.isin(labels, lab.VENTRICLES)) - zero,
    }
    for side, values in (("left", (12, 13)), ("right", (51, 52))):
        points["lentiform_" + side] = _centroid(np.isin(labels, values)) - zero
    eyes = labels == lab.EYE
    for side, mask in (("left", eyes & left), ("right", eyes & ~left)):
        if mask.any():
            points["eye_" + side] = _centroid(mask) - zero
    return {name: tuple(float(v) for v in np.round(point, 2)) for name, point in points.items()}
