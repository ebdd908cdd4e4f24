"""Exponential moving average of the weights: the network that is validated and exported."""

import copy

import torch
from torch import nn


class ExponentialAverage:
    """Average of parameters and buffers; the decay grows with the steps to at most `decay`, so a short run is not stuck
    at its start."""

    def __init__(self, model: nn.Module, decay: float = 0.995) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values()):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)
