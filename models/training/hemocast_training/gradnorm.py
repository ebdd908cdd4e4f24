"""GradNorm (Chen et al. 2018, ICML): loss weights that let the two tasks train at the same relative pace.

As published: W is the last layer both tasks use; G_i = || grad_W (w_i L_i) ||; r_i = (L_i / L_i(0)) over its mean; the
weights alone minimise sum |G_i - mean(G) r_i^alpha| with the target held constant, and are renormalised to their number
after every step; L_i(0) of a cross-entropy is at least ln 2 (the paper's own advice where the start is unstable).

Departures, and what forced them:
- Loss ratios are taken above a floor: on a noisy L1 target the plain ratio never falls, generation always looks
  "behind", and the classifier starves. L_i(0) of generation is at least the loss of "no change".
- Gradient norms are relative to their own start (mean of the first updates, during which the weights rest). The generator
  reaches most of its input by skip connections, so the last shared layer sees little of its gradient; equal norms there
  mean a starved classifier (its weight fell to the clamp, and its loss stood still).
- Weights stay in [0.3, 1.7]: no task is switched off.
- Losses are averaged over about five updates, and an update happens every tenth step only: the outcome of a small batch is
  mostly chance, and two more backward passes a step cost time.
- The objective is divided by the mean gradient norm; Adam takes no notice of its scale, early moments then agree.
- The auxiliary losses keep the weight 1: they are no task of the paper.
"""

from typing import Sequence

import torch
from torch import Tensor

LOWEST, HIGHEST = 0.3, 1.7
REFERENCE_UPDATES = 6
"""Updates before the weights first move; their mean gradient norms are the reference."""


class GradNorm:
    """Weights w_i of the task losses, sum = number of tasks.

    G_i = || grad_W (w_i L_i) || on the last shared layer W over its mean in the first updates; r_i = the loss above its
    floor relative to its start and to the other tasks. Minimises sum |G_i - mean(G) r_i^alpha| over w only.
    """

    def __init__(
        self, initial_losses: Sequence[float], floors: Sequence[float], alpha: float = 1.0, rate: float = 0.02
    ) -> None:
        if len(initial_losses) != len(floors):
            raise ValueError("GradNorm needs one floor for each task loss.")
        for initial, floor in zip(initial_losses, floors):
            if not initial > floor:
                raise ValueError(f"The initial loss {initial:.4g} must exceed its floor {floor:.4g}: lower the floor.")
        self.initial = torch.tensor(list(initial_losses))
        self.floors = torch.tensor(list(floors))
        self.alpha = alpha
        self.smoothed = self.initial.clone()
        self.reference = torch.zeros(len(initial_losses))
        self.updates = 0
        self.weights = torch.ones(len(initial_losses), requires_grad=True)
        self.optimizer = torch.optim.Adam([self.weights], lr=rate)

    def current(self) -> Tensor:
        """The weights to multiply the losses with, [tasks], no gradient."""
        return self.weights.detach().clone()

    def update(self, losses: Sequence[Tensor], shared: Tensor) -> Tensor:
        """One step of the weights from the tasks' losses (scalars with graph) and the last shared weight.

        The graph is kept. Losses are averaged over about five calls: the outcome of four cases is mostly chance.
        """
        norms = torch.stack(
            [torch.autograd.grad(loss, shared, retain_graph=True)[0].norm().detach().cpu() for loss in losses]
        )
        self.smoothed = 0.8 * self.smoothed + 0.2 * torch.stack([loss.detach().cpu() for loss in losses])
        self.updates = min(self.updates + 1, REFERENCE_UPDATES)
        if self.updates < REFERENCE_UPDATES:
            self.reference += (norms - self.reference) / self.updates
            return self.current()
        return self.step(self.smoothed, norms / self.reference.clamp(min=1e-12))

    def step(self, losses: Tensor, gradient_norms: Tensor) -> Tensor:
        """The same from numbers: losses [tasks] and relative || grad_W L_i || [tasks] (unweighted); the new weights."""
        remaining = ((losses - self.floors) / (self.initial - self.floors)).clamp(min=0.02)
        relative_rate = remaining / remaining.mean()
        weighted = self.weights * gradient_norms
        target = (weighted.mean() * relative_rate**self.alpha).detach()
        self.optimizer.zero_grad()
        ((weighted - target).abs().sum() / gradient_norms.mean().clamp(min=1e-12)).backward()
        self.optimizer.step()
        with torch.no_grad():
            self.weights.mul_(len(self.weights) / self.weights.sum()).clamp_(LOWEST, HIGHEST)
            self.weights.mul_(len(self.weights) / self.weights.sum())
        return self.current()

    def state_dict(self) -> dict:
        return {
            "initial": self.initial,
            "floors": self.floors,
            "smoothed": self.smoothed,
            "reference": self.reference,
            "updates": self.updates,
            "weights": self.weights.detach(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.initial, self.floors = state["initial"], state["floors"]
        self.smoothed, self.reference, self.updates = state["smoothed"], state["reference"], state["updates"]
        with torch.no_grad():
            self.weights.copy_(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
