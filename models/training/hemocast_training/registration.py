"""Rigid registration of a follow-up head CT to the initial one (SimpleITK): six degrees of freedom, the skull decides.

Both scans are in Hounsfield units, so the similarity is the correlation of windowed HU (bone and brain) over the cranium
of the initial scan: everything below the skull base, the table and the head holder stay out. Start: the centres of the
two calvaria laid on each other, and of 27 head poses around that the most similar one. Then two resolutions of gradient
descent on a quarter of the voxels, drawn with a fixed seed and summed up by one thread: the same scans give the same
numbers.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from .head_series import HeadSeries
from .intracranial import dilate, fill_from_corner
from .refusal import MissingTool, Refused
from .resample import resample_axis, resampling_weights

SPACING_MM = (2.5, 2.0, 2.0)  # of the working images, z y x
SIZE = (56, 116, 100)
PAD_HU = -1024.0
SKULL_HU = 250.0
SCALP_VOXELS = 3
START_ANGLES_DEG = (-14.0, 0.0, 14.0)
SHRINK = (3, 1)  # in the slice and across slices
SMOOTH_MM = (3.0, 1.0)
ITERATIONS = 120
SAMPLED = 0.25
SEED = 1


@dataclass(frozen=True)
class Rigid:
    """Where a point of the initial scan lies in the follow-up: rotation @ (p - center) + center + shift, mm, LPS.

    disagreement_mm: how far the result took the initial scan's calvarium centre from the follow-up's, where it started;
    similarity: correlation of windowed HU over the cranium, -1..1.
    """

    rotation: np.ndarray
    center: np.ndarray
    shift: np.ndarray
    disagreement_mm: float
    similarity: float

    def to_follow_up(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] of the initial scan in the follow-up."""
        return (points - self.center) @ self.rotation.T + self.center + self.shift

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation about its own axis, degrees."""
        return float(np.rad2deg(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))

    @property
    def shift_mm(self) -> float:
        """Length of the displacement of the head's centre."""
        return float(np.linalg.norm(self.shift))


def need_simpleitk() -> None:
    """MissingTool where SimpleITK is missing: to be said before the first pair is read."""
    try:
        import SimpleITK  # noqa: F401
    except ImportError as error:
        reason = "SimpleITK is missing in %s: install requirements-test.txt into .venv (README.md) and run .venv/bin/python3"
        raise MissingTool(reason % sys.executable) from error


def register(initial: HeadSeries, follow_up: HeadSeries) -> Rigid:
    """The rigid transform from the initial scan to its follow-up; Refused where SimpleITK finds none."""
    try:
        return _register(initial, follow_up)
    except RuntimeError as error:  # no overlap, or values it cannot optimise
        raise Refused("registration-failed", (str(error).strip() or "SimpleITK gave up").splitlines()[-1]) from error


def write_transform(rigid: Rigid, path: Path) -> None:
    """The transform as an ITK text file (.tfm) for 3D Slicer or SimpleITK: initial to follow-up points, mm, LPS."""
    import SimpleITK as sitk

    transform = sitk.VersorRigid3DTransform()
    transform.SetCenter(rigid.center.tolist())
    transform.SetMatrix(rigid.rotation.ravel().tolist())
    transform.SetTranslation(rigid.shift.tolist())
    sitk.WriteTransform(transform, str(path))


def working_volume(head: HeadSeries) -> np.ndarray:
    """float32 HU [56, 116, 100] at 2.5 x 2 x 2 mm around the head's centre, by the weights of the model grid."""
    volume = head.series.volume
    z, y, x = working_positions(head.center)
    planes = np.empty((volume.z.size, y.size, x.size), np.float32)
    for i in range(volume.z.size):
        wx = resampling_weights(volume.x[i] + np.arange(volume.hu.shape[2]) * volume.dx, x, SPACING_MM[2])
        wy = resampling_weights(volume.y[i] + np.arange(volume.hu.shape[1]) * volume.dy, y, SPACING_MM[1])
        planes[i] = resample_axis(resample_axis(volume.hu[i], wx, 1, PAD_HU), wy, 0, PAD_HU)
    return resample_axis(planes, resampling_weights(volume.z, z, SPACING_MM[0]), 0, PAD_HU)


