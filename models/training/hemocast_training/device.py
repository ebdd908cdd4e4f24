"""Which processor computes, and what it cannot."""

from pathlib import Path

import torch

CPU_FLAGS = Path("/proc/cpuinfo")


def choose_device(name: str) -> torch.device:
    """auto, cpu or cuda; ValueError where cuda is asked for and absent, instead of an hour on the wrong processor."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no CUDA device here. Use --device cpu.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is slower than float32 there: on a CPU that says what it has and has no instructions for it."""
    if device.type != "cpu" or not CPU_FLAGS.exists():
        return False
    flags = CPU_FLAGS.read_text().split()
    return "flags" in flags and not {"avx512_bf16", "amx_bf16"} & set(flags)
