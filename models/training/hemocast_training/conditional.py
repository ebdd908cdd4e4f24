"""The conditional pictures, tried: "if a hematoma", "if petechial", "if it does not bleed" instead of one picture of the median.

`python3 -m hemocast_training conditional --bundle BUNDLE --train DIR --test DIR --out FILE`. An L1 generator draws the median, so
a hemorrhage that is merely likely is left out, and so is a hematoma where it is only told that it bleeds: two in three are petechial. Here a
second head is told the kind. From the shipped network's last generation features, which stay as they are, it draws what is to be added
to the shipped picture, in cells of 6 mm: two residual blocks, between which the kind scales and shifts every channel (FiLM, Perez et
al. 2018, arXiv 1709.07871). The same head that is told nothing is trained beside it, on the same pairs in the same order, so that the
difference is the kind's and not the additional layers'. It works on cells because a head at full resolution saw 600 pairs in ten minutes
of a CPU core, and had then learned nothing of what it was told.

It is an experiment: no bundle holds such a head.
"""

import argparse
import copy
import datetime
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from . import DISCLAIMER
from .bundle import read_metadata, write_json
from .checkpoint import load_weights, refuse_trained_heads
from .data import KINDS, Cohort
from .evaluation_figures import column, hemorrhages, mean_figure, measured_on, ratio
from .generation_figures import case_errors
from .losses import voxel_weights
from .network.blocks import AnisotropicBlock
from .network.config import MAP_MATRIX, PATCH, SLICES
from .network.generator import TISSUE_HU, keep_outside_tissue
from .optimization import learning_rate, make_optimizer

WIDTH = 24
BATCH = 4
RATE = 2e-3
CHANGE_HU = 20.0
UNTOLD = torch.zeros(1, len(KINDS))


def told(kind: str) -> Tensor:
    """A kind of KINDS as the head is told it, one-hot [1, 3]; `UNTOLD` is told nothing."""
    return torch.eye(len(KINDS))[None, KINDS.index(kind)]


