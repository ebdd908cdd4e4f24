"""`tiny`: the paper's dual-task network, small enough to train on a CPU core.

Convolutions work slice by slice at 1/4 resolution and below with depthwise mixing across slices; attention works on
12 x 8 x 8 tokens of 10 x 24 x 24 mm. Structure after Jiang et al. 2024 (arXiv 2408.00940): shared encoder with
self-attention, two decoder streams, interactive attention from the encoder feature x_SA. Differences: hybrid instead of
Swin stages, one attention resolution instead of three, the upsampling path belongs to the generation stream only, and
the classification head reads its auxiliary maps.
"""

from typing import Dict, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import InteractiveAttentionBlock, SelfAttentionBlock, TokenConvolution
from .blocks import AnisotropicBlock, FeedForward, enlarge, normalised
from .classifier import ClassificationHead
from .config import MAP_MATRIX, MAP_NAMES, MATRIX, PATCH, SLICES, NetworkConfig
from .density import WINDOWS_HU, brain_hu, hyperdensity, roughness, space_to_depth, window
from .generator import GatedWashoutHead
from .own_scale import on_own_scale, with_level
from .statistics import MapStatistics
from .texture import TEXTURE_CHANNELS, TextureStem

TOKEN_GRID = (SLICES // 2, 8, 8)
TOKENS = TOKEN_GRID[0] * TOKEN_GRID[1] * TOKEN_GRID[2]
MAP_BIAS = (-3.0, -3.0, -4.0, -4.0, -2.0, -3.0)
"""Start of the auxiliary heads: lesions are rare, so training does not begin by unlearning them."""


class NetworkOutput(NamedTuple):
    """logit [n]; generated [n, 24, 128, 128] unclipped tissue HU; maps: name -> [n, 24, 32, 32]; map_logits
    [n, 6, 24, 32, 32] before their non-linearity; attention [n, 24, 32, 32]; pooled [n, token_dim] encoder feature;
    statistics [n, 26] of the maps, standardised; measures [n, 6] of severity as read, standardised; blood [n], the logit of
    blood being visible on the initial CT."""

    logit: Tensor
    generated: Tensor
    maps: Dict[str, Tensor]
    map_logits: Tensor
    attention: Tensor
    pooled: Tensor
    statistics: Tensor
    measures: Tensor
    blood: Tensor


class TinyNetwork(nn.Module):
    """HU volume [n, 24, 128, 128] on the model grid -> NetworkOutput. Values are clipped to [-1024, 3100] on entry."""

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        super().__init__()
        self.config = config
        w1, w2, w3 = config.widths
        d1, d2, d3 = config.decoder_widths
        dim = config.token_dim
        self.texture = TextureStem()
        self.stem = nn.Conv2d(len(WINDOWS_HU) * PATCH * PATCH + 3 + TEXTURE_CHANNELS, w1, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(w1)
        self.encode_4 = AnisotropicBlock(w1, w1)
        self.encode_8 = AnisotropicBlock(w1, w2, 2)
        self.encode_16 = AnisotropicBlock(w2, w3, 2)
        self.to_tokens = nn.Linear(2 * w3, dim)
        depth, height, width = TOKEN_GRID
        self.place_z = nn.Parameter(0.02 * torch.randn(1, depth, 1, 1, dim))
        self.place_y = nn.Parameter(0.02 * torch.randn(1, 1, height, 1, dim))
        self.place_x = nn.Parameter(0.02 * torch.randn(1, 1, 1, width, dim))
        self.encoder_blocks = nn.ModuleList(
            SelfAttentionBlock(dim, config.heads, config.density_bias)
            if config.self_attention
            else TokenConvolution(dim, TOKEN_GRID)
            for _ in range(config.blocks)
        )
        self.shared = nn.Linear(dim, dim)
        self.enter_generation = FeedForward(dim)
        self.enter_classification = FeedForward(dim)
        self.decoder_blocks = nn.ModuleList(
            InteractiveAttentionBlock(dim, config.heads, config.density_bias, config.interactive)
            for _ in range(config.blocks)
        )
        self.from_tokens = nn.Linear(dim, 2 * d3)
        self.decode_16 = AnisotropicBlock(d3 + w3, d3)
        self.decode_8 = AnisotropicBlock(d3 + w2, d2)
        self.decode_4 = AnisotropicBlock(d2 + w1, d1)
        self.generator = GatedWashoutHead(d1)
        self.map_head = nn.Conv2d(d1, len(MAP_NAMES), 3, padding=1)
        with torch.no_grad():
            self.map_head.bias.copy_(torch.tensor(MAP_BIAS))
        self.statistics = MapStatistics()
        self.classifier = ClassificationHead(config, TOKEN_GRID, d1)

    @property
    def last_shared_weight(self) -> Tensor:
        """The weights whose gradients GradNorm compares: the last layer that both tasks use."""
        return self.shared.weight

    def forward(self, image: Tensor) -> NetworkOutput:
        image, offset, own_level = on_own_scale(image.clamp(-1024.0, 3100.0), self.config.reference_hu)
        slices = image.reshape(-1, 1, MATRIX, MATRIX)
        prior, excess = hyperdensity(slices)
        prior_4, excess_4 = F.avg_pool2d(prior, 2), F.avg_pool2d(excess, 2)

        windows = torch.cat([window(slices, low, high) for low, high in WINDOWS_HU], 1)
        rough_4 = roughness(windows)
        seen = [space_to_depth(windows, PATCH, MATRIX), prior_4, excess_4 / 20, rough_4 / 10, self.texture(windows[:, :2])]
        x = torch.cat(seen, 1)
        x = x.contiguous(memory_format=torch.channels_last)
        x_4 = self.encode_4(F.relu(normalised(x, self.stem, self.stem_norm)))
        x_8 = self.encode_8(x_4)
        x_16 = self.encode_16(x_8)

        token_prior = self.token_prior(prior_4)
        tokens = self.tokens_from(x_16)
        encoder_inputs = []
        for block in self.encoder_blocks:
            encoder_inputs.append(tokens)
            tokens = block(tokens, token_prior)
        shared = self.shared(tokens)

        generation, classification = self.enter_generation(shared), self.enter_classification(shared)
        looked = None
        for block, x_sa in zip(self.decoder_blocks, encoder_inputs):
            generation, classification, looked = block(x_sa, generation, classification, token_prior)

        u = self.decode_16(torch.cat([self.slices_from(generation), x_16], 1))
        u = self.decode_8(torch.cat([enlarge(u), x_8], 1))
        u = self.decode_4(torch.cat([enlarge(u), x_4], 1))

        # float(): under bfloat16 autocast, amounts are still summed in full precision.
        map_logits = self.map_head(u).float().reshape(-1, SLICES, len(MAP_NAMES), MAP_MATRIX, MAP_MATRIX)
        maps = {name: activate(name, map_logits[:, :, index]) for index, name in enumerate(MAP_NAMES)}
        fine_prior = prior_4.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        fine_excess = excess_4.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        tissue = F.avg_pool2d((windows[:, :1].abs() < 1).to(image.dtype), PATCH)
        brain = brain_hu(windows).reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        rough = rough_4.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        statistics = self.statistics(maps, fine_prior, fine_excess, brain, rough)
        read = self.classifier(
            classification,
            looked,
            token_prior,
            u,
            statistics,
            tissue.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX),
        )
        generated = self.generator(image, u) - offset
        map_logits = map_logits.permute(0, 2, 1, 3, 4)
        return NetworkOutput(
            read.logit.float(), generated, maps, map_logits, read.attention, with_level(shared.mean(1), own_level), statistics, read.measures.float(),
            read.blood.float(),
        )

    def token_prior(self, prior_4: Tensor) -> Tensor:
        """The hyperdensity prior per token, [n * 24, 1, 32, 32] -> [n, tokens]: mean in the slice, higher of two."""
        depth, height, width = TOKEN_GRID
        cells = F.avg_pool2d(prior_4, MAP_MATRIX // height).reshape(-1, depth, SLICES // depth, height, width)
        return cells.amax(2).reshape(-1, TOKENS)

    def tokens_from(self, x: Tensor) -> Tensor:
        """[n * 24, c, 8, 8] -> [n, tokens, dim]: two neighbouring slices make a token; learned places are added."""
        depth, height, width = TOKEN_GRID
        channels = self.config.widths[2]
        pairs = x.reshape(-1, depth, 2, channels, height, width).permute(0, 1, 4, 5, 2, 3)
        tokens = self.to_tokens(pairs.reshape(-1, depth, height, width, 2 * channels))
        placed = tokens + self.place_z + self.place_y + self.place_x
        return placed.reshape(-1, TOKENS, self.config.token_dim)

    def slices_from(self, tokens: Tensor) -> Tensor:
        """[n, tokens, dim] -> [n * 24, c, 8, 8], the reverse of `tokens_from`."""
        depth, height, width = TOKEN_GRID
        channels = self.config.decoder_widths[2]
        pairs = self.from_tokens(tokens).reshape(-1, depth, height, width, 2, channels)
        return pairs.permute(0, 1, 4, 5, 2, 3).reshape(-1, channels, height, width)


def activate(name: str, logits: Tensor) -> Tensor:
    """A map of any shape in its unit: iodine and texture in HU (non-negative), everything else a fraction 0..1."""
    if name == "iodine":
        return F.softplus(logits) * 10
    if name == "texture":
        return F.softplus(logits) * 4
    return torch.sigmoid(logits)
