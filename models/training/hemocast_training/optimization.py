"""The optimizer and its learning rate over the time budget."""

import math

import torch
from torch import nn

WARM_UP_STEPS = 40


def learning_rate(peak: float, step: int, spent: float) -> float:
    """Linear warm-up over 40 steps, then half a cosine down to 1e-6 at `spent` = 1 (share of the time budget)."""
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, spent))) + 1e-6


def make_optimizer(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """AdamW; weight decay on matrices and kernels only, not on biases, norms and gains."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.03}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate)
