"""Reads what a training run left behind."""

from pathlib import Path

import torch

from .network import NetworkConfig, TinyNetwork


def load_network(run_folder: Path) -> tuple:
    """(averaged network in eval mode, checkpoint) of a run; FileNotFoundError where the folder holds no checkpoint."""
    path = Path(run_folder) / "checkpoint.pt"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: train first, or name the run folder.")
    state = torch.load(path, map_location="cpu")
    model = TinyNetwork(NetworkConfig.from_json(state["network_config"]))
    model.load_state_dict(state["average"])
    return model.eval(), state