class OutcomeHead(nn.Module):
    """features [n * 24, c, 32, 32] and outcome [n, 3] -> HU to add to the shipped picture [n, 24, 32, 32]; begins at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter, self.leave = AnisotropicBlock(channels, WIDTH), AnisotropicBlock(WIDTH, WIDTH)
        self.film = nn.Linear(len(KINDS), 2 * WIDTH, bias=False)
        self.change = nn.Conv2d(WIDTH, 1, 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, features: Tensor, outcome: Tensor) -> Tensor:
        scale, shift = self.film(outcome).repeat_interleave(SLICES, 0)[:, :, None, None].chunk(2, 1)
        changed = self.leave(self.enter(features) * (1 + scale) + shift)
        return CHANGE_HU * self.change(changed).reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)


def cells(volume: Tensor) -> Tensor:
    """Means over 4 x 4 voxels: [n, 24, 128, 128] -> [n, 24, 32, 32]."""
    return F.avg_pool2d(volume, PATCH)


def voxels(change: Tensor) -> Tensor:
    """The reverse, bilinear: [n, 24, 32, 32] -> [n, 24, 128, 128]."""
    return F.interpolate(change, scale_factor=float(PATCH), mode="bilinear", align_corners=False)


class Trunk:
    """The shipped network with its last generation features, unchanged."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.seen = network.eval().requires_grad_(False), None
        network.decode_4.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.seen = output

    @torch.no_grad()
    def look(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """image [n, 24, 128, 128] HU -> features [n * 24, c, 32, 32], the shipped picture [n, 24, 128, 128]."""
        generated = keep_outside_tissue(image, self.network(image).generated)
        return self.seen, generated


class Seen(NamedTuple):
    """A case as the heads learn from it: features float16 [24, c, 32, 32]; missing, truth less shipped picture in HU, and weight,
    float32 [1, 24, 32, 32]."""

    features: Tensor
    missing: Tensor
    weight: Tensor


Errors = List[Dict[str, float]]
"""`case_errors` of one way to draw the follow-up, over the test cases."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`conditional`: whether telling the generator the outcome proves itself."""
    parser = subparsers.add_parser("conditional", help="try follow-ups that are told what is to happen", description=__doc__)
    parser.add_argument("--bundle", required=True, help="bundle folder with trainable weights")
    parser.add_argument("--train", required=True, help="cohort folder")
    parser.add_argument("--test", required=True, help="cohort folder of other heads")
    parser.add_argument("--out", required=True, help="JSON file of the figures")
    parser.add_argument("--pairs", type=int, default=20000, help="pairs that each head sees, repeats included")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--limit", type=int, default=0, help="use only the first test cases")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains both heads for every seed, measures and writes the figures."""
    torch.set_num_threads(1)
    bundle = Path(arguments.bundle)
    trunk, metadata = Trunk(load_weights(bundle)), read_metadata(bundle)
    train, test = Cohort(arguments.train).require(BATCH), Cohort(arguments.test, limit=arguments.limit).require(2)
    refuse_trained_heads(train.values("head").tolist(), test, "--test")
    seen = remember(trunk, train)
    heads = [fit(seen, train.values("kind"), seed, arguments.pairs) for seed in arguments.seeds]
    drawn = measure(trunk, heads, test)
    write_json(Path(arguments.out), figures(drawn, test, metadata, arguments))
    print(f"{arguments.out}: {len(test)} cases. {DISCLAIMER}")
    return 0


def remember(trunk: Trunk, cohort: Cohort) -> List[Seen]:
    """Every case, looked at once: the trunk does not learn (2 MB a case)."""
    found = []
    for index in tqdm(range(len(cohort)), desc="looking", unit="case", mininterval=5):
        batch = cohort.batch([index])
        features, shipped = trunk.look(batch.image)
        missing = cells((batch.follow_up - shipped.clamp(*TISSUE_HU)) * batch.inside)
        found.append(Seen(features.half(), missing, cells(voxel_weights(batch))))
    return found


def fit(seen: List[Seen], kinds: np.ndarray, seed: int, pairs: int) -> Dict[str, OutcomeHead]:
    """The head that is told the kind of outcome, and the one that is not, trained on the same batches. kinds: numbers of KINDS [cases]."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    first = OutcomeHead(seen[0].features.shape[1])
    heads = {"told": first, "untold": copy.deepcopy(first)}
    optimizers = {name: make_optimizer(head, RATE) for name, head in heads.items()}
    steps = pairs // BATCH
    order = np.concatenate([rng.permutation(len(seen)) for _ in range(pairs // len(seen) + 1)])
    for step in tqdm(range(steps), desc=f"seed {seed}", unit="batch", mininterval=5):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        features, missing, weight = (torch.cat([getattr(seen[index], name) for index in chosen]).float() for name in Seen._fields)
        outcome = torch.eye(len(KINDS))[torch.from_numpy(kinds[chosen].astype(np.int64))]
        for name, head in heads.items():
            for group in optimizers[name].param_groups:
                group["lr"] = learning_rate(RATE, step, step / steps)
            drawn = head.train()(features, outcome * (name == "told"))
            loss = ((drawn - missing).abs() * weight).sum() / (weight.sum() + 1)
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 2.0)
            optimizers[name].step()
    return {name: head.eval() for name, head in heads.items()}


@torch.no_grad()
def measure(trunk: Trunk, heads: List[Dict[str, OutcomeHead]], test: Cohort) -> Dict[str, List[Errors]]:
    """Every way to draw the follow-up, for every seed.

    shipped: the bundle's picture. untold: the refined head without the kind. outcome: the picture of the true kind, which
    nobody knows beforehand. none, petechial, hematoma: always that one.
    """
    kinds = test.values("kind")
    found: Dict[str, List[Errors]] = {}
    for index in tqdm(range(len(test)), desc="measuring", unit="case", mininterval=5):
        image = torch.from_numpy(test.initial[index].astype(np.float32))[None]
        features, shipped = trunk.look(image)
        truth, inside = test.follow_up[index].astype(np.float32), test.mask(index)
        within = torch.from_numpy(inside)[None]

        def draw(head: OutcomeHead, outcome: Tensor) -> np.ndarray:
            changed = shipped.clamp(*TISSUE_HU) + voxels(head(features, outcome))
            return torch.where(within, keep_outside_tissue(image, changed), shipped)[0].numpy()

        for number, pair in enumerate(heads):
            each = [draw(pair["told"], told(kind)) for kind in KINDS]
            pictures = {
                "shipped": shipped[0].numpy(),
                "untold": draw(pair["untold"], UNTOLD),
                "outcome": each[int(kinds[index])],
                **dict(zip(("none", "petechial", "hematoma"), each)),
            }
            for name, picture in pictures.items():
                runs = found.setdefault(name, [[] for _ in heads])
                runs[number].append(case_errors(image[0].numpy(), picture, truth, inside))
    return found


def figures(drawn: Dict[str, List[Errors]], test: Cohort, metadata: Dict[str, Any], arguments: argparse.Namespace) -> Dict[str, Any]:
    """Means over the seeds, intervals over the test cases; `...OverUntold` are paired differences, below 0 is better."""
    resamples = arguments.resamples
    labels = test.values("label")
    kinds = {"": np.ones(len(test), bool), **hemorrhages(test), "notBled": labels == 0}

    def mean(name: str, figure: str) -> np.ndarray:
        return np.mean([column(run, f"hemocast.{figure}") for run in drawn[name]], 0)

    unchanged = {figure: column(drawn["shipped"][0], f"no_change.{figure}") for figure in ("mae_hot_8mm", "volume_error")}
    hot = np.isfinite(unchanged["mae_hot_8mm"])
    result: Dict[str, Any] = {
        "disclaimer": DISCLAIMER,
        **measured_on(test, datetime.date.today().isoformat()),
        "bundle": {key: metadata[key] for key in ("name", "version")},
        "trainingSeeds": arguments.seeds,
        "trainingPairs": arguments.pairs,
        "pictures": {},
    }
    for name in drawn:
        lesion, volume = mean(name, "mae_hot_8mm"), mean(name, "volume_error")
        block = {"lesionMaeRatio": ratio(lesion, unchanged["mae_hot_8mm"], hot, resamples)}
        for kind, chosen in kinds.items():
            block[f"{kind}VolumeErrorRatio" if kind else "volumeErrorRatio"] = ratio(
                volume, unchanged["volume_error"], chosen, resamples
            )
            if kind:
                block[f"{kind}Ml"] = mean_figure(mean(name, "volume_ml")[chosen], resamples)
        block["volumeErrorMlOverUntold"] = mean_figure(volume - mean("untold", "volume_error"), resamples)
        block["lesionMaeHuOverUntold"] = mean_figure((lesion - mean("untold", "mae_hot_8mm"))[hot], resamples)
        result["pictures"][name] = block
    true = column(drawn["shipped"][0], "true_ml")
    result["trueMl"] = {kind: mean_figure(true[chosen], resamples) for kind, chosen in kinds.items() if kind}
    return result

