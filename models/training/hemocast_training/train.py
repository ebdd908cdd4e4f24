"""Trains the dual-task network for a given time or number of pairs: `python3 -m hemocast_training train`.

A run is a folder: config.json (everything that decided the result), log.jsonl (one line per epoch), curves.png and
checkpoint.pt (weights, EMA, optimizer, GradNorm, random state). Started again with the same --out it goes on.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from . import DISCLAIMER, __version__
from .checkpoint import load_start, read_checkpoint, refuse_trained_heads
from .data import Cohort
from .device import choose_device, emulates_bfloat16
from .ema import ExponentialAverage
from .gradnorm import GradNorm
from .losses import (
    CLASSIFICATION_FLOOR,
    SHARE_OF_FLOOR,
    Batch,
    auxiliary_loss,
    blood_loss,
    classification_loss,
    generation_loss,
    measures_loss,
)
from .metrics import auc
from .network import NETWORKS, NetworkConfig, build_network, preset
from .network.generator import TISSUE_HU
from .optimization import learning_rate, make_optimizer
from .plots import plot_curves
from .resident import Feed

LOSSES = ("generation", "classification", "auxiliary")
TASKS = ("both", "generation", "classification")
LOOK_EVERY = 10
"""Steps between two looks at the losses: each look waits for a GPU."""
MAY_CHANGE = ("command", "train", "validation", "validate", "out", "minutes", "pairs", "device", "threads", "readers")
"""Options that a run may be continued with other values of: its budget, and where things lie and are computed."""
TOLD_OF_COHORT = ("version", "created", "split", "prevalence_mix", "shift", "seed", "count")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`train`: the network from simulated pairs, for --minutes of wall time or --pairs."""
    parser = subparsers.add_parser("train", help="train the network for a given time", description=__doc__)
    parser.add_argument("--train", required=True, help="cohort folder; shards that appear later are picked up")
    parser.add_argument("--validation", required=True, help="cohort folder of heads that are not trained on")
    parser.add_argument("--out", required=True, help="run folder; an existing one is continued")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="wall time of the run, earlier parts included")
    length.add_argument("--pairs", type=int, help="pairs to see instead, repeats included: the same on every machine")
    parser.add_argument("--start", help="run folder or bundle whose weights a new run begins with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--network", choices=NETWORKS, default="tiny", help="base is the published figure's, for a GPU")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--average", type=float, default=0.995, help="decay of the averaged weights, per step")
    parser.add_argument("--epoch-pairs", type=int, default=400, help="an epoch ends after at most this many pairs")
    parser.add_argument("--passes", type=int, default=1, help="and after so many passes over the pairs there are")
    parser.add_argument("--readers", type=int, default=0, help="processes that read shards meanwhile (a growing cohort)")
    parser.add_argument("--validate", type=int, default=120, help="validation cases looked at after each epoch")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 arithmetic in the network (losses stay float32)")
    parser.add_argument("--keep-statistics", action="store_true", help="with --start: batch normalisation keeps its running statistics")
    parser.add_argument("--tasks", choices=TASKS, default="both", help="ablation: one of the two tasks alone")
    parser.add_argument("--no-interactive", action="store_true", help="ablation: one attention map per decoder")
    parser.add_argument("--no-self-attention", action="store_true", help="ablation: convolution instead")
    parser.add_argument("--no-density-bias", action="store_true", help="ablation: attention without the density prior")
    parser.add_argument("--no-statistics", action="store_true", help="ablation: no statistics of maps in the class head")
    parser.add_argument("--no-gradnorm", action="store_true", help="ablation: both losses weigh 1")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains and prints where the run is; 0 on success."""
    refuse_options(arguments)
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True  # every batch has the same shape
    network = chosen_network(arguments)
    train = Cohort(arguments.train, readers=arguments.readers).require(arguments.batch)
    validation = Cohort(arguments.validation, limit=arguments.validate).require(2)
    trainer = Trainer(train, validation, Path(arguments.out), network, vars(arguments))
    trainer.train(Budget(arguments.minutes and arguments.minutes * 60, arguments.pairs))
    print(f"{arguments.out}: {trainer.steps} steps, {trainer.seconds / 60:.1f} min. {DISCLAIMER}")
    return 0


def refuse_options(arguments: argparse.Namespace) -> None:
    """ValueError for options with which a run would never begin or never end; says which to change."""
    for option in ("minutes", "pairs", "batch", "passes"):
        value = getattr(arguments, option)
        if value is not None and not value > 0:
            raise ValueError(f"--{option} {value:g} trains on nothing: it must be above 0.")
    if arguments.epoch_pairs < arguments.batch:
        given = f"--epoch-pairs {arguments.epoch_pairs} is less than --batch {arguments.batch}"
        raise ValueError(f"{given}: an epoch would hold no batch. Raise the one or lower the other.")
    if arguments.keep_statistics and not arguments.start:
        raise ValueError("--keep-statistics needs --start: random weights have no statistics to keep.")


def chosen_network(arguments: argparse.Namespace) -> NetworkConfig:
    """The network and its ablations by the command's options."""
    return preset(
        arguments.network,
        interactive=not arguments.no_interactive,
        self_attention=not arguments.no_self_attention,
        density_bias=not arguments.no_density_bias,
        classification_statistics=not arguments.no_statistics,
    )


