"""`base`: the dual-task network of the published architecture figure (Jiang et al. 2024, arXiv 2408.00940).

A Video-Swin encoder of three stages, a bottleneck, and two decoders of the same sizes whose attention maps are computed
once, from the encoder. Here the input has 24 slices of 5 mm, so a patch is 2 x 4 x 4 voxels (10 x 6 x 6 mm).

| part | tokens | channels | windows |
| --- | --- | --- | --- |
| patch embedding, stage 1 | 12 x 32 x 32 | C = 32 | 4 x 8 x 8 |
| stage 2 | 12 x 16 x 16 | 2C | 4 x 8 x 8 |
| stage 3 | 12 x 8 x 8 | 4C | 4 x 4 x 4 |
| bottleneck | 12 x 4 x 4 | 8C | 4 x 4 x 4 |

Not in the figure, shared with `tiny`: fixed HU windows, the texture stem, the gated-washout head, auxiliary maps and their
statistics in the class head, the density bias. Assumed where the figure is silent: a decoder stage joins the encoder's output of its
resolution by a linear layer; a block is one Swin pair, regular and shifted windows, in every encoder stage ("x2" is read as these two halves)
and in the bottleneck ("x1" is read as one such pair). A decoder stage expands before its blocks, where the figure expands after them: the
sizes of streams, skips and maps then agree without a cut.
"""

from typing import List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import TokenConvolution
from .classifier import ClassificationHead
from .config import MAP_MATRIX, MAP_NAMES, MATRIX, PATCH, SLICES, NetworkConfig
from .density import WINDOWS_HU, brain_hu, hyperdensity, roughness, space_to_depth, window
from .generator import GatedWashoutHead
from .own_scale import on_own_scale, with_level
from .statistics import MapStatistics
from .swin import Grid, InteractiveWindowBlock, Windows, WindowSelfAttentionBlock
from .texture import TEXTURE_CHANNELS, TextureStem
from .tiny import MAP_BIAS, NetworkOutput, activate

DEPTH = SLICES // 2
GRIDS: Tuple[Grid, ...] = tuple((DEPTH, MAP_MATRIX >> stage, MAP_MATRIX >> stage) for stage in range(4))
WINDOWS: Tuple[Grid, ...] = ((4, 8, 8), (4, 8, 8), (4, 4, 4), (4, 4, 4))
PATCH_VALUES = 2 * (len(WINDOWS_HU) * PATCH * PATCH + 3 + TEXTURE_CHANNELS)


class Embedded(NamedTuple):
    """tokens [n, 12 * 32 * 32, C]; priors of the four grids [n, tokens]; prior, excess, tissue, brain HU
    and roughness [n, 24, 32, 32]."""

    tokens: Tensor
    priors: List[Tensor]
    prior: Tensor
    excess: Tensor
    tissue: Tensor
    brain: Tensor
    rough: Tensor


class EncoderStage(nn.Module):
    """A T1 pair: x [n, tokens, dim], prior [n, tokens] in 0..1 -> its output [n, tokens, dim] and the inputs of its two halves, the x_SA of
    the decoders."""

    def __init__(self, stage: int, dim: int, heads: int, config: NetworkConfig) -> None:
        super().__init__()
        self.halves = nn.ModuleList(
            WindowSelfAttentionBlock(dim, heads, Windows(GRIDS[stage], WINDOWS[stage], shifted), config.density_bias)
            if config.self_attention
            else TokenConvolution(dim, GRIDS[stage])
            for shifted in (False, True)
        )

    def forward(self, x: Tensor, prior: Tensor) -> Tuple[Tensor, List[Tensor]]:
        inputs = []
        for half in self.halves:
            inputs.append(x)
            x = half(x, prior)
        return x, inputs


