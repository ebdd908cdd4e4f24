"""Several trained networks as one: mean logit, mean image, mean attention (deep ensembles, Lakshminarayanan et al. 2017, arXiv
1612.01474; they take the mean of probabilities, this of logits, which the temperature then scales)."""

from typing import Sequence

import torch
from torch import Tensor, nn

from .tiny import NetworkOutput


class Ensemble(nn.Module):
    """Members of any kind with the same outputs; HU volume [n, 24, 128, 128] -> NetworkOutput.

    logit, generated, attention, measures and blood are means over the members; pooled and statistics are put side by side, so the
    out-of-distribution score sees the features of all. The auxiliary maps are those of the first member.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise ValueError("An ensemble needs at least one network.")
        self.members = nn.ModuleList(members)
        self.config = members[0].config

    def forward(self, image: Tensor) -> NetworkOutput:
        outputs = [member(image) for member in self.members]

        def mean(name: str) -> Tensor:
            return sum(getattr(output, name) for output in outputs) / len(outputs)

        def beside(name: str) -> Tensor:
            return torch.cat([getattr(output, name) for output in outputs], 1)

        return outputs[0]._replace(
            logit=mean("logit"), generated=mean("generated"), attention=mean("attention"), measures=mean("measures"), blood=mean("blood"),
            pooled=beside("pooled"), statistics=beside("statistics"),
        )
