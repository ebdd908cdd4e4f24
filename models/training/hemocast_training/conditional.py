"""The conditional pair, tried: "if it bleeds" and "if it does not" instead of one picture of the median.

`python3 -m hemocast_training conditional --bundle BUNDLE --train DIR --test DIR --out FILE`. An L1 generator draws the median, so
a hemorrhage that is merely likely is left out. Here a second generator head is told the outcome: two residual blocks refine the
shipped network's last generation features, which stay as they are, with the outcome as two constant channels, and a copy of the
gated-washout head draws the follow-up from them. The same head that is told nothing is trained beside it, on the same pairs in the
same order, so that the difference is the outcome's and not the additional layers'.

It is an experiment: no bundle holds such a head.
"""

import argparse
import copy
import datetime
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import DISCLAIMER
from .augmentation import augment
from .bundle import MODEL_FILE, write_json
from .checkpoint import load_weights, refuse_trained_heads
from .data import Cohort
from .evaluation_figures import column, hemorrhages, mean_figure, measured_on, ratio
from .generation_figures import case_errors
from .losses import generation_loss
from .network.blocks import AnisotropicBlock
from .network.config import MAP_MATRIX
from .network.generator import keep_outside_tissue
from .onnx_model import infer, open_session
from .optimization import learning_rate, make_optimizer

NOTHING, BLEEDS, DOES_NOT = (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)
WIDTH = 48
BATCH = 4
RATE = 1e-3


class OutcomeHead(nn.Module):
    """features [n * 24, c, 32, 32] and outcome [n, 2] -> generated tissue HU [n, 24, 128, 128]; begins as the head it copies."""

    def __init__(self, generator: nn.Module, channels: int) -> None:
        super().__init__()
        self.refine = nn.Sequential(AnisotropicBlock(channels + 2, WIDTH), AnisotropicBlock(WIDTH, WIDTH))
        self.change = nn.Conv2d(WIDTH, channels, 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)
        self.generator = copy.deepcopy(generator)

    def forward(self, image: Tensor, features: Tensor, outcome: Tensor) -> Tensor:
        slices = features.shape[0] // image.shape[0]
        told = outcome.repeat_interleave(slices, 0)[:, :, None, None].expand(-1, -1, MAP_MATRIX, MAP_MATRIX)
        return self.generator(image, features + self.change(self.refine(torch.cat([features, told], 1))))


class Trunk:
    """The shipped network up to its last generation features, unchanged."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.seen = network.eval().requires_grad_(False), None
        network.decode_4.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.seen = output

    @torch.no_grad()
    def features(self, image: Tensor) -> Tensor:
        """image [n, 24, 128, 128] HU -> [n * 24, c, 32, 32]."""
        self.network(image)
        return self.seen


Errors = List[Dict[str, float]]
"""`case_errors` of one way to draw the follow-up, over the test cases."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`conditional`: whether telling the generator the outcome proves itself."""
    parser = subparsers.add_parser("conditional", help="try the conditional pair of follow-ups", description=__doc__)
    parser.add_argument("--bundle", required=True, help="bundle folder with trainable weights")
    parser.add_argument("--train", required=True, help="cohort folder")
    parser.add_argument("--test", required=True, help="cohort folder of other heads")
    parser.add_argument("--out", required=True, help="JSON file of the figures")
    parser.add_argument("--pairs", type=int, default=2000, help="pairs that each head sees")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--limit", type=int, default=0, help="use only the first test cases")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains both heads for every seed, measures and writes the figures."""
    torch.set_num_threads(1)
    bundle = Path(arguments.bundle)
    trunk = Trunk(load_weights(bundle))
    train, test = Cohort(arguments.train).require(BATCH), Cohort(arguments.test, limit=arguments.limit).require(2)
    refuse_trained_heads(train.values("head").tolist(), test, "--test")
    heads = [fit(trunk, train, seed, arguments.pairs) for seed in arguments.seeds]
    drawn = measure(bundle, trunk, heads, test)
    write_json(Path(arguments.out), figures(drawn, test, arguments))
    print(f"{arguments.out}: {len(test)} cases. {DISCLAIMER}")
    return 0


def fit(trunk: Trunk, cohort: Cohort, seed: int, pairs: int) -> Dict[str, OutcomeHead]:
    """The head that is told the outcome, and the one that is not, trained on the same batches."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    channels = trunk.network.config.decoder_widths[0]
    told = OutcomeHead(trunk.network.generator, channels)
    heads = {"told": told, "untold": copy.deepcopy(told)}
    optimizers = {name: make_optimizer(head, RATE) for name, head in heads.items()}
    labels = cohort.values("label")
    steps = pairs // BATCH
    order = np.concatenate([rng.permutation(len(cohort)) for _ in range(pairs // len(cohort) + 1)])
    for step in tqdm(range(steps), desc=f"seed {seed}", unit="batch", mininterval=5):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        batch = augment(cohort.batch(chosen), rng)
        features = trunk.features(batch.image)
        bled = torch.from_numpy(labels[chosen].astype(np.float32))[:, None]
        outcome = torch.cat([bled, 1 - bled], 1)
        for name, head in heads.items():
            for group in optimizers[name].param_groups:
                group["lr"] = learning_rate(RATE, step, step / steps)
            loss = generation_loss(head.train()(batch.image, features, outcome * (name == "told")), batch)
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), 2.0)
            optimizers[name].step()
    return {name: head.eval() for name, head in heads.items()}


@torch.no_grad()
def measure(bundle: Path, trunk: Trunk, heads: List[Dict[str, OutcomeHead]], test: Cohort) -> Dict[str, List[Errors]]:
    """Every way to draw the follow-up, for every seed.

    shipped: the bundle's picture. untold: the refined head without the outcome. outcome: the picture of the true outcome, which
    nobody knows beforehand. forecast: the picture of the likelier outcome. mixture: both, weighed by the probability.
    bleeds, does_not: always that one.
    """
    session, labels = open_session(bundle / MODEL_FILE), test.values("label")
    found: Dict[str, List[Errors]] = {}
    for index in tqdm(range(len(test)), desc="measuring", unit="case", mininterval=5):
        image = torch.from_numpy(test.initial[index].astype(np.float32))[None]
        served = infer(session, image.numpy())
        probability, features = float(served["probability"][0]), trunk.features(image)
        truth, inside = test.follow_up[index].astype(np.float32), test.mask(index)

        def draw(head: OutcomeHead, outcome: tuple) -> np.ndarray:
            return keep_outside_tissue(image, head(image, features, torch.tensor([outcome])))[0].numpy()

        for number, pair in enumerate(heads):
            bleeds, does_not = draw(pair["told"], BLEEDS), draw(pair["told"], DOES_NOT)
            pictures = {
                "shipped": served["follow_up"][0],
                "untold": draw(pair["untold"], NOTHING),
                "outcome": bleeds if labels[index] else does_not,
                "forecast": bleeds if probability >= 0.5 else does_not,
                "mixture": probability * bleeds + (1 - probability) * does_not,
                "bleeds": bleeds,
                "does_not": does_not,
            }
            for name, picture in pictures.items():
                runs = found.setdefault(name, [[] for _ in heads])
                runs[number].append(case_errors(image[0].numpy(), picture, truth, inside))
    return found


def figures(drawn: Dict[str, List[Errors]], test: Cohort, arguments: argparse.Namespace) -> Dict[str, Any]:
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

