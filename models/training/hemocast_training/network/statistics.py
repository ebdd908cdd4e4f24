"""What a radiologist would measure on the predicted maps: extent, brightness, solidity, place.

Attention pooling averages; these statistics keep amounts (volumes, maxima, shares), which a linear classifier can use
directly. They are computed from the network's own auxiliary maps and need no truth. They are ours; the 22 of a prototype were the
first.

No gradient flows back into the maps. While a map is still flat, its standardised statistics have next to no variance, and
their gradient, scaled up by its inverse, outweighs the map's own supervision: with it the iodine map stayed at 0.7 HU over
5,400 pairs (r = .17 with the truth, cell by cell), without it it reached 46 HU and r = .39 within 600.
"""

from typing import Dict, List

import torch
from torch import Tensor, nn

from .config import MAP_MATRIX, SLICES

CELLS = SLICES * MAP_MATRIX * MAP_MATRIX
STATISTIC_COUNT = 26


class MapStatistics(nn.Module):
    """[n, 24, 32, 32] maps -> [n, 26] standardised statistics."""

    def __init__(self) -> None:
        super().__init__()
        line = torch.linspace(-1, 1, MAP_MATRIX)
        self.register_buffer("right_left", line.reshape(1, 1, 1, -1).clone())
        self.register_buffer("front_back", line.reshape(1, 1, -1, 1).clone())
        self.register_buffer("height", torch.linspace(-1, 1, SLICES).reshape(1, -1, 1, 1))
        self.standardize = RunningStandardize(STATISTIC_COUNT)

    def forward(self, maps: Dict[str, Tensor], prior: Tensor, excess: Tensor, brain: Tensor, rough: Tensor) -> Tensor:
        """maps: iodine and texture in HU, the others 0..1; prior 0..1, excess in HU, and of the image itself, on the same
        cells, brain, the mean HU within the brain window (0..80), and rough, the local SD in HU above the noise."""
        maps = {name: values.detach() for name, values in maps.items()}
        iodine, texture, infarct, lentiform = maps["iodine"], maps["texture"], maps["infarct"], maps["lentiform"]
        stained = torch.sigmoid((iodine - 5) / 1.5)
        stain = iodine * stained
        cells, dose = total(stained) + 1, total(stain) + 1
        mean = total(stain) / cells
        spread = total((iodine - mean.reshape(-1, 1, 1, 1)) ** 2 * stained) / cells
        uneven = total(texture * stained)
        touched = torch.sigmoid((iodine - 2) / 0.7)
        # How much darker the infarct is than the other side, its contrast taken off; the head is centred, the grid mirrors.
        unstained = brain - iodine
        darker = total(((unstained.flip(-1) - unstained) * infarct).clamp(min=0.0))
        statistics: List[Tensor] = [
            torch.log(cells),
            torch.log(mean + 1),
            torch.log(brightest(iodine, 10) + 1),
            torch.log(brightest(iodine, 60) + 1),
            torch.log(total(iodine) + 10),
            torch.sqrt(spread + 1),
            uneven / cells,
            torch.log(uneven + 10),
            total(stain * lentiform) / dose,
            torch.log(total(stain * lentiform) + 10),
            torch.log(total(maps["blood_initial"]) + 1),
            brightest(maps["blood_initial"], 10),
            torch.log(total(maps["blood_follow_up"]) + 1),
            brightest(maps["blood_follow_up"], 10),
            torch.log(total(infarct) + 3),
            total(stain * infarct) / dose,
            torch.log(total(infarct * lentiform) + 1),
            total(stain * self.height) / dose,
            total(stain * self.front_back) / dose,
            (total(stain * self.right_left) / dose).abs(),
            torch.log(total(prior) / CELLS + 1e-4),
            torch.log(total(excess) / CELLS + 1e-2),
            torch.log(total(texture) + 5) - torch.log(total(iodine) + 10),
            torch.log(darker + 30),
            torch.log(total(rough * touched) + 10) - torch.log(total(iodine * touched) + 10),
            torch.log(total(rough * prior) + 10) - torch.log(total(excess * prior) + 10),
        ]
        return self.standardize(torch.stack(statistics, 1))


class RunningStandardize(nn.Module):
    """Zero mean, unit variance by running moments, in training too: [n, features] -> the same shape, within -5..5.

    Batches of four volumes are too small for batch statistics; here a case is never scaled by its neighbours. The first
    batch sets the moments. Values are clipped at five standard deviations.
    """

    def __init__(self, features: int, momentum: float = 0.02) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.batches += 1
                rate = (1 / self.batches).clamp(min=self.momentum)
                self.mean.lerp_(x.mean(0), rate)
                self.variance.lerp_(((x - self.mean) ** 2).mean(0), rate)
        return ((x - self.mean) / torch.sqrt(self.variance + 1e-3)).clamp(-5.0, 5.0)


def total(x: Tensor) -> Tensor:
    """Sum over a volume, [n, 24, 32, 32] -> [n]."""
    return x.sum((1, 2, 3))


def brightest(x: Tensor, count: int) -> Tensor:
    """Mean of the `count` highest cells (count * 0.18 mL), [n, 24, 32, 32] -> [n]: a maximum that one noisy cell cannot set."""
    return x.reshape(-1, CELLS).topk(count, 1)[0].mean(1)
