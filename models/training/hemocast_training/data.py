"""Reads a cohort: a folder of shards, simulated (and perhaps still growing) or made from a hospital's pairs.

A hospital does not know what only a simulator knows: its shards have no `aux`, `bayes`, `group` and `kind`. A cohort is one or the
other, never both; `head` is then the number of the patient, because every patient is an anatomy of their own.
"""

import json
import os
import time
import zipfile
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch

from .intracranial import intracranial_mask
from .losses import Batch
from .network.config import MAP_NAMES, MATRIX, MEASURE_COUNT, SLICES
from .network.generator import TISSUE_HU

ALWAYS = ("initial", "follow_up", "label", "head", "seed")
SIMULATED_ONLY = ("aux", "bayes", "group", "kind")
NOT_SCANNED_HU = -200
"""Inside the skull a follow-up below this was not scanned there, or holds air: nothing is to be learned from it."""

GROUPS = ("none", "stain", "blood")
KINDS = ("none", "HI", "PH")
"""What the follow-up shows: no hemorrhage, hemorrhagic infarction (petechial), parenchymal hematoma."""


def read_shard(path: Path) -> Dict[str, np.ndarray]:
    """The arrays of a shard file, with the follow-ups clipped to tissue and the packed masks `inside` added.

    CohortError where they are not on the model grid.
    """
    with np.load(path) as file:
        known = [key for key in (*SIMULATED_ONLY, "measures") if key in file]
        shard = {key: file[key] for key in (*ALWAYS, *known)}
        shard["weight"] = file["weight"] if "weight" in file else np.ones(len(shard["label"]), np.float32)
    grid = (SLICES, MATRIX, MATRIX)
    for key in ("initial", "follow_up"):
        found = shard[key].shape[1:]
        if found != grid:
            raise CohortError(f"{path}: {key} is {found}, the model grid is {grid}: simulate again.")
    pairs = zip(shard["initial"], shard["follow_up"])
    shard["inside"] = np.stack([np.packbits(intracranial_mask(first) & (later > NOT_SCANNED_HU)) for first, later in pairs])
    shard["initial"] = shard["initial"].astype(np.int16)
    shard["follow_up"] = np.clip(shard["follow_up"], *TISSUE_HU).astype(np.int16)
    return shard


class CohortError(ValueError):
    """The cohort folder cannot be used; the message says what to change."""


