"""Reads what a training run left behind, and keeps trainable weights beside a bundle's graph.

The ONNX graph cannot be trained further, so a bundle also carries `training/weights.pt`: the exported network's weights
before calibration, matrices and kernels in float16 and everything else in float32, with the configuration that rebuilds it.
"""

import hashlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Tuple

import torch
from torch import nn

from .data import Cohort
from .network import NetworkConfig, build_network

WEIGHTS_FILE = "training/weights.pt"
ONLY_TO_GO_ON = ("model", "optimizer", "gradnorm", "torch_rng", "cuda_rng")


def read_checkpoint(run_folder: Path) -> Dict[str, Any]:
    """The checkpoint of a run, in main memory; FileNotFoundError where there is none, ValueError where it is damaged."""
    path = Path(run_folder) / "checkpoint.pt"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: train first, or name the run folder.")
    try:
        return torch.load(path, map_location="cpu")
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} cannot be read, it is cut off or damaged: copy it again, or delete it and train anew.") from error


def refuse_trained_heads(trained: Iterable[int], cohort: Cohort, option: str) -> None:
    """ValueError where the simulated cohort of `option` shares a head with those that were trained on, or was drawn for training.

    In a hospital's cohort heads are the numbers of its patients, which say nothing about another folder.
    """
    shared = sorted(set(trained) & set(cohort.values("head").tolist())) if cohort.simulated else []
    if shared:
        raise ValueError(f"{option} {cohort.folder} shares the heads {shared} with the training: name a cohort of other heads.")
    if (cohort.values("weight") != 1).any():
        raise ValueError(f"{option} {cohort.folder} holds more blood than patients do (--prevalence more-blood): it is for training only.")


def load_network(run_folder: Path) -> tuple:
    """(averaged network in eval mode, checkpoint) of a run; FileNotFoundError where the folder holds no checkpoint."""
    state = read_checkpoint(run_folder)
    model = build_network(NetworkConfig.from_json(state["network_config"]))
    model.load_state_dict(state["average"])
    return model.eval(), state


@torch.no_grad()
def round_to_half(network: nn.Module) -> None:
    """Rounds matrices and kernels to the float16 in which a bundle stores them, so that what is measured is what is served.

    ValueError where float16 cannot hold a weight.
    """
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.copy_(parameter.half().float())
            if not torch.isfinite(parameter).all():
                raise ValueError(f"{name} does not fit into float16 or is not finite: the run has diverged.")


def save_weights(network: nn.Module, bundle: Path) -> int:
    """Writes training/weights.pt of a bundle; returns its size in bytes. ValueError where float16 cannot hold a weight."""
    weights = {}
    for name, tensor in network.state_dict().items():
        weights[name] = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor.clone()
        if not torch.isfinite(weights[name].float()).all():
            raise ValueError(f"{name} does not fit into float16 or is not finite: the run has diverged.")
    path = Path(bundle) / WEIGHTS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    # The configuration as text: the safe reader of PyTorch 1.13 knows no floating-point numbers.
    torch.save({"network_config": json.dumps(network.config.to_json()), "weights": weights}, path)
    return path.stat().st_size


def load_weights(bundle: Path) -> nn.Module:
    """The network of a bundle in eval mode, float32. Nothing but tensors and plain values is read from the file."""
    state = torch.load(Path(bundle) / WEIGHTS_FILE, map_location="cpu", weights_only=True)
    network = build_network(NetworkConfig.from_json(json.loads(state["network_config"])))
    network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in state["weights"].items()})
    return network.eval()


def load_start(folder: Path, simulated_only: bool = False) -> Tuple[nn.Module, Dict[str, Any]]:
    """(network, where it comes from) of a bundle or of a run folder, to be trained further.

    Where it comes from: name, version, training_data, and of a run the SHA-256 of its weights. Files of a bundle are held to the
    SHA-256 in its metadata.
    FileNotFoundError where the folder is neither; ValueError where a bundle has no trainable weights, or, with `simulated_only`, where
    they have learned from a hospital's pairs.
    """
    from .bundle import METADATA_FILE, read_metadata

    folder = Path(folder)
    patients = f"{folder} has learned from a hospital's pairs, and a run of `train` calls itself simulated: use `finetune --from`."
    if (folder / METADATA_FILE).exists():
        metadata = read_metadata(folder)
        if WEIGHTS_FILE not in metadata["files"]:
            raise ValueError(f"{folder} has no {WEIGHTS_FILE}, and a graph cannot be trained: name the run folder instead.")
        if simulated_only and "heads" not in metadata["training"]:
            raise ValueError(patients)
        return load_weights(folder), {key: metadata[key] for key in ("name", "version", "training_data")}
    network, state = load_network(folder)
    if simulated_only and "site" in state:
        raise ValueError(patients)
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in state["average"].values())).hexdigest()
    return network, {"name": folder.resolve().name, "version": "run", "training_data": learned_from(state), "sha256": digest}


def learned_from(state: Dict[str, Any]) -> str:
    """What the run of a checkpoint was trained on, in a sentence."""
    if "site" in state:
        patients, start = state["site"]["out_of_fold"]["patients"].tolist(), state["site"]["training"]["start"]
        return (
            f"The site's own pairs: {len(patients)} scan pairs of {len(set(patients))} patients. "
            f"Started from {start['name']} {start['version']}: {start['training_data']}"
        )
    last = state["history"][-1] if state.get("history") else {}
    return f"{last.get('pairs_available', 'an unknown number of')} simulated pairs on {len(state['heads'])} head anatomies."


def lighten(run_folder: Path) -> Path:
    """Writes light.pt beside checkpoint.pt: averaged weights, history and options, without the optimizer and the weights that
    only the same run could go on from; a quarter of the size."""
    state = read_checkpoint(run_folder)
    path = Path(run_folder) / "light.pt"
    torch.save({key: value for key, value in state.items() if key not in ONLY_TO_GO_ON}, path)
    return path


if __name__ == "__main__":
    print(lighten(Path(sys.argv[1])))
