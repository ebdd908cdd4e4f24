"""Cohorts that depart from the one of training in one documented way, to see what the network does there.

A shift changes the drawn patient, protocol or pose and nothing else: the same seed without it is the same person. Its own draws
have the random streams [seed, 10] and [seed, 11].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .geometry import Pose
from .patient import Patient
from .scanner import Protocol

# SD about and along each axis; the tests of `prepare` ask a registration for 1 degree and 1 mm.
RESIDUAL_DEGREES = 0.7
RESIDUAL_MM = 0.7

Drawn = tuple[Patient, Protocol, Pose]
Change = Callable[[Patient, Protocol, Pose, np.random.Generator], Drawn]


@dataclass(frozen=True)
class Shift:
    """One departure: its name for `--shift`, one sentence, and what it does to what was drawn."""

    name: str
    told: str
    change: Change

    def apply(self, patient: Patient, protocol: Protocol, pose: Pose) -> Drawn:
        """The shifted patient, protocol and pose."""
        return self.change(patient, protocol, pose, np.random.default_rng([patient.seed, 10]))


def _low_dose(patient, protocol, pose, random):
    return patient, replace(protocol, noise_hu=float(np.clip(random.normal(7.5, 0.3), 7.0, 8.0))), pose


def _sharp_kernel(patient, protocol, pose, random):
    sharp = dict(psf_fwhm_mm=float(random.uniform(0.9, 1.1)), corner=float(random.uniform(0.55, 0.75)))
    return patient, replace(protocol, **sharp, noise_hu=protocol.noise_hu * 1.6), pose


def _hu_offset(patient, protocol, pose, random):
    sign = 1.0 if random.random() < 0.5 else -1.0
    gain = 1.03 if random.random() < 0.5 else 0.97
    return patient, replace(protocol, offset_hu=6.0 * sign, gain=gain), pose


def _metal_motion(patient, protocol, pose, random):
    return patient, replace(protocol, metal_hu=float(random.uniform(15, 45)), motion_mm=float(random.uniform(1.0, 3.0))), pose


def _held_out_physics(patient, protocol, pose, random):
    half_life = float(np.clip(np.exp(random.normal(np.log(20.0), 0.2)), 14.0, 30.0))
    return replace(patient, grain_mm=4.4, half_life=half_life), protocol, pose


def _confluent_patches(patient, protocol, pose, random):
    return replace(patient, confluent=True), protocol, pose


def _wide_anatomy(patient, protocol, pose, random):
    scale = tuple(float(s) for s in random.uniform(0.86, 1.12, 3))
    return patient, protocol, replace(pose, scale=scale, warp_mm=float(random.uniform(2.2, 4.0)))


def _mixed_anatomy(patient, protocol, pose, random):
    return _wide_anatomy(patient, protocol, pose, random) if random.random() < 0.5 else (patient, protocol, pose)


def _mixed_looks(patient, protocol, pose, random):
    patient, protocol, pose = _mixed_anatomy(patient, protocol, pose, random)
    confluent = bool(np.random.default_rng([patient.seed, 11]).random() < 0.5)
    return replace(patient, confluent=confluent), protocol, pose


def _misregistered(patient, protocol, pose, random):
    turn, mm = random.normal(0.0, np.deg2rad(RESIDUAL_DEGREES), 3), random.normal(0.0, RESIDUAL_MM, 3)
    return patient, protocol, replace(pose, residual_turn=tuple(turn.tolist()), residual_mm=tuple(mm.tolist()))


UNSHIFTED = Shift("none", "The cohort of training.", lambda *drawn: drawn[:3])

SHIFTS = {
    shift.name: shift
    for shift in (
        UNSHIFTED,
        Shift("low-dose", "Noise SD 7 to 8 HU instead of 3.5 to 4.5.", _low_dose),
        Shift("sharp-kernel", "PSF 0.9 to 1.1 mm, noise spectrum up to twice as wide, noise SD x 1.6.", _sharp_kernel),
        Shift("hu-offset", "All HU off by +6 or -6, gain 1.03 or 0.97.", _hu_offset),
        Shift("metal-motion", "Metal with streaks and a moving head in every scan.", _metal_motion),
        Shift(
            "held-out-physics", "Staining lumps of 4.4 mm instead of 2.6, washout half-life 20 h instead of 12.", _held_out_physics
        ),
        Shift(
            "confluent-patches", "Blood in patches as lumps of 8 mm instead of petechiae, whether it stains there or not.", _confluent_patches
        ),
        Shift(
            "misregistered",
            "The follow-up turned by 0.7 degrees and moved by 0.7 mm (SD, each axis) against the initial scan, which, and with it the forecast, "
            "is the same.",
            _misregistered,
        ),
        Shift("wide-anatomy", "Heads 0.86 to 1.12 times as large along each axis, bent by 2.2 to 4.0 mm instead of 1.0 to 2.2.", _wide_anatomy),
        Shift("mixed-anatomy", "Half of the heads as in wide-anatomy, half as in the cohort of training: for training.", _mixed_anatomy),
        Shift("mixed-looks", "The heads of mixed-anatomy, and in half of the patients patches as in confluent-patches: for training.", _mixed_looks),
    )
}