class Budget(NamedTuple):
    """When a run ends: after so many seconds of wall time, or so many pairs seen. One of the two is None."""

    seconds: Optional[float] = None
    pairs: Optional[int] = None

    def spent(self, seconds: float, pairs: int) -> float:
        """Share of it that is used up, 1 or more at the end."""
        return seconds / self.seconds if self.seconds is not None else pairs / self.pairs


class Trainer:
    """One run: the network, its average, the two tasks' balance and what is needed to go on after an interruption."""

    def __init__(
        self, train: Cohort, validation: Cohort, out: Path, network: NetworkConfig, options: Dict[str, object]
    ) -> None:
        self.validation, self.out = validation, out
        self.options = {key: value for key, value in options.items() if isinstance(value, (int, float, str, bool))}
        seed = int(options.get("seed", 0))
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.device = choose_device(str(options.get("device", "auto")))
        self.feed = Feed(train, self.device)
        self.network_config = network
        self.model = build_network(network).to(self.device)
        self.origin: Optional[Dict[str, Any]] = None
        if options.get("start") and not (out / "checkpoint.pt").exists():
            self.begin_with(Path(str(options["start"])))
        self.average = ExponentialAverage(self.model, float(options.get("average", 0.995)))
        self.optimizer = make_optimizer(self.model, float(options.get("rate", 2e-3)))
        self.peak_rate = float(options.get("rate", 2e-3))
        self.batch_size = int(options.get("batch", 4))
        self.epoch_pairs, self.passes = int(options.get("epoch_pairs", 400)), int(options.get("passes", 1))
        self.bf16 = bool(options.get("bf16", False))
        if self.bf16 and emulates_bfloat16(self.device):
            tqdm.write("--bf16: this CPU has no instructions for it, and a step may take a minute; leave it out.", file=sys.stderr)
        self.keep_statistics = bool(options.get("keep_statistics", False))
        self.tasks = str(options.get("tasks", "both"))
        self.balance: Optional[GradNorm] = None
        self.use_gradnorm = not options.get("no_gradnorm", False)
        self.steps, self.epochs, self.pairs_seen, self.seconds = 0, 0, 0, 0.0
        self.history: List[dict] = []
        self.heads: Set[int] = set(train.values("head").tolist())
        out.mkdir(parents=True, exist_ok=True)
        if (out / "checkpoint.pt").exists():
            self.restore()

    def begin_with(self, folder: Path) -> None:
        """Takes the weights of a run or a bundle; ValueError where they belong to another network configuration, or have seen a
        hospital's pairs."""
        network, self.origin = load_start(folder, simulated_only=True)
        if not self.takes_scale_of(network.config):
            raise ValueError(f"--start {folder} holds another network configuration than the options ask for.")
        self.model.load_state_dict(network.state_dict())

    def takes_scale_of(self, config: NetworkConfig) -> bool:
        """Takes over the level that scans are brought to from the network the run goes on from; False where that has other sizes."""
        if replace(config, reference_hu=None) != replace(self.network_config, reference_hu=None):
            return False
        self.network_config = self.model.config = config
        return True

    def train(self, budget: Budget) -> None:
        """Trains until the budget is spent, over all parts of the run together; ValueError where the cohorts share a head."""
        self.refresh()
        self.write_config(budget)
        while budget.spent(self.seconds, self.pairs_seen) < 1:
            started = time.monotonic()
            self.refresh()
            record = self.epoch(started, budget)
            record["validation_auc"] = self.validate()
            self.seconds += time.monotonic() - started
            record["minutes"] = round(self.seconds / 60, 2)
            self.history.append(record)
            self.save()
            tqdm.write(json.dumps(record))
        self.write_config(budget)  # again: a cohort that grew meanwhile says only at its end what it is

    def refresh(self) -> None:
        """Takes up pairs that appeared in either cohort; ValueError where heads of the validation were trained on."""
        self.feed.refresh()
        self.validation.refresh()
        self.heads.update(self.feed.cohort.values("head").tolist())
        if self.feed.cohort.simulated:
            refuse_trained_heads(self.heads, self.validation, "--validation")

    def epoch(self, started: float, budget: Budget) -> dict:
        """One pass over a random part of the pairs; returns the mean losses and the balance at its end."""
        self.model.train()
        if self.keep_statistics:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        passes = [self.rng.permutation(len(self.feed)) for _ in range(self.passes)]
        order = np.concatenate(passes)[: self.epoch_pairs]
        starts = range(0, len(order) - self.batch_size + 1, self.batch_size)
        sums, weights = torch.zeros(len(LOSSES), device=self.device), torch.ones(2)
        done = 0
        with tqdm(starts, desc=f"epoch {self.epochs + 1}", unit="batch", mininterval=5) as progress:
            for start in progress:
                spent = budget.spent(self.seconds + time.monotonic() - started, self.pairs_seen)
                if spent >= 1:
                    break
                batch = self.feed.batch(order[start : start + self.batch_size], self.rng)
                values, weights = self.step(batch, spent)
                sums += values
                done += 1
                if done % LOOK_EVERY == 0:
                    progress.set_postfix(
                        **{name: f"{value / done:.3f}" for name, value in zip(LOSSES, sums.tolist())},
                        weights="/".join(f"{w:.2f}" for w in weights.tolist()),
                        refresh=False,
                    )
        self.epochs += 1
        means = (sums / max(1, done)).tolist()
        return {
            "epoch": self.epochs,
            "pairs_available": len(self.feed),
            "pairs_seen": self.pairs_seen,
            **{name: round(float(value), 5) for name, value in zip(LOSSES, means)},
            "gradnorm": [round(float(w), 4) for w in weights],
        }

    def step(self, batch: Batch, spent: float) -> tuple:
        """One optimisation step at `spent` (0..1) of the budget; returns the three losses (on the device) and the two task
        weights."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.peak_rate, self.steps, spent)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.model(batch.image)
        generation = generation_loss(output.generated, batch)
        classification = classification_loss(output.logit, batch)
        auxiliary = auxiliary_loss(output.map_logits, batch)
        if self.tasks != "generation":
            auxiliary = auxiliary + measures_loss(output.measures, batch) + 0.5 * blood_loss(output.blood, batch)
        weights = self.task_weights(generation, classification, batch).to(self.device)
        loss = weights[0] * generation + weights[1] * classification + auxiliary
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimizer.step()
        self.average.update()
        self.steps += 1
        self.pairs_seen += len(batch.chance)
        return torch.stack([generation, classification, auxiliary]).detach(), weights.detach()

    def task_weights(self, generation: torch.Tensor, classification: torch.Tensor, batch: Batch) -> torch.Tensor:
        """[2] weights of generation and classification: GradNorm every tenth step, or 1 and 1; 1 and 0 for one task alone."""
        if self.tasks != "both":
            return torch.tensor([float(self.tasks == "generation"), float(self.tasks == "classification")])
        if not self.use_gradnorm:
            return torch.ones(2)
        if self.balance is None:
            unchanged = float(generation_loss(batch.image.clamp(*TISSUE_HU), batch))
            start = (max(unchanged, float(generation.detach())), max(float(np.log(2)), float(classification.detach())))
            self.balance = GradNorm(start, (SHARE_OF_FLOOR * unchanged, CLASSIFICATION_FLOOR))
        if self.steps % 10 == 0:
            self.balance.update((generation, classification), self.model.last_shared_weight)
        return self.balance.current()

    @torch.no_grad()
    def validate(self) -> float:
        """AUC of the averaged network on the validation cases."""
        model = self.average.model.eval()
        size = 2 if self.device.type == "cpu" else 16
        logits = [model(images.to(self.device)).logit.cpu() for images in self.validation.images(size)]
        labels = self.validation.values("label")
        return round(auc(labels, torch.cat(logits).numpy()), 4)

    def write_config(self, budget: Budget) -> None:
        config = {
            "disclaimer": DISCLAIMER,
            "version": __version__,
            "torch": torch.__version__,
            "device": str(self.device),
            "minutes": budget.seconds and budget.seconds / 60,
            "pairs": budget.pairs,
            "options": self.options,
            "cohorts": {"train": told_of(self.feed.cohort), "validation": told_of(self.validation)},
            "network": self.network_config.to_json(),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "start": self.origin,
        }
        (self.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    def save(self) -> None:
        """Writes the checkpoint through a temporary file, so that an interruption leaves the previous one."""
        state = {
            "network_config": self.network_config.to_json(),
            "model": to_cpu(self.model.state_dict()),
            "average": to_cpu(self.average.model.state_dict()),
            "optimizer": to_cpu(self.optimizer.state_dict()),
            "gradnorm": self.balance.state_dict() if self.balance else None,
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "progress": [self.steps, self.epochs, self.pairs_seen, self.seconds],
            "history": self.history,
            "heads": sorted(self.heads),
            "options": self.options,
            "device": describe_device(self.device),
            "start": self.origin,
        }
        partial = self.out / "checkpoint.partial"
        torch.save(state, partial)
        os.replace(partial, self.out / "checkpoint.pt")
        (self.out / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in self.history))
        plot_curves(self.history, self.out / "curves.png")

    def restore(self) -> None:
        """Continues from the checkpoint of the run folder; ValueError where it is damaged, has weights only, or belongs to a run of
        another network or of other options."""
        state = read_checkpoint(self.out)
        if "model" not in state:
            raise ValueError(
                f"{self.out} holds the weights of a run and not what it could go on from (light.pt, or a run of `average` or `finetune`):"
                " choose another --out; --start begins a new run with such weights."
            )
        if not self.takes_scale_of(NetworkConfig.from_json(state["network_config"])):
            raise ValueError(f"{self.out} holds a run of another network configuration: choose another --out.")
        self.refuse_other_options(state["options"])
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.average.model.config = self.network_config
        self.average.updates = state["progress"][0]
        self.optimizer.load_state_dict(state["optimizer"])
        if state["gradnorm"]:
            self.balance = GradNorm(state["gradnorm"]["initial"].tolist(), state["gradnorm"]["floors"].tolist())
            self.balance.load_state_dict(state["gradnorm"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if self.device.type == "cuda" and state.get("cuda_rng") is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)
        self.steps, self.epochs, self.pairs_seen, self.seconds = state["progress"]
        self.history, self.origin = state["history"], state.get("start")
        self.heads.update(state["heads"])

    def refuse_other_options(self, before: Dict[str, object]) -> None:
        """ValueError where the run was begun with other options than MAY_CHANGE names."""
        for name in sorted({*before, *self.options} - set(MAY_CHANGE)):
            was, given = before.get(name), self.options.get(name)
            # What is absent is off: None is not kept, and a run from before an option existed had none of it.
            if (was or None) != (given or None):
                told = f"{self.out} holds a run with {as_typed(name, was)}, not with {as_typed(name, given)}"
                raise ValueError(f"{told}: repeat the run's options, or choose another --out.")


def as_typed(name: str, value: object) -> str:
    """An option on the command line: "--rate 0.002", "--bf16", "no --start"."""
    option = "--" + name.replace("_", "-")
    if value is None or value is False:
        return f"no {option}"
    return option if value is True else f"{option} {value}"


def told_of(cohort: Cohort) -> Dict[str, Any]:
    """What the folder's cohort.json says of how it was simulated (TOLD_OF_COHORT); empty where there is none."""
    made = cohort.record()
    return {key: made[key] for key in TOLD_OF_COHORT if key in made}


def describe_device(device: torch.device) -> str:
    """What a reader should know of the machine: "CPU core", "machine of 4 threads" or the GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "CPU core" if torch.get_num_threads() == 1 else f"machine of {torch.get_num_threads()} threads"


def to_cpu(state: Any) -> Any:
    """A copy of nested dicts and lists with every tensor in main memory: such a checkpoint names no device."""
    if isinstance(state, torch.Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: to_cpu(value) for key, value in state.items()}
    if isinstance(state, list):
        return [to_cpu(value) for value in state]
    return state
