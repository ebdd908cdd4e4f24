"""What is true of one simulated patient: drawn once from the seed, never from the picture.

Case mix: Wang, Ding et al., Diagnostics 2023 (n = 232): 17 % with blood on the immediate scan, 67 % with contrast
staining only, 16 % without hyperdensity. Ranges of HU, volume and time are in docs/simulator.md with their sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NONE, STAIN, BLOOD = 0, 1, 2
GROUP_NAMES = ("no hyperdensity", "contrast staining", "blood visible")
CASE_MIX = {BLOOD: 0.17, STAIN: 0.67, NONE: 0.16}
ALL_COMERS_MIX = {BLOOD: 0.08, STAIN: 0.47, NONE: 0.45}
MORE_BLOOD_MIX = {BLOOD: 0.36, STAIN: 0.58, NONE: 0.06}
GRAIN_MM = 2.6


@dataclass(frozen=True)
class Patient:
    """Latent state. Lengths mm, volumes mL, HU above tissue unless said otherwise; `side` is +1 for the patient's left."""

    seed: int
    head: int
    group: int
    side: int
    age: float
    # Infarct: extent 0..1 of the territory, hypodensity in HU on the initial scan and at follow-up.
    infarct_extent: float
    infarct_hu: tuple[float, float]
    swelling_mm: tuple[float, float]
    # Contrast staining.
    iodine_hu: float  # typical HU of iodine where staining is full; 25 HU per mg/mL at 120 kVp
    ganglia_weight: float
    cortex_weight: float
    solidity: float  # standard normal; high is solid, low is petechial
    spread: float  # standard normal; share of the infarct that stains
    hot_core: float
    sulcal_contrast_hu: float
    hours: float  # from the initial scan to the follow-up
    half_life: float  # of iodine in tissue, hours
    grain_mm: float  # scale of petechiae and lumps
    # Blood on the initial scan.
    blood_ml: float
    blood_hu: float
    patchy: bool  # patches in the infarct instead of a hematoma
    confluent: bool  # patches are lumps of about 8 mm instead of petechiae
    clot_deep: bool
    clot_offset: tuple[float, float, float]
    clot_axes: tuple[float, float, float]
    clot_lobes: tuple[tuple[float, float, float, float], ...]  # direction (z, y, x) and relative size
    clot_turn: tuple[float, float, float]
    fluid_level: bool
    into_ventricle: bool
    # Incidental findings.
    dense_artery_hu: float  # 0 when there is none
    vascular_contrast_hu: float
    calcification_hu: dict[str, float]
    old_infarct: tuple[float, float, float, float] | None  # z, y, x, radius
    leukoaraiosis_hu: float
    # Bone: HU more than the head's own, and contrast of tables and diploe relative to it.
    bone_hu: float
    bone_contrast: float

    @property
    def washout_fraction(self) -> float:
        """Share of the iodine left on the follow-up."""
        return 0.5 ** (self.hours / self.half_life)


