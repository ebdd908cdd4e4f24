"""Attention within shifted 3-D windows, the building block of `base`.

After Liu et al. 2021 (Swin Transformer, arXiv 2103.14030) and Liu et al. 2022 (Video Swin Transformer, arXiv 2106.13230).
Tokens of a grid d x h x w are cut into windows; attention stays within a window; every second block shifts the windows by
half of their size, cyclically, and a mask keeps tokens apart that only the cyclic shift brought together. The MLP is this
project's (ReLU, twice the width).
"""

import math
from itertools import product
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

from .attention import AttendedValues, split_heads

Grid = Tuple[int, int, int]
APART = -100.0
"""Added to the score of two tokens that must not see each other: exp(-100) is nothing, in bfloat16 too."""


class Windows(nn.Module):
    """Cuts [n, tokens, c] into windows [n * windows, tokens of a window, c] and back; constants only, no traced shapes.

    The buffers are persistent, so that the exported graph holds them: `region` [windows, tokens of a window] numbers the
    parts of the grid that are neighbours without the cyclic shift; `relative` [N, N] is the row of the position bias table
    for a pair of tokens; `order` [tokens] is the place of a token of the grid in the list of windows.
    """

    def __init__(self, grid: Grid, window: Grid, shifted: bool) -> None:
        super().__init__()
        if any(size % cut for size, cut in zip(grid, window)):
            raise ValueError(f"windows of {window} do not fill a grid of {grid}.")
        self.grid, self.window = grid, window
        self.shift = tuple(cut // 2 if shifted and size > cut else 0 for size, cut in zip(grid, window))
        self.size, self.tokens = math.prod(window), math.prod(grid)
        self.count = self.tokens // self.size

        region = torch.zeros(1, *grid, 1)
        for number, part in enumerate(product(*(self.slabs(axis) for axis in range(3)))):
            region[(0, *part, 0)] = number
        self.register_buffer("region", self.cut(region)[..., 0].clone())

        places = torch.stack(torch.meshgrid(*[torch.arange(cut) for cut in window], indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None, :] + torch.tensor(window)[:, None, None] - 1
        spans = [2 * cut - 1 for cut in window]
        self.positions = math.prod(spans)
        rows = (apart[0] * spans[1] + apart[1]) * spans[2] + apart[2]
        self.register_buffer("relative", rows.to(torch.int32))

        numbers = self.enter(torch.arange(self.tokens, dtype=torch.float64).reshape(1, -1, 1)).flatten()
        self.register_buffer("order", numbers.argsort())

    def slabs(self, axis: int) -> list:
        """The parts of a shifted axis: whole windows, then the two ends that the shift brings into one window."""
        cut, shift = self.window[axis], self.shift[axis]
        return [slice(0, -cut), slice(-cut, -shift), slice(-shift, None)] if shift else [slice(None)]

    def cut(self, x: Tensor) -> Tensor:
        """[n, d, h, w, c] -> [n * windows, N, c], without a shift."""
        (d, h, w), (a, b, c) = self.grid, self.window
        channels = int(x.shape[4])
        x = x.reshape(-1, d // a, a, h // b, b, w // c, c, channels)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, self.size, channels)

    def enter(self, x: Tensor) -> Tensor:
        """[n, tokens, c] -> [n * windows, N, c]."""
        x = x.reshape(-1, *self.grid, int(x.shape[2]))
        if any(self.shift):
            x = torch.roll(x, tuple(-shift for shift in self.shift), (1, 2, 3))
        return self.cut(x)

    def leave(self, x: Tensor) -> Tensor:
        """[n * windows, N, c] -> [n, tokens, c], the inverse of `enter`."""
        (d, h, w), (a, b, c) = self.grid, self.window
        channels = int(x.shape[2])
        x = x.reshape(-1, d // a, h // b, w // c, a, b, c, channels)
        x = x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, d, h, w, channels)
        if any(self.shift):
            x = torch.roll(x, self.shift, (1, 2, 3))
        return x.reshape(-1, self.tokens, channels)

    def whole(self, attention: Tensor) -> Tensor:
        """A map per window [n * windows, heads, N, N] as one over the grid, [n, 1, tokens, tokens], mean of the heads."""
        each = attention.mean(1).reshape(-1, self.count, self.size, 1, self.size)
        own = torch.eye(self.count, dtype=each.dtype, device=each.device).reshape(1, self.count, 1, self.count, 1)
        listed = (each * own).reshape(-1, self.tokens, self.tokens)
        return listed.index_select(1, self.order).index_select(2, self.order)[:, None]


class WindowAttentionMap(nn.Module):
    """softmax(q k^T / sqrt(d) + B) within windows, B a learned 3-D relative position bias. Has no values.

    With `density_bias` keys of high density are favoured as in `attention.AttentionMap` (this project's addition).
    """

    def __init__(self, dim: int, heads: int, windows: Windows, density_bias: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.dim, self.heads, self.windows = dim, heads, windows
        self.position_bias = nn.Parameter(0.02 * torch.randn(windows.positions, heads))
        self.density_strength = nn.Parameter(torch.full((heads,), 0.5)) if density_bias else None

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        """x [n, tokens, dim], prior [n, tokens] in 0..1 -> [n * windows, heads, N, N], rows sum to 1."""
        windows, size = self.windows, self.windows.size
        x = windows.enter(self.norm(x))
        query = split_heads(self.query(x), self.heads, self.dim)
        key = split_heads(self.key(x), self.heads, self.dim)
        scores = (query * (1 / math.sqrt(self.dim // self.heads))) @ key.transpose(2, 3)
        bias = self.position_bias.index_select(0, windows.relative.reshape(-1)).reshape(size, size, self.heads)
        scores = scores + bias.permute(2, 0, 1)
        if self.density_strength is not None:
            dense = torch.log(windows.enter(prior[..., None])[..., 0] + 0.02)
            scores = scores + self.density_strength.reshape(1, -1, 1, 1) * dense[:, None, None, :]
        if any(windows.shift):
            strangers = (windows.region[:, :, None] != windows.region[:, None, :]).to(scores.dtype)
            scores = scores.reshape(-1, windows.count, self.heads, size, size) + APART * strangers[:, None]
            scores = scores.reshape(-1, self.heads, size, size)
        return scores.softmax(-1)


class WindowValues(nn.Module):
    """x + Wo(A Wv(LN x)), then the MLP, with a map per window; [n, tokens, dim] -> the same shape."""

    def __init__(self, dim: int, heads: int, windows: Windows) -> None:
        super().__init__()
        self.windows = windows
        self.attended = AttendedValues(dim, heads)

    def forward(self, x: Tensor, attention: Tensor) -> Tensor:
        return self.windows.leave(self.attended(self.windows.enter(x), attention))


class WindowSelfAttentionBlock(nn.Module):
    """Half of a T1 pair: W-MSA or shifted W-MSA with its MLP; x [n, tokens, dim], prior [n, tokens]."""

    def __init__(self, dim: int, heads: int, windows: Windows, density_bias: bool) -> None:
        super().__init__()
        self.map = WindowAttentionMap(dim, heads, windows, density_bias)
        self.values = WindowValues(dim, heads, windows)

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        return self.values(x, self.map(x, prior))


class InteractiveWindowBlock(nn.Module):
    """Half of a T2 pair: one map from the encoder's x_SA for both decoders (Jiang et al. 2024, arXiv 2408.00940).

    With `interactive=False` (ablation) each decoder computes a map from its own stream.
    """

    def __init__(self, dim: int, heads: int, windows: Windows, density_bias: bool, interactive: bool) -> None:
        super().__init__()
        self.map = WindowAttentionMap(dim, heads, windows, density_bias)
        self.second_map: Optional[WindowAttentionMap] = (
            None if interactive else WindowAttentionMap(dim, heads, windows, density_bias)
        )
        self.generation = WindowValues(dim, heads, windows)
        self.classification = WindowValues(dim, heads, windows)

    def forward(
        self, source: Tensor, generation: Tensor, classification: Tensor, prior: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """source (x_SA), generation, classification [n, tokens, dim]; prior [n, tokens].

        Returns the two streams and the map that the classification decoder used, [n * windows, heads, N, N].
        """
        if self.second_map is None:
            shared = self.map(source, prior)
            return self.generation(generation, shared), self.classification(classification, shared), shared
        own = self.second_map(classification, prior)
        return self.generation(generation, self.map(generation, prior)), self.classification(classification, own), own
