"""A cohort of toy heads for tests: an elliptic skull, brain, and a bright blob whose size and HU decide the label.

Not anatomy and not physics (that is the simulator's work): just enough for losses to fall and files to be read.
"""

from pathlib import Path

import numpy as np

from hemocast_training.network.config import MATRIX, SLICES


def toy_pair(rng: np.random.Generator) -> dict:
    """One pair with the arrays and scalars of the cohort contract."""
    z, y, x = np.ogrid[-1 : 1 : SLICES * 1j, -1 : 1 : MATRIX * 1j, -1 : 1 : MATRIX * 1j]
    head = (y / 0.86) ** 2 + (x / 0.7) ** 2 + (z / 1.4) ** 2
    initial = np.full((SLICES, MATRIX, MATRIX), -1000.0, np.float32)
    initial[head < 1] = 1000
    initial[head < 0.85] = 35 + rng.normal(0, 1)
    centre = rng.uniform([-0.4, -0.35, 0.15], [0.4, 0.35, 0.35]) * [1, 1, rng.choice([-1, 1])]
    radius = rng.uniform(0.12, 0.28)
    blob = ((z - centre[0]) / 2) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
    severe = int(rng.random() < 0.5)
    iodine = (28.0 if severe else 12.0) * blob
    clean = initial + iodine * (initial < 100)
    follow_up = initial + (26.0 if severe else 0.0) * blob * (initial < 100)

    def cells(volume: np.ndarray) -> np.ndarray:
        return volume.reshape(SLICES, 32, 4, 32, 4).mean((2, 4))

    aux = np.zeros((6, SLICES, 32, 32), np.uint8)
    aux[0] = cells(iodine)
    aux[3] = cells(blob * severe * 255.0)
    aux[4] = cells(blob * 255.0)
    noise = rng.normal(0, 3.5, initial.shape)
    return {
        "initial": np.round(clean + noise * (head < 1)).astype(np.int16),
        "follow_up": np.round(follow_up).astype(np.int16),
        "aux": aux,
        "label": np.uint8(severe),
        "bayes": np.float32(0.95 if severe else 0.05),
        "group": np.uint8(1),
        "kind": np.uint8(2 if severe else 0),
    }


def write_toy_site_cohort(folder: Path, patients: int, seed: int) -> Path:
    """Writes toy pairs as `prepare` writes a hospital's: no maps, no true probability, one patient a pair."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pairs = [toy_pair(rng) for _ in range(patients)]
    arrays = {key: np.stack([pair[key] for pair in pairs]) for key in ("initial", "follow_up", "label")}
    arrays["head"] = np.arange(1, patients + 1, dtype=np.int32)
    arrays["seed"] = np.arange(patients, dtype=np.int64)
    np.savez(folder / "shard-0000.npz", **arrays)
    return folder


def write_toy_cohort(folder: Path, count: int, seed: int, head: int = 1, per_shard: int = 8) -> Path:
    """Writes `count` toy pairs as shards, as the simulator does; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for shard, start in enumerate(range(0, count, per_shard)):
        pairs = [toy_pair(rng) for _ in range(min(per_shard, count - start))]
        arrays = {key: np.stack([pair[key] for pair in pairs]) for key in pairs[0]}
        arrays["head"] = np.full(len(pairs), head, np.int16)
        arrays["seed"] = np.arange(start, start + len(pairs), dtype=np.int64)
        np.savez(folder / f"shard-{shard:04d}.npz", **arrays)
    return folder
