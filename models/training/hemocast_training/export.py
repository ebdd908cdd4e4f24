"""From a training run to a bundle: calibration, graph, parity, metadata, golden vectors, licence.

`python3 -m hemocast_training export --run RUN --train DIR --validation DIR --test DIR --out BUNDLE`. The evaluation and
the model card are written by `evaluate` afterwards, on heads that neither training nor calibration has seen.

Beside the graph it writes training/weights.pt, from which a hospital can train further (docs/own-pairs.md).
A run of `finetune` needs no cohorts: its own cross-validation calibrates it, and the bundle is complete at once.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Tuple

import numpy as np
import torch
from tqdm import tqdm

from .bundle import METADATA_FILE, MODEL_FILE, read_metadata, write_license, write_metadata
from .calibrate import calibrate
from .checkpoint import load_network, load_start, refuse_trained_heads, round_to_half, save_weights
from .data import Cohort
from .deployed import DeployedNetwork, FeatureCloud
from .golden import write_golden
from .network import Ensemble
from .network.own_scale import brain_level
from .onnx_model import check_parity, export_onnx, open_session, store_half
from .site_export import export_site

OOD_QUANTILE = 0.99


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`export`: a bundle from a run."""
    parser = subparsers.add_parser("export", help="calibrate a run and write its bundle", description=__doc__)
    parser.add_argument(
        "--run", dest="run_folders", action="append", required=True,
        help="run folder written by `train` or `finetune`, or a bundle whose weights are calibrated anew; several of `train` become an ensemble",
    )
    parser.add_argument("--train", help="cohort folder, for the out-of-distribution score")
    parser.add_argument("--train-limit", type=int, default=1000, help="training cases used for it")
    parser.add_argument("--validation", help="cohort folder, for temperature, interval and threshold")
    parser.add_argument("--test", help="cohort folder, for the start check's case and parity")
    parser.add_argument("--out", required=True, help="bundle folder")
    parser.add_argument("--name", help="of the bundle; hemocast-tiny unless it is a site's, which needs its own")
    parser.add_argument("--note", default="", help="what a reader should know about this run, for the model card")
    parser.add_argument("--own-scale", action="store_true", help="read scans on their brain's own scale (network/own_scale.py)")
    parser.add_argument("--version", required=True, help="semantic version of the bundle")
    parser.add_argument("--repository", default="../..", help="repository root, for the DICOM cases")
    parser.add_argument("--dicom", nargs="*", default=[], help="CT folders for golden cases, relative to the root")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the bundle and prints what was measured on the way; ValueError where --validation or --test has heads of the training."""
    torch.set_num_threads(1)
    runs = [load_trained(Path(folder)) for folder in arguments.run_folders]
    network, state = runs[0]
    if "site" in state:
        if not arguments.name or arguments.name.startswith("hemocast-"):
            raise ValueError("a site's bundle needs a --name of its own that does not begin with hemocast-.")
        bundle = Path(arguments.out)
        export_site(Path(arguments.run_folders[0]), network, state["site"], bundle, arguments.name, arguments.version)
        print(f"{bundle}: complete; read docs/README.md. {read_metadata(bundle)['disclaimer']}")
        return 0
    for option in ("train", "validation", "test"):
        if getattr(arguments, option) is None:
            raise ValueError(f"--{option} is needed for a run on simulated pairs.")
    train = Cohort(arguments.train, limit=arguments.train_limit).require(2)
    validation = Cohort(arguments.validation).require(20)
    test = Cohort(arguments.test, limit=50).require(3)
    trained = set().union(*(state["heads"] for _, state in runs))
    refuse_trained_heads(trained, validation, "--validation")
    refuse_trained_heads(trained, test, "--test")
    bundle = Path(arguments.out)

    for member, _ in runs:
        round_to_half(member)
        if arguments.own_scale:
            member.config = replace(member.config, reference_hu=usual_level(train))
    ensemble = Ensemble([member for member, _ in runs]).eval()
    _, seen = forecasts(ensemble, train, "reading --train")
    logits, unseen = forecasts(ensemble, validation, "reading --validation")
    cloud = FeatureCloud(seen)
    calibration = calibrate(validation.values("label"), logits, validation.values("head"))
    deployed = DeployedNetwork(ensemble, calibration.temperature, cloud, calibration.bias).eval()
    export_onnx(deployed, bundle / MODEL_FILE)
    size = store_half(bundle / MODEL_FILE)
    save_weights(network, bundle)
    session = open_session(bundle / MODEL_FILE)
    cases = [np.stack(test.initial[:1]), np.stack(test.initial[:3])]
    difference = check_parity(deployed, session, cases)
    threshold = float(np.quantile(cloud.scores(unseen), OOD_QUANTILE))
    training = {
        **describe_network(state, ensemble),
        "note": arguments.note or kept_note(Path(arguments.run_folders[0])),
        "members": [describe_network(state, member) for member, state in runs],
    }
    write_metadata(bundle, arguments.name or "hemocast-tiny", arguments.version, calibration, round(threshold, 4), training)
    write_license(bundle)
    copy_curves(Path(arguments.run_folders[0]), bundle)
    write_golden(bundle, test, Path(arguments.repository), arguments.dicom)
    print(f"{bundle}: {size / 1e6:.1f} MB, temperature {calibration.temperature:.3f}, bias {calibration.bias:.3f}, {calibration.figures}")
    print("largest difference between PyTorch and ONNX Runtime:", {k: f"{v:.2g}" for k, v in difference.items()})
    return 0


def usual_level(cohort: Cohort) -> float:
    """Mean over the cases of a cohort of the commonest HU of their brains, to a tenth."""
    return round(float(torch.cat([brain_level(images) for images in cohort.images(2)]).mean()), 1)


@torch.no_grad()
def forecasts(network: torch.nn.Module, cohort: Cohort, what: str) -> Tuple[np.ndarray, np.ndarray]:
    """Uncalibrated logits [cases] and pooled features [cases, d] of a cohort, float64."""
    outputs = []
    for images in tqdm(cohort.images(2), desc=what, unit="two cases", total=(len(cohort) + 1) // 2, mininterval=5):
        output = network(images)
        outputs.append((output.logit, output.pooled))
    logits, pooled = (torch.cat(parts).double().numpy() for parts in zip(*outputs))
    return logits, pooled


def copy_curves(run_folder: Path, bundle: Path) -> None:
    """The curves.png of a run, or of a bundle, where it has one, into the bundle's docs."""
    found = next((path for path in (run_folder / "curves.png", run_folder / "docs" / "curves.png") if path.exists()), None)
    copy = bundle / "docs" / "curves.png"
    if found is not None and found.resolve() != copy.resolve():
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(found, copy)


