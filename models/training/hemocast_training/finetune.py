"""Fine-tunes a network on a hospital's own pairs: `python3 -m hemocast_training finetune`.

Folds by patient: in each, one part is held out, the next decides when to stop, the rest is trained on. The forecasts of
the held-out parts give the figures and the temperature; the final network is trained on all pairs for as many passes as
the folds needed (median). A run is a folder: checkpoint.pt, config.json, evaluation.json, curves.png; `export` makes the
bundle from it.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch
from tqdm import tqdm

from . import __version__
from .bundle import EVALUATION_FILE, write_json
from .checkpoint import load_start
from .data import Cohort
from .network.generator import TISSUE_HU
from .regions import judged_regions
from .site_figures import OutOfFold, site_evaluation
from .site_folds import folds_by_patient, refuse_too_few
from .site_plots import plot_site
from .site_training import BATCH, RATE, Tuner, fit_until_best


def site_disclaimer(pairs: int, patients: int) -> str:
    """The label of everything a fine-tuned network says: what it was trained on."""
    return (
        f"Research use only, trained on simulated data and {pairs} pairs of {patients} patients, not a medical device."
    )


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`finetune`."""
    parser = subparsers.add_parser("finetune", help="train on a hospital's own pairs", description=__doc__)
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `prepare`")
    parser.add_argument(
        "--from", dest="start", type=Path, required=True, help="bundle with trainable weights, or a run folder"
    )
    parser.add_argument("--out", type=Path, required=True, help="run folder; must not hold a run already")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--minutes", type=float, required=True, help="wall time of all folds and the final training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Cross-validates, trains the final network, writes the run folder and prints the main figures."""
    torch.set_num_threads(arguments.threads)
    if (arguments.out / "checkpoint.pt").exists():
        raise ValueError(f"{arguments.out} holds a run already: choose another --out.")
    cohort = Cohort(arguments.cohort).require(1)
    if cohort.simulated:
        raise ValueError(f"{arguments.cohort} is simulated: `train` is made for it, `finetune` for a hospital's pairs.")
    labels, patients = cohort.values("label"), cohort.values("head")
    refuse_too_few(labels, patients, arguments.folds)
    network, origin = load_start(arguments.start)
    arguments.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    share = arguments.minutes * 60 / (arguments.folds + 1)

    found = OutOfFold(labels, patients, *(np.full(len(labels), np.nan) for _ in range(5)))
    passes, looks = [], []
    folds = list(folds_by_patient(labels, patients, arguments.folds, arguments.seed))
    with tqdm(total=len(folds) + 1, desc="finetune", unit="training") as bar:
        for number, fold in enumerate(folds):
            tuner = Tuner(network, cohort, fold.train, arguments.seed + number, arguments.rate)
            show = lambda steps, loss: bar.set_postfix_str(f"fold {number + 1}: {steps} steps, loss {loss:.3f}")
            fitted = fit_until_best(tuner, fold.stop, share, show)
            passes.append(fitted.steps / tuner.steps_per_pass)
            looks.append(fitted.looks)
            forecast_held_out(network, fitted.network, cohort, fold.held_out, found)
            found.fold[fold.held_out] = number
            bar.update()
        final = Tuner(network, cohort, np.arange(len(labels)), arguments.seed + len(folds), arguments.rate)
        wanted = round(float(np.median(passes)) * final.steps_per_pass)
        for step in range(wanted):
            final.step()
            bar.set_postfix_str(f"final: {step + 1} of {wanted} steps")
        bar.update()
    final_network = final.average.model.eval()

    evaluation = {
        "disclaimer": site_disclaimer(len(labels), len(set(patients.tolist()))),
        "date": datetime.date.today().isoformat(),
        "cohort": {
            "kind": "a hospital's own pairs, cross-validated",
            "pairs": len(labels),
            "patients": len(set(patients.tolist())),
            "bled": int(labels.sum()),
            "folds": arguments.folds,
        },
        "bootstrap": {"unit": "patient", "level": 0.95},
        **site_evaluation(found),
    }
    training = {
        "start": origin,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "passes_per_fold": [round(value, 2) for value in passes],
        "final_steps": wanted,
        "batch": BATCH,
        "rate": arguments.rate,
        "seed": arguments.seed,
        "network": network.config.to_json(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    state = {
        "network_config": network.config.to_json(),
        "average": final_network.state_dict(),
        # Tensors: PyTorch 2.6 and later read no NumPy arrays from a file unless told to trust it.
        "site": {
            "out_of_fold": {name: torch.from_numpy(np.asarray(values)) for name, values in found._asdict().items()},
            "features": torch.from_numpy(pooled_features(final_network, cohort)),
            "training": training,
        },
    }
    torch.save(state, arguments.out / "checkpoint.pt")
    config = {"version": __version__, "torch": torch.__version__, "disclaimer": evaluation["disclaimer"], **training}
    write_json(arguments.out / "config.json", config)
    write_json(arguments.out / EVALUATION_FILE, evaluation)
    plot_site(found, looks, evaluation["disclaimer"], arguments.out / "curves.png")
    print(summary(evaluation, wanted))
    return 0


@torch.no_grad()
def forecast_held_out(start, tuned, cohort: Cohort, indices: np.ndarray, found: OutOfFold) -> None:
    """Fills in what the network of a fold says about the pairs it has not seen, and what the start said."""
    for index in indices.tolist():
        image = torch.from_numpy(cohort.initial[index][None].astype(np.float32))
        output = tuned(image)
        found.logits[index] = float(output.logit)
        found.start_logits[index] = float(start(image).logit)
        judged = judged_regions(image[0].numpy(), cohort.mask(index)).judged
        if judged.any():
            truth = cohort.follow_up[index].astype(np.float32)[judged]
            found.error[index] = np.abs(output.generated[0].numpy()[judged] - truth).mean()
            found.error_no_change[index] = np.abs(np.clip(image[0].numpy()[judged], *TISSUE_HU) - truth).mean()


@torch.no_grad()
def pooled_features(network, cohort: Cohort) -> np.ndarray:
    """The pooled encoder feature of every pair, float32 [pairs, d], for the out-of-distribution score."""
    return torch.cat([network(images).pooled for images in cohort.images(2)]).numpy()


def summary(evaluation: Dict[str, Any], steps: int) -> str:
    """What a reader should know first."""
    text = lambda figure: f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
    tuned, start = evaluation["finetuned"]["auc"], evaluation["before_finetuning"]["auc"]
    helped = "" if steps else " No fold improved by training on: the final network is the one it started from."
    return (
        f"held-out patients: AUC {text(tuned)}, before fine-tuning {text(start)}, gain {text(evaluation['gain']['auc'])}."
        f"{helped} {evaluation['disclaimer']}"
    )
