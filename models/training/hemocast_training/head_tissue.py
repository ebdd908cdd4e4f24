"""Hounsfield units of a head from its labels: what a 120 kVp scanner without noise would measure.

Brain: grey 37-39, white 30, CSF 6, pallidum 41 (Rorden 2012; Bier 2016 ranges for unenhanced head CT at 120 kVp).
Bone: outer and inner table 950-1400, diploe 300-700, mastoid air cells. Soft tissue is a mix of muscle and fat.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import labels as lab

AIR_HU = -1000.0
CSF_HU, VENTRICLE_HU = 7.0, 5.0
GREY_HU, DEEP_GREY_HU, PALLIDUM_HU, WHITE_HU = 37.5, 38.5, 41.0, 30.0
BRAINSTEM_HU, BLOOD_POOL_HU, FALX_HU = 32.0, 44.0, 38.0
MUSCLE_HU, FAT_HU, SKIN_HU = 55.0, -95.0, 40.0


def hounsfield_map(
    labels: np.ndarray, origin: tuple[float, float, float], landmarks: dict[str, tuple[float, float, float]], seed: int
) -> np.ndarray:
    """float32 [z, y, x] HU for int16 labels [z, y, x]; `seed` fixes the texture of bone and soft tissue."""
    generator = np.random.default_rng([seed, 5150])
    hu = np.full(labels.shape, AIR_HU, dtype=np.float32)
    hu[np.isin(labels, lab.WHITE_MATTER)] = WHITE_HU
    hu[labels == 16] = BRAINSTEM_HU
    hu[np.isin(labels, lab.CORTEX)] = GREY_HU
    hu[np.isin(labels, lab.DEEP_GREY)] = DEEP_GREY_HU
    hu[np.isin(labels, lab.PALLIDUM)] = PALLIDUM_HU
    hu[labels == lab.CSF] = CSF_HU
    hu[np.isin(labels, lab.VENTRICLES)] = VENTRICLE_HU
    hu[np.isin(labels, lab.CHOROID_PLEXUS)] = 22.0
    hu[np.isin(labels, (lab.ARTERY, lab.VENOUS_SINUS))] = BLOOD_POOL_HU
    z, y, x = np.meshgrid(*(np.arange(n) - o for n, o in zip(labels.shape, origin)), indexing="ij", sparse=True)
    hu[(labels == lab.CSF) & (np.abs(x) < 1.1) & (z > 12)] = FALX_HU
    hu[labels == lab.EYE] = 12.0
    hu[labels == lab.OPTIC_NERVE] = 32.0
    hu[labels == lab.MUCOSA] = 30.0
    _bone(hu, labels, generator, x, y, z)
    _soft_tissue(hu, labels, generator, z, landmarks, origin)
    return hu


def _texture(generator: np.random.Generator, shape: tuple[int, ...], sigma_mm: float) -> np.ndarray:
    """Smooth Gaussian noise of unit variance with the given blur."""
    noise = ndimage.gaussian_filter(generator.standard_normal(shape, dtype=np.float32), sigma_mm)
    return noise / noise.std()


def _bone(hu, labels, generator, x, y, z) -> None:
    bone = np.isin(labels, (lab.CORTICAL_BONE, lab.MARROW))
    depth = ndimage.distance_transform_edt(bone)
    coarse, fine = _texture(generator, labels.shape, 9.0), _texture(generator, labels.shape, 1.2)
    table = 1170.0 + 110.0 * coarse + 60.0 * fine
    diploe = np.clip(480.0 + 110.0 * coarse + 90.0 * fine, 220.0, 800.0)
    inner = np.clip((depth - 1.6) / 1.2, 0.0, 1.0)
    inner = np.where(labels == lab.MARROW, np.maximum(inner, 0.75), inner)
    petrous = (z < -18) & (y > -8) & (y < 45)
    inner = np.where(petrous, inner * 0.35, inner)
    hu[bone] = (table * (1 - inner) + diploe * inner)[bone]
    mastoid = bone & (np.abs(x) > 44) & (z < -14) & (y > 12) & (y < 52) & (depth > 1.8)
    cells = np.clip((fine - 0.1) * 3.0, 0.0, 1.0)
    hu[mastoid] = (hu * (1 - cells) - 700.0 * cells)[mastoid]


def _soft_tissue(hu, labels, generator, z, landmarks, origin) -> None:
    coarse, fine = _texture(generator, labels.shape, 3.0), _texture(generator, labels.shape, 1.0)
    inside = labels != lab.AIR
    depth_from_skin = ndimage.distance_transform_edt(inside)
    fat = np.clip(0.5 + 0.9 * (0.7 * coarse + 0.3 * fine - 0.7), 0.0, 1.0)  # deep: mostly muscle with fat planes
    scalp = np.clip((11.0 - depth_from_skin) / 4.0, 0.0, 1.0) * np.clip((z + 30.0) / 15.0, 0.0, 1.0)
    fat = np.maximum(fat, scalp * np.clip(0.75 + 0.3 * coarse, 0.0, 1.0))
    for side in ("left", "right"):
        eye = landmarks.get("eye_" + side)
        if eye is not None:
            fat = np.maximum(fat, _orbital_fat(labels.shape, np.array(eye) + np.array(origin), fine))
    soft = np.isin(labels, (lab.SOFT_TISSUE, lab.UNKNOWN_SOFT))
    hu[soft] = (MUSCLE_HU * (1 - fat) + FAT_HU * fat)[soft]
    below_skin = np.clip((depth_from_skin - 2.0) / 1.0, 0.0, 1.0) * np.clip(0.8 + 0.25 * coarse, 0.0, 1.0)
    skin = labels == lab.SKIN
    hu[skin] = (SKIN_HU * (1 - below_skin) + FAT_HU * below_skin)[skin]


def _orbital_fat(shape, eye, fine) -> np.ndarray:
    """Fat fraction of the cone behind an eyeball, with thin streaks of muscle."""
    z, y, x = np.meshgrid(*(np.arange(n) - e for n, e in zip(shape, eye)), indexing="ij", sparse=True)
    distance = np.sqrt((z / 15.0) ** 2 + ((y - 12.0) / 24.0) ** 2 + (x / 16.0) ** 2)
    return np.clip((1.1 - distance) * 5.0, 0.0, 1.0) * np.clip(1.0 - 0.6 * (fine - 1.0), 0.0, 1.0)