def working_positions(center: tuple[float, float, float]) -> list[np.ndarray]:
    """z, y, x of the working volume in the planes' axes, mm."""
    return [c + (np.arange(n) - (n - 1) / 2) * s for c, n, s in zip(center[::-1], SIZE, SPACING_MM)]


def window(hu: np.ndarray) -> np.ndarray:
    """Brain (0 to 80 HU) and bone (100 to 1000 HU) side by side in one number 0..1.6; air is 0."""
    return (0.6 * np.clip(hu / 80.0, 0, 1) + np.clip((hu - 100.0) / 900.0, 0, 1)).astype(np.float32)


def skull_and_inside(hu: np.ndarray) -> np.ndarray:
    """bool: the skull and what it encloses in each slice, closed over gaps of 8 voxels; no head holder, no table."""
    pad = 10
    bone = np.pad(hu > SKULL_HU, ((0, 0), (pad, pad), (pad, pad)))
    filled = (~dilate(fill_from_corner(~dilate(bone, 4)), 4))[:, pad:-pad, pad:-pad]
    parts, count = ndimage.label(filled)
    if count < 2:
        return filled
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def _register(initial: HeadSeries, follow_up: HeadSeries) -> Rigid:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    fixed_hu, moving_hu = working_volume(initial), working_volume(follow_up)
    fixed = _image(sitk, initial, window(fixed_hu))
    moving = _image(sitk, follow_up, window(moving_hu))
    mask = _image(sitk, initial, dilate(skull_and_inside(fixed_hu), SCALP_VOXELS).astype(np.uint8))
    center, target = initial.center_in_patient, follow_up.center_in_patient

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    best = _start(sitk, fixed, moving, mask, center, target - center)
    for shrink, smooth in zip(SHRINK, SMOOTH_MM):
        method.SetShrinkFactorsPerLevel([shrink])
        method.SetSmoothingSigmasPerLevel([smooth])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0 * smooth, minStep=0.005 * smooth, numberOfIterations=ITERATIONS,
            relaxationFactor=0.6, gradientMagnitudeTolerance=1e-7,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(best, inPlace=True)
        method.Execute(fixed, moving)
    rotation = np.array(best.GetMatrix()).reshape(3, 3)
    shift = np.array(best.GetTranslation())
    return Rigid(
        rotation, center, shift, float(np.linalg.norm(center + shift - target)), -float(method.GetMetricValue())
    )


def _image(sitk, head: HeadSeries, voxels: np.ndarray):
    """A SimpleITK image in patient coordinates of an array on the head's working positions."""
    image = sitk.GetImageFromArray(voxels)
    axes = head.series.axes
    corner = axes.T @ np.array([positions[0] for positions in working_positions(head.center)][::-1])
    image.SetSpacing(SPACING_MM[::-1])
    image.SetDirection(axes.T.ravel().tolist())
    image.SetOrigin(corner.tolist())
    return image


def _start(sitk, fixed, moving, mask, center: np.ndarray, shift: np.ndarray):
    """The most similar of 27 poses (nod, tilt, turn by -14, 0 or 14 degrees) with the calvaria's centres together."""
    metric = sitk.ImageRegistrationMethod()
    metric.SetMetricAsCorrelation()
    metric.SetInterpolator(sitk.sitkLinear)
    coarse = [sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, 5.0), [4, 4, 3]) for image in (fixed, moving)]
    metric.SetMetricFixedMask(sitk.Shrink(mask, [4, 4, 3]))
    found = []
    for angles in itertools.product(np.deg2rad(START_ANGLES_DEG), repeat=3):
        pose = sitk.Euler3DTransform(center.tolist(), *(float(a) for a in angles), shift.tolist())
        metric.SetInitialTransform(pose, inPlace=True)
        found.append((metric.MetricEvaluate(*coarse), sum(np.abs(angles)), len(found), pose))
    return min(found)[3]