class Cohort:
    """Pairs in memory: images and follow-ups int16 (the latter clipped to tissue), masks packed; about 1.8 MB a pair.

    `initial` int16 [24, 128, 128] HU, `follow_up` int16 HU in -20..150, `maps` uint8 [6, 24, 32, 32] (HU or 255ths),
    `inside` the packed intracranial mask; per case `measures` [6] (NaN where unknown), `label`, `bayes` (true probability),
    `group`, `kind`, `head`, `seed`; `weight`, how much the case counts in training: 1 but in a `more-blood` cohort.
    `simulated`: False where `maps`, `bayes`, `group` and `kind` are unknown (empty); None before the first shard.
    """

    def __init__(self, folder: str, limit: int = 0, readers: int = 0) -> None:
        """limit: at most so many pairs (0: all). readers: processes that read shards meanwhile, for a folder that grows
        faster than one process reads; `refresh` then takes what is ready, in any order."""
        self.folder = Path(folder)
        self.limit = limit
        self.initial: List[np.ndarray] = []
        self.follow_up: List[np.ndarray] = []
        self.maps: List[np.ndarray] = []
        self.inside: List[np.ndarray] = []
        self.measures: List[np.ndarray] = []
        self.scalars: Dict[str, List[float]] = {key: [] for key in ("label", "bayes", "group", "kind", "head", "seed", "weight")}
        self.simulated: Optional[bool] = None
        self._read: Dict[str, int] = {}
        self._pool = ProcessPoolExecutor(readers, get_context("spawn")) if readers else None
        self._pending: Dict[str, Future] = {}
        if not self.folder.is_dir():
            raise CohortError(f"{folder} is not a folder: run `python3 -m hemocast_training simulate` first.")
        self.refresh()

    def __len__(self) -> int:
        return len(self.initial)

    def values(self, key: str) -> np.ndarray:
        """A scalar of every case: 'label' 0/1, 'bayes' 0..1, 'group' and 'kind' 0..2 (GROUPS, KINDS), 'head' or 'seed'.

        CohortError for what this cohort does not know.
        """
        if key in SIMULATED_ONLY and self.simulated is False:
            raise CohortError(f"{self.folder} holds a hospital's pairs: `{key}` is known of simulated ones only.")
        return np.asarray(self.scalars[key])

    def refresh(self) -> int:
        """Reads shards that appeared since the last call; returns how many pairs were added."""
        before = len(self)
        for path in sorted(self.folder.glob("shard-????.npz")):
            if path.name in self._read or (self.limit and len(self) >= self.limit):
                continue
            try:
                shard = self._shard(path)
                if shard is not None:
                    self._append(path, shard)
            except CohortError:
                raise
            except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
                if time.time() - os.path.getmtime(path) < 120:
                    continue  # still being written; it is read at the next refresh
                raise CohortError(f"{path} cannot be read ({error}): delete it and simulate it again.") from error
            except KeyError as error:
                raise CohortError(f"{path} has no array {error}: it was written by another version.") from error
        return len(self) - before

    def require(self, count: int) -> "Cohort":
        """Itself, or CohortError where fewer than `count` pairs exist."""
        if len(self) < count:
            raise CohortError(f"{self.folder} holds {len(self)} pairs, at least {count} are needed: simulate more.")
        return self

    def record(self) -> Dict[str, Any]:
        """What the folder's cohort.json says of how it was made; empty where there is none."""
        path = self.folder / "cohort.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def batch(self, indices: Sequence[int]) -> Batch:
        """The cases as float32 tensors, unaugmented."""
        image = np.stack([self.initial[i] for i in indices]).astype(np.float32)
        follow_up = np.stack([self.follow_up[i] for i in indices]).astype(np.float32)
        inside = np.stack([self.mask(i) for i in indices]).astype(np.float32)
        chance = np.asarray([self.scalars["bayes" if self.simulated else "label"][i] for i in indices], np.float32)
        maps = None
        if self.simulated:
            maps = np.stack([self.maps[i] for i in indices]).astype(np.float32)
            maps[:, len(MAP_NAMES) - 4 :] /= 255
        measures = np.stack([self.measures[i] for i in indices])
        weight = np.asarray([self.scalars["weight"][i] for i in indices], np.float32)
        arrays = (image, follow_up, inside, maps, chance, measures, weight)
        return Batch(*(None if array is None else torch.from_numpy(array) for array in arrays))

    def mask(self, index: int) -> np.ndarray:
        """The intracranial mask of a case where its follow-up was scanned, bool [24, 128, 128]."""
        flat = np.unpackbits(self.inside[index])[: SLICES * MATRIX * MATRIX]
        return flat.reshape(SLICES, MATRIX, MATRIX).astype(bool)

    def images(self, size: int) -> Iterator[torch.Tensor]:
        """The initial CTs in order, in batches float32 [<= size, 24, 128, 128]."""
        for start in range(0, len(self), size):
            yield torch.from_numpy(np.stack(self.initial[start : start + size]).astype(np.float32))

    def _shard(self, path: Path) -> Optional[Dict[str, np.ndarray]]:
        """The arrays of a shard; None while a reader is still at it. The first shard is waited for."""
        if self._pool is None:
            return read_shard(path)
        if path.name not in self._pending:
            self._pending[path.name] = self._pool.submit(read_shard, path)
        if self._pending[path.name].done() or len(self) == 0:
            return self._pending.pop(path.name).result()
        return None

    def _append(self, path: Path, shard: Dict[str, np.ndarray]) -> None:
        simulated = "aux" in shard
        for key in SIMULATED_ONLY:
            if (key in shard) != simulated:
                raise KeyError(key if simulated else "aux")
        if self.simulated not in (None, simulated):
            raise CohortError(f"{path}: simulated and a hospital's pairs are mixed in {self.folder}: keep them apart.")
        self.simulated = simulated
        for index in range(len(shard["label"])):
            if self.limit and len(self) >= self.limit:
                break
            self.initial.append(shard["initial"][index])
            self.follow_up.append(shard["follow_up"][index])
            if simulated:
                self.maps.append(shard["aux"][index])
            self.inside.append(shard["inside"][index])
            unknown = np.full(MEASURE_COUNT, np.nan, np.float32)
            self.measures.append(shard["measures"][index].astype(np.float32) if "measures" in shard else unknown)
            for key, values in self.scalars.items():
                if key in shard:
                    values.append(shard[key][index].item())
        self._read[path.name] = len(shard["label"])
