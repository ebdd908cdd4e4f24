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
        both = list(zip(self.model.state_dict().values(), model.state_dict().values()))
        self._averaged = [pair for pair in both if pair[0].dtype.is_floating_point]
        self._copied = [pair for pair in both if not pair[0].dtype.is_floating_point]

    @torch.no_grad()
    def update(self) -> None:
        """Takes up the model's present weights."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        means, values = zip(*self._averaged)
        torch._foreach_mul_(means, decay)
        torch._foreach_add_(means, values, alpha=1 - decay)
        for mean, value in self._copied:
            mean.copy_(value)
