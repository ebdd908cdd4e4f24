"""Trains the network without one of its parts, and with everything, at equal cost: `python3 -m hemocast_training ablate`.

Every variant sees the same number of pairs (not minutes: machines are noisy) from the same seeds, and is measured on the
same cases. The result is the file that `evaluate --ablations` takes. A run that exists is not trained again.
"""

import argparse
import datetime
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import torch
from scipy.special import expit
from tqdm import tqdm

from . import DISCLAIMER
from .bundle import write_json
from .checkpoint import load_network, read_checkpoint, refuse_trained_heads
from .data import Cohort
from .evaluation_figures import bootstrapped, divided, mean_figure, measured_on
from .generation_figures import case_errors
from .metrics import auc
from .network.generator import keep_outside_tissue

FULL = "full"
VARIANTS: Dict[str, List[str]] = {
    FULL: [],
    "classification_only": ["--tasks", "classification"],
    "generation_only": ["--tasks", "generation"],
    "no_interactive_attention": ["--no-interactive"],
    "no_self_attention": ["--no-self-attention"],
    "no_density_bias": ["--no-density-bias"],
    "no_gradnorm": ["--no-gradnorm"],
    "no_statistics": ["--no-statistics"],
}
FILE = "ablations.json"


class Measured(NamedTuple):
    """One trained network on the test cases: probability, lesion_mae and unchanged_mae (HU, NaN without a hot region) [n].
    probability is None where the network was not trained to forecast, the others where it was not trained to generate."""

    probability: Optional[np.ndarray]
    lesion_mae: Optional[np.ndarray]
    unchanged_mae: Optional[np.ndarray]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`ablate`: what the parts of the network are worth."""
    parser = subparsers.add_parser("ablate", help="train and measure the network without its parts", description=__doc__)
    parser.add_argument("--train", required=True, help="cohort folder")
    parser.add_argument("--validation", required=True, help="cohort folder, for the runs' curves")
    parser.add_argument("--test", required=True, help="cohort folder of heads that are in neither")
    parser.add_argument("--test-limit", type=int, default=0, help="use only the first test cases")
    parser.add_argument("--out", required=True, help=f"folder of the runs and of {FILE}")
    parser.add_argument("--pairs", type=int, required=True, help="pairs that each network sees")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one run each, for every variant")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="what to run")
    parser.add_argument("--network", default="tiny")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains what is missing, measures everything and writes ablations.json; ValueError without the full network."""
    if FULL not in arguments.variants:
        raise ValueError(f"--variants without {FULL!r} has nothing to compare with: add it.")
    out = Path(arguments.out)
    measured: Dict[str, List[Measured]] = {}
    test = Cohort(arguments.test, limit=arguments.test_limit).require(2)
    for seed in arguments.seeds:
        for variant in arguments.variants:
            folder = out / f"{variant}-{seed}"
            train_variant(arguments, variant, seed, folder)
            measured.setdefault(variant, []).append(measure(folder, variant, test))
            # After every run: whoever stops here keeps what is done.
            write_json(out / FILE, blocks(measured, test, arguments))
    print(f"{out / FILE}: {len(arguments.variants)} variants, {len(arguments.seeds)} seeds. {DISCLAIMER}")
    return 0


def train_variant(arguments: argparse.Namespace, variant: str, seed: int, folder: Path) -> None:
    """One run by the `train` command itself; a finished run is left as it is. ValueError where the folder's run is of other --pairs."""
    from .__main__ import build_parser

    if (folder / "checkpoint.pt").exists():
        pairs = read_checkpoint(folder)["options"].get("pairs")
        if pairs != arguments.pairs:
            told = f"{folder} holds a run of --pairs {pairs}, not {arguments.pairs}"
            raise ValueError(f"{told}: repeat its --pairs, or choose another --out.")
    shared = {"train": arguments.train, "validation": arguments.validation, "out": folder, "seed": seed}
    shared.update({name: getattr(arguments, name) for name in ("pairs", "network", "device", "batch")})
    words = [word for name, value in shared.items() for word in (f"--{name}", str(value))]
    chosen = build_parser("train").parse_args(["train", *words, *VARIANTS[variant], *(["--bf16"] * arguments.bf16)])
    chosen.run(chosen)


@torch.no_grad()
def measure(folder: Path, variant: str, test: Cohort) -> Measured:
    """A run's averaged network on the test cases."""
    network, state = load_network(folder)
    refuse_trained_heads(state["heads"], test, "--test")
    logits, errors = [], []
    for index in tqdm(range(len(test)), desc=f"measuring {folder.name}", unit="case", mininterval=5):
        image = torch.from_numpy(test.initial[index].astype(np.float32))[None]
        output = network(image)
        logits.append(float(output.logit))
        generated = keep_outside_tissue(image, output.generated)[0].numpy()
        truth = test.follow_up[index].astype(np.float32)
        errors.append(case_errors(image[0].numpy(), generated, truth, test.mask(index)))
    lesion, unchanged = (np.array([case[f"{name}.mae_hot_8mm"] for case in errors]) for name in ("hemocast", "no_change"))
    return Measured(
        None if variant == "generation_only" else expit(np.array(logits)),
        None if variant == "classification_only" else lesion,
        None if variant == "classification_only" else unchanged,
    )


def blocks(measured: Dict[str, List[Measured]], test: Cohort, arguments: argparse.Namespace) -> Dict[str, Any]:
    """variant -> figures: means over the training seeds, with intervals over the test cases; `...OverFull` are paired
    differences to the full network of the same seeds, `...OfSeeds` the value of every seed."""
    labels, date, resamples = test.values("label"), datetime.date.today().isoformat(), arguments.resamples
    result: Dict[str, Any] = {}
    for variant, runs in measured.items():
        full = measured[FULL][: len(runs)]
        block: Dict[str, Any] = {
            **measured_on(test, date),
            "trainingSeeds": arguments.seeds[: len(runs)],
            "trainingPairs": arguments.pairs,
        }
        if runs[0].probability is not None:
            scores, rivals = ([run.probability for run in group] for group in (runs, full))
            block["auc"] = bootstrapped(lambda i: mean_auc(labels, scores, i), len(labels), resamples)
            block["aucOfSeeds"] = [round(auc(labels, score), 4) for score in scores]
            block["aucOverFull"] = bootstrapped(
                lambda i: mean_auc(labels, scores, i) - mean_auc(labels, rivals, i), len(labels), resamples
            )
        if runs[0].lesion_mae is not None:
            hot = np.flatnonzero(np.isfinite(runs[0].unchanged_mae))
            lesion = np.mean([run.lesion_mae[hot] for run in runs], 0)
            unchanged = runs[0].unchanged_mae[hot]
            block["lesionMaeRatio"] = bootstrapped(lambda i: divided(lesion[i], unchanged[i]), len(hot), resamples)
            block["lesionMaeHuOverFull"] = mean_figure(lesion - np.mean([run.lesion_mae[hot] for run in full], 0), resamples)
        result[variant] = block
    return result


def mean_auc(labels: np.ndarray, scores: List[np.ndarray], index: np.ndarray) -> float:
    """Mean over the runs of their AUC on the cases `index`."""
    return float(np.mean([auc(labels[index], score[index]) for score in scores]))
