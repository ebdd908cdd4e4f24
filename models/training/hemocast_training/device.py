"""Which processor computes."""

import torch


def choose_device(name: str) -> torch.device:
    """auto, cpu or cuda; ValueError where cuda is asked for and absent, instead of an hour on the wrong processor."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no CUDA device here. Use --device cpu.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