def draw_patient(seed: int, head: int, mix: dict[int, float] = CASE_MIX, **chosen) -> Patient:
    """Draw the patient of a seed. `chosen` sets single fields by name, for the sandbox's hand-picked stories."""
    random = np.random.default_rng([seed, 1])
    group = int(random.choice(list(mix), p=list(mix.values())))
    group = chosen.get("group", group)
    side = 1 if random.random() < 0.5 else -1
    side = chosen.get("side", side)
    age = float(np.clip(random.normal(70, 11), 45, 92))
    patchy = group == BLOOD and bool(random.random() < 0.6)
    extent = float(random.beta(1.7, 1.7)) if random.random() < 0.95 else 0.0
    if patchy:
        extent = 0.25 + 0.75 * extent
    elif group == STAIN:
        extent = 0.08 + 0.92 * extent  # what stains is ischemic
    extent = chosen.get("infarct_extent", extent)
    stained = group == STAIN or (group == BLOOD and random.random() < 0.5)
    # Where staining is full; averaged over a lesion this gives a median near 0.8 mg/mL, 20 HU.
    iodine = float(np.clip(np.exp(random.normal(np.log(50.0), 0.80)), 9.0, 110.0)) if stained else 0.0
    deep_share = 1.0 / (1.0 + np.exp(-1.9 * random.normal()))
    axes = np.exp(random.normal(0, 0.28, 3))
    lobes = random.normal(0, 1, (int(random.integers(3, 7)), 3))
    lobes /= np.linalg.norm(lobes, axis=1, keepdims=True)
    sizes = random.uniform(0.35, 0.8, len(lobes))
    deep = bool(random.random() < 0.55)
    blood_ml = 0.0
    if group == BLOOD:
        median, least, most = (3.0, 0.8, 15.0) if patchy else (6.0, 0.8, 45.0)
        blood_ml = float(np.clip(np.exp(random.normal(np.log(median), 0.8)), least, most))
    values = dict(
        seed=seed,
        head=head,
        group=group,
        side=side,
        age=age,
        infarct_extent=extent,
        # Early hypodensity is read by its extent and its depth (as ASPECTS does), and both grow together.
        infarct_hu=(float(2.0 + 4.5 * extent + random.uniform(0, 1.5)), float(random.uniform(7, 14))),
        swelling_mm=(float(random.uniform(0.5, 2.2) * extent), float(random.uniform(1.5, 5) * extent)),
        iodine_hu=iodine,
        ganglia_weight=float(0.05 + 0.98 * deep_share),
        cortex_weight=float(0.97 - 0.9 * deep_share),
        solidity=float(random.normal()),
        spread=float(random.normal()),
        hot_core=float(abs(random.normal()) * 0.45),
        sulcal_contrast_hu=float(random.uniform(8, 28)) if stained and random.random() < 0.14 else 0.0,
        hours=float(np.clip(random.normal(24, 4), 14, 36)),
        half_life=float(np.clip(np.exp(random.normal(np.log(12.0), 0.25)), 5.0, 22.0)),
        grain_mm=GRAIN_MM,
        blood_ml=blood_ml,
        blood_hu=float(random.uniform(58, 80)),
        patchy=patchy,
        confluent=False,
        clot_deep=deep,
        clot_offset=tuple(random.normal(0, 1, 3)),
        clot_axes=tuple(axes / np.prod(axes) ** (1 / 3)),
        clot_lobes=tuple((*direction, size) for direction, size in zip(lobes.tolist(), sizes.tolist())),
        clot_turn=tuple(random.normal(0, 0.6, 3)),
        fluid_level=bool(random.random() < 0.18),
        into_ventricle=bool(random.random() < 0.7),
        dense_artery_hu=float(random.uniform(46, 62)) if random.random() < 0.22 else 0.0,
        vascular_contrast_hu=float(random.uniform(0, 9)),
        calcification_hu=_calcifications(random, age),
        old_infarct=_old_infarct(random, side),
        leukoaraiosis_hu=float(random.uniform(0, 7)) if random.random() < (age - 45) / 50 else 0.0,
        bone_hu=float(random.normal(-60.0 * (age - 60) / 20, 60.0)),
        bone_contrast=float(random.uniform(0.75, 1.3)),
    )
    unknown = set(chosen) - set(values)
    if unknown:
        raise ValueError("a patient has no %s" % ", ".join(sorted(unknown)))
    return Patient(**{**values, **chosen})


def _calcifications(random: np.random.Generator, age: float) -> dict[str, float]:
    """Physiological calcification by landmark: HU added at its centre."""
    found = {}
    if random.random() < 0.6:
        found["pineal"] = float(random.uniform(60, 300))
    if random.random() < 0.55:
        strength = float(random.uniform(60, 350))
        found["glomus_left"], found["glomus_right"] = strength, strength * float(random.uniform(0.5, 1.2))
    if random.random() < 0.06 + 0.1 * (age > 70):
        strength = float(random.uniform(20, 90))
        found["lentiform_left"], found["lentiform_right"] = strength, strength * float(random.uniform(0.6, 1.1))
    return found


def _old_infarct(random: np.random.Generator, side: int) -> tuple[float, float, float, float] | None:
    place = (random.normal(14, 14), random.normal(14, 26), -side * random.normal(44, 7), random.uniform(6, 15))
    return tuple(float(value) for value in place) if random.random() < 0.1 else None