class PatchMerging(nn.Module):
    """Four in-plane neighbours -> LN -> Linear (Swin); [n, d * h * w, c] -> [n, d * h/2 * w/2, 2c]."""

    def __init__(self, grid: Grid, dim: int) -> None:
        super().__init__()
        self.grid, self.dim = grid, dim
        self.norm = nn.LayerNorm(4 * dim)
        self.reduce = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        depth, height, width = self.grid
        x = x.reshape(-1, depth, height // 2, 2, width // 2, 2, self.dim).permute(0, 1, 2, 4, 3, 5, 6)
        return self.reduce(self.norm(x.reshape(-1, depth * height * width // 4, 4 * self.dim))).float()


class DecoderStage(nn.Module):
    """Patch expanding and joining for both streams, then a T2 pair over x_SA of the same resolution."""

    def __init__(self, stage: int, dim: int, heads: int, config: NetworkConfig) -> None:
        super().__init__()
        self.grid, self.dim = GRIDS[stage], dim
        self.expand = nn.ModuleList(nn.Linear(2 * dim, 4 * dim) for _ in range(2))
        self.join = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in range(2))
        self.halves = nn.ModuleList(
            InteractiveWindowBlock(
                dim, heads, Windows(GRIDS[stage], WINDOWS[stage], shifted), config.density_bias, config.interactive
            )
            for shifted in (False, True)
        )

    def forward(
        self, streams: Tuple[Tensor, Tensor], skip: Tensor, x_sa: List[Tensor], prior: Tensor
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """streams [n, tokens / 4, 2 dim] each, skip and x_sa [n, tokens, dim], prior [n, tokens] -> both streams
        [n, tokens, dim] and the last map the classification used."""
        larger = [self.enlarge(expand(x)) for expand, x in zip(self.expand, streams)]
        generation, classification = (join(torch.cat([x, skip], 2)).float() for join, x in zip(self.join, larger))
        looked = None
        for half, source in zip(self.halves, x_sa):
            generation, classification, looked = half(source, generation, classification, prior)
        return generation, classification, looked

    def enlarge(self, x: Tensor) -> Tensor:
        """[n, tokens / 4, 4 dim] -> [n, tokens, dim]: a token becomes its four in-plane neighbours."""
        depth, height, width = self.grid
        x = x.reshape(-1, depth, height // 2, width // 2, 2, 2, self.dim).permute(0, 1, 2, 4, 3, 5, 6)
        return x.reshape(-1, depth * height * width, self.dim)


class BaseNetwork(nn.Module):
    """HU volume [n, 24, 128, 128] on the model grid -> NetworkOutput; the same contract as `tiny`.

    `config.widths` are C, 2C, 4C; `config.heads` are those of stage 1 and double with the channels; `token_dim` is 4C, the
    stage whose tokens the class head pools. Under bfloat16 autocast the residual streams stay float32: hence float().
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        first = config.widths[0]
        if tuple(config.widths) != (first, 2 * first, 4 * first) or config.token_dim != 4 * first:
            raise ValueError(f"base needs widths C, 2C, 4C and token_dim 4C, not {config.widths}, {config.token_dim}.")
        self.config = config
        dims = [first << stage for stage in range(4)]
        heads = [config.heads << stage for stage in range(4)]
        self.texture = TextureStem()
        self.embed = nn.Linear(PATCH_VALUES, first)
        self.embed_norm = nn.LayerNorm(first)
        self.encoder = nn.ModuleList(EncoderStage(stage, dims[stage], heads[stage], config) for stage in range(3))
        self.merge = nn.ModuleList(PatchMerging(GRIDS[stage], dims[stage]) for stage in range(3))
        self.bottleneck = EncoderStage(3, dims[3], heads[3], config)
        self.shared = nn.Linear(dims[3], dims[3])
        self.decoder = nn.ModuleList(DecoderStage(stage, dims[stage], heads[stage], config) for stage in (2, 1, 0))
        self.to_image = nn.Linear(first, 2 * first)
        self.to_class = nn.Linear(first, 2 * first)
        self.generator = GatedWashoutHead(first)
        self.map_head = nn.Conv2d(first, len(MAP_NAMES), 3, padding=1)
        with torch.no_grad():
            self.map_head.bias.copy_(torch.tensor(MAP_BIAS))
        self.statistics = MapStatistics()
        self.classifier = ClassificationHead(config, GRIDS[2], first)

    @property
    def last_shared_weight(self) -> Tensor:
        """The weights whose gradients GradNorm compares: the layer after the bottleneck, before the decoders part."""
        return self.shared.weight

    def forward(self, image: Tensor) -> NetworkOutput:
        image, offset, own_level = on_own_scale(image.clamp(-1024.0, 3100.0), self.config.reference_hu)
        seen = self.look(image)
        x, skips, sources = seen.tokens, [], []
        for stage, merge, prior in zip(self.encoder, self.merge, seen.priors):
            x, inputs = stage(x, prior)
            skips.append(x)
            sources.append(inputs)
            x = merge(x)
        x, _ = self.bottleneck(x, seen.priors[3])
        shared = self.shared(x).float()

        streams, tokens, token_map = (shared, shared), None, None
        for stage, level in zip(self.decoder, (2, 1, 0)):
            generation, classification, looked = stage(streams, skips[level], sources[level], seen.priors[level])
            streams = (generation, classification)
            if level == 2:
                tokens, token_map = classification, stage.halves[1].map.windows.whole(looked)

        u, v = self.slices_from(self.to_image(streams[0])), self.slices_from(self.to_class(streams[1]))
        # float(): under bfloat16 autocast, amounts are still summed in full precision.
        map_logits = self.map_head(u).float().reshape(-1, SLICES, len(MAP_NAMES), MAP_MATRIX, MAP_MATRIX)
        maps = {name: activate(name, map_logits[:, :, index]) for index, name in enumerate(MAP_NAMES)}
        statistics = self.statistics(maps, seen.prior, seen.excess, seen.brain, seen.rough)
        read = self.classifier(tokens, token_map, seen.priors[2], v, statistics, seen.tissue)
        return NetworkOutput(
            read.logit.float(),
            self.generator(image, u) - offset,
            maps,
            map_logits.permute(0, 2, 1, 3, 4),
            read.attention,
            with_level(shared.mean(1), own_level),
            statistics,
            read.measures.float(),
            read.blood.float(),
        )

    def look(self, image: Tensor) -> Embedded:
        """Patch partition and linear embedding; the hyperdensity prior at every resolution (a coarse cell: the highest)."""
        slices = image.reshape(-1, 1, MATRIX, MATRIX)
        prior, excess = (F.avg_pool2d(x, 2) for x in hyperdensity(slices))
        windows = torch.cat([window(slices, low, high) for low, high in WINDOWS_HU], 1)
        rough = roughness(windows)
        x = torch.cat([space_to_depth(windows, PATCH, MATRIX), prior, excess / 20, rough / 10, self.texture(windows[:, :2])], 1)
        x = x.reshape(-1, DEPTH, PATCH_VALUES, MAP_MATRIX, MAP_MATRIX).permute(0, 1, 3, 4, 2)
        tokens = self.embed_norm(self.embed(x.reshape(-1, DEPTH * MAP_MATRIX * MAP_MATRIX, PATCH_VALUES)).float())

        fine = (-1, SLICES, MAP_MATRIX, MAP_MATRIX)
        cells = prior.reshape(-1, DEPTH, 2, MAP_MATRIX, MAP_MATRIX).amax(2)
        priors = []
        for depth, height, width in GRIDS:
            priors.append(cells.reshape(-1, depth * height * width))
            cells = F.max_pool2d(cells, 2)
        tissue = F.avg_pool2d((windows[:, :1].abs() < 1).to(image.dtype), PATCH)
        brain = brain_hu(windows).reshape(fine)
        return Embedded(tokens, priors, prior.reshape(fine), excess.reshape(fine), tissue.reshape(fine), brain, rough.reshape(fine))

    def slices_from(self, tokens: Tensor) -> Tensor:
        """[n, 12 * 32 * 32, 2c] -> [n * 24, c, 32, 32]: a token becomes its two slices."""
        channels = self.config.widths[0]
        pairs = tokens.reshape(-1, DEPTH, MAP_MATRIX, MAP_MATRIX, 2, channels)
        return pairs.permute(0, 1, 4, 5, 2, 3).reshape(-1, channels, MAP_MATRIX, MAP_MATRIX)
