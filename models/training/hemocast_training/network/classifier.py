"""The classification head: attention pooling at two scales, statistics of the predicted maps, one logit.

Pooling with learned weights as in Ilse et al. 2018 (arXiv 1802.04712); that its query side goes through the map that both decoders
share is this project's reading of Jiang et al. 2024; measures and alternatives are ours.
"""

from typing import NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MAP_MATRIX, MEASURE_COUNT, SLICES, NetworkConfig
from .statistics import STATISTIC_COUNT


class Classification(NamedTuple):
    """logit [n]; attention [n, 24, 32, 32], sums to 1; measures [n, 6], the severity measures as read from the image;
    blood [n], the logit of blood being visible already."""

    logit: Tensor
    attention: Tensor
    measures: Tensor
    blood: Tensor


BLOOD_BIAS = -1.6
"""Every sixth case shows blood: the alternatives begin near the prevalence, not with all certain to bleed."""


def either(a: Tensor, b: Tensor) -> Tensor:
    """The logit of "a or b happens" for independent logits of any shape: log(exp(s) - 1), s = softplus(a) + softplus(b). In
    probabilities the noisy-or of Pearl 1988."""
    s = F.softplus(a) + F.softplus(b)
    return s + torch.log(1 - torch.exp(-s) + 1e-6)


class ClassificationHead(nn.Module):
    """One logit per volume, and where it looked.

    Tokens are pooled with learned weights; the query side of those weights is carried through the shared attention map
    to the keys, and the result, brought to 6 mm, is the log-prior of a second pooling over the decoder's fine features.
    The weights of that second pooling are the `attention` output: they are used, not painted on afterwards.

    Six measures of severity (extent, density, texture, place ...) are read on the way to the logit. A label tells one bit
    of a case, the measures tell six numbers; where nobody knows them (a hospital's pairs) they are simply not supervised.
    Whether blood is visible already is read in the same way, and the two ways to bleed are joined as alternatives:
    1 - p = (1 - p_visible) (1 - p_severity). What bleeds now has no staining to measure, but bleeds.
    """

    def __init__(self, config: NetworkConfig, token_grid: Tuple[int, int, int], fine_channels: int) -> None:
        super().__init__()
        dim = config.token_dim
        self.token_grid = token_grid
        self.use_statistics = config.classification_statistics
        self.fine_channels = fine_channels
        self.token_score = nn.Linear(dim, 1)
        self.fine_score = nn.Conv2d(fine_channels, 1, 1)
        self.hidden = nn.Linear(2 * dim + fine_channels + STATISTIC_COUNT, 64)
        self.dropout = nn.Dropout(config.dropout)
        self.logit = nn.Linear(64, 1)
        self.direct = nn.Linear(STATISTIC_COUNT, 1)
        self.read_hidden = nn.Linear(64, MEASURE_COUNT)
        self.read_statistics = nn.Linear(STATISTIC_COUNT, MEASURE_COUNT)
        self.from_measures = nn.Linear(MEASURE_COUNT, 1, bias=False)
        self.read_blood = nn.Linear(64 + STATISTIC_COUNT, 1)
        nn.init.constant_(self.read_blood.bias, BLOOD_BIAS)

    def forward(
        self, tokens: Tensor, shared_map: Tensor, prior: Tensor, features: Tensor, statistics: Tensor, tissue: Tensor
    ) -> Classification:
        """tokens [n, t, d], shared_map [n, heads, t, t], prior [n, t], features [n * 24, c, 32, 32],
        statistics [n, 26], tissue [n, 24, 32, 32] in 0..1."""
        pooling = (self.token_score(tokens)[..., 0] + 0.25 * torch.log(prior + 0.02)).softmax(-1)
        looked_at = (pooling[:, None, :] @ shared_map.mean(1))[:, 0]
        score = self.fine_score(features).reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        score = score + torch.log(self.to_fine_cells(looked_at) + 1e-5) + torch.log(tissue + 1e-4)
        weights = score.reshape(-1, SLICES * MAP_MATRIX * MAP_MATRIX).softmax(-1)

        fine = features.reshape(-1, SLICES, self.fine_channels, MAP_MATRIX * MAP_MATRIX)
        fine = fine.permute(0, 1, 3, 2).reshape(-1, SLICES * MAP_MATRIX * MAP_MATRIX, self.fine_channels)
        pooled_fine = (weights[:, None, :] @ fine)[:, 0]
        pooled_tokens = (pooling[:, None, :] @ tokens)[:, 0]
        if not self.use_statistics:
            statistics = statistics * 0
        summary = torch.cat([pooled_tokens, tokens.mean(1), pooled_fine, statistics], 1)
        hidden = F.relu(self.hidden(summary))
        measures = self.read_hidden(hidden) + self.read_statistics(statistics)
        blood = self.read_blood(torch.cat([hidden, statistics], 1))
        severity = self.logit(self.dropout(hidden)) + self.direct(statistics) + self.from_measures(measures)
        logit = either(severity.float(), blood.float())
        attention = weights.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        return Classification(logit[:, 0], attention, measures, blood[:, 0])

    def to_fine_cells(self, weights: Tensor) -> Tensor:
        """[n, tokens] -> [n, 24, 32, 32]: bilinear in the slice, repeated across the slices of a token."""
        depth, height, width = self.token_grid
        planes = weights.reshape(-1, depth, height, width)
        planes = F.interpolate(planes, scale_factor=float(MAP_MATRIX // height), mode="bilinear", align_corners=False)
        repeats = SLICES // depth
        planes = planes[:, :, None].expand(-1, depth, repeats, MAP_MATRIX, MAP_MATRIX)
        return planes.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
