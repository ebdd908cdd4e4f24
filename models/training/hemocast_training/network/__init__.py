"""The dual-task network: one encoder, a generation decoder and a classification decoder that share one attention map.

Structure after Jiang et al. 2024 (arXiv 2408.00940, published architecture figure); the hybrid `tiny` configuration,
the gated-washout head and the density bias are this project's own.
"""

from .config import NetworkConfig
from .tiny import NetworkOutput, TinyNetwork

__all__ = ["NetworkConfig", "NetworkOutput", "TinyNetwork"]
