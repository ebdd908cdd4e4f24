"""The dual-task network: one encoder, a generation decoder and a classification decoder that share one attention map.

Structure after Jiang et al. 2024 (arXiv 2408.00940, published architecture figure): `base` follows the figure, `tiny` is a
hybrid that a CPU core can train. The gated-washout head and the density bias are this project's own.
"""

from torch import nn

from .base import BaseNetwork
from .config import NETWORKS, NetworkConfig, preset
from .ensemble import Ensemble
from .tiny import NetworkOutput, TinyNetwork

__all__ = ["NETWORKS", "BaseNetwork", "Ensemble", "NetworkConfig", "NetworkOutput", "TinyNetwork", "build_network", "preset"]


def build_network(config: NetworkConfig) -> nn.Module:
    """An untrained network, HU volume [n, 24, 128, 128] -> NetworkOutput; ValueError for an unknown `config.name`."""
    if config.name == "tiny":
        return TinyNetwork(config)
    if config.name == "base":
        return BaseNetwork(config)
    raise ValueError(f"unknown network {config.name!r}: {' or '.join(NETWORKS)}.")