def load_trained(folder: Path) -> Tuple[torch.nn.Module, dict]:
    """(network, what is said of its training, or the checkpoint of a run of `finetune`) of a run folder or a bundle.

    ValueError where a bundle has no trainable weights, is an ensemble, or has learned from a hospital's pairs.
    """
    if not (folder / METADATA_FILE).exists():
        network, state = load_network(folder)
        return network, state if "site" in state else describe_training(state)
    members = read_metadata(folder)["training"].get("members", [])
    if len(members) != 1:
        raise ValueError(f"{folder} is an ensemble or has learned from a hospital's pairs: name the run folders it was exported from.")
    return load_start(folder)[0], members[0]


def kept_note(folder: Path) -> str:
    """The --note of a bundle that is exported anew; none of a run."""
    return read_metadata(folder)["training"].get("note", "") if (folder / METADATA_FILE).exists() else ""


def describe_training(state: dict) -> dict:
    """What the metadata says about the run of a checkpoint: cases, heads, time, seed, ablation flags."""
    last = state["history"][-1]
    return {
        "cases": last["pairs_available"],
        "heads": state["heads"],
        "minutes": last["minutes"],
        "pairs_seen": last["pairs_seen"],
        "device": state.get("device", "machine its run does not name"),
        "seed": state["options"].get("seed", 0),
        "start": state.get("start"),
        "average_of": state.get("average_of"),
        "validation_auc": last["validation_auc"],
        "gradnorm_weights": last["gradnorm"],
    }


def describe_network(training: dict, network: torch.nn.Module) -> dict:
    """What the metadata says about a network: its training, parameters and configuration."""
    return {**training, "parameters": sum(parameter.numel() for parameter in network.parameters()), "network": network.config.to_json()}
