"""Density-aware self-attention of the encoder and the interactive attention shared by the two decoders."""

import math
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from .blocks import FeedForward


class AttentionMap(nn.Module):
    """softmax(q k^T / sqrt(d) + B): who looks where. Has queries and keys, no values.

    With `density_bias`, B = beta_h * log(prior_j + 0.02) favours keys of high density: an additive bias, learned per
    head, that the product of query and key can overrule.
    """

    def __init__(self, dim: int, heads: int, density_bias: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.dim, self.heads = dim, heads
        self.density_strength = nn.Parameter(torch.full((heads,), 0.5)) if density_bias else None

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        """x [n, tokens, dim], prior [n, tokens] in 0..1 -> [n, heads, tokens, tokens], rows sum to 1."""
        x = self.norm(x)
        query = split_heads(self.query(x), self.heads, self.dim)
        key = split_heads(self.key(x), self.heads, self.dim)
        scores = (query * (1 / math.sqrt(self.dim // self.heads))) @ key.transpose(2, 3)
        if self.density_strength is not None:
            bias = torch.log(prior + 0.02)
            scores = scores + (self.density_strength.reshape(1, -1, 1, 1) * bias[:, None, None, :]).to(scores.dtype)
        return scores.softmax(-1)


class AttendedValues(nn.Module):
    """x + Wo(A Wv(LN x)), then the MLP: what a stream takes from a map that was computed elsewhere."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.value = nn.Linear(dim, dim)
        self.project = nn.Linear(dim, dim)
        self.feed_forward = FeedForward(dim)
        self.dim, self.heads = dim, heads

    def forward(self, x: Tensor, attention: Tensor) -> Tensor:
        """x [n, tokens, dim], attention [n, heads, tokens, tokens] -> [n, tokens, dim]."""
        tokens = int(x.shape[1])
        value = split_heads(self.value(self.norm(x)), self.heads, self.dim)
        gathered = (attention @ value).transpose(1, 2).reshape(-1, tokens, self.dim)
        return self.feed_forward(x + self.project(gathered))


class SelfAttentionBlock(nn.Module):
    """Encoder block: a stream attends to itself, biased towards high density (Jiang et al. 2024, block T1).

    x [n, tokens, dim], prior [n, tokens] in 0..1 -> [n, tokens, dim].
    """

    def __init__(self, dim: int, heads: int, density_bias: bool) -> None:
        super().__init__()
        self.map = AttentionMap(dim, heads, density_bias)
        self.values = AttendedValues(dim, heads)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        return self.values(x, self.map(x, prior))


class TokenConvolution(nn.Module):
    """The ablation of self-attention: the same tokens mixed by a 3x3x3 depthwise convolution instead.

    x [n, tokens, dim] -> the same shape; `grid`: depth, rows and columns of the tokens. The prior is taken and not used.
    """

    def __init__(self, dim: int, grid: Tuple[int, int, int]) -> None:
        super().__init__()
        self.dim, self.grid = dim, grid
        self.norm = nn.LayerNorm(dim)
        self.depthwise = nn.Conv3d(dim, dim, 3, padding=1, groups=dim)
        self.project = nn.Linear(dim, dim)
        self.feed_forward = FeedForward(dim)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        depth, height, width = self.grid
        volume = self.norm(x).transpose(1, 2).reshape(-1, self.dim, depth, height, width)
        mixed = self.depthwise(volume).reshape(-1, self.dim, depth * height * width).transpose(1, 2)
        return self.feed_forward(x + self.project(torch.relu(mixed)))


class InteractiveAttentionBlock(nn.Module):
    """Both decoders look through one map (Jiang et al. 2024, block T2).

    The map comes from the encoder feature x_SA alone and is computed once; each decoder brings its own values:
    y_G = A Wv_G LN(x_G), y_C = A Wv_C LN(x_C). The decoders have no queries or keys of their own. With
    `interactive=False` (ablation) each decoder computes a map from its own stream.
    """

    def __init__(self, dim: int, heads: int, density_bias: bool, interactive: bool) -> None:
        super().__init__()
        self.map = AttentionMap(dim, heads, density_bias)
        self.second_map: Optional[AttentionMap] = None if interactive else AttentionMap(dim, heads, density_bias)
        self.generation = AttendedValues(dim, heads)
        self.classification = AttendedValues(dim, heads)

    def forward(
        self, source: Tensor, generation: Tensor, classification: Tensor, prior: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """source, generation, classification [n, tokens, dim]; prior [n, tokens].

        Returns the two streams and the map that the classification decoder used, [n, heads, tokens, tokens].
        """
        if self.second_map is None:
            shared = self.map(source, prior)
            return self.generation(generation, shared), self.classification(classification, shared), shared
        own = self.second_map(classification, prior)
        return self.generation(generation, self.map(generation, prior)), self.classification(classification, own), own


def split_heads(x: Tensor, heads: int, dim: int) -> Tensor:
    """[n, tokens, dim] -> [n, heads, tokens, dim / heads], with constant shapes for the export."""
    return x.reshape(-1, int(x.shape[1]), heads, dim // heads).transpose(1, 2)
