"""The gated-washout head: the follow-up CT as the initial CT, corrected.

follow_up = initial - washout * excess + shift + detail, and optionally less noise. Iodine that washes out is taken away
in proportion to what is there (excess over grey matter, at full resolution), edema and blood are added; anatomy comes
from the input, softened at most to its 3 x 3 mean where the gate takes noise away. Bone and what lies near it above 100 HU,
and everything outside -20..150 HU, are returned unchanged. The head is ours (the paper's decoder draws the picture itself).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MAP_MATRIX, MATRIX, PATCH, SLICES

TISSUE_HU = (-20.0, 150.0)
"""The range the generator may change: CSF, brain, contrast and blood; not fat, air, bone or metal."""

BRIGHTEST_BESIDE_BONE_HU = 100.0
BONE_HU = 200.0
"""From 100 to 150 HU dense contrast and the partial volume of bone look alike: within 3 mm of bone (or a slice above or below
it) nothing above 100 HU is changed."""

WASHOUT, SHIFT, DENOISE = 0, 1, 2


class GatedWashoutHead(nn.Module):
    """Turns decoder features into a follow-up CT; zero-initialised, so that training starts at "half washed out"."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(channels, 3, 3, padding=1)
        self.detail = nn.Conv2d(channels, PATCH * PATCH, 3, padding=1)
        for layer in (self.gates, self.detail):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        """image [n, 24, 128, 128] HU, features [n * 24, c, 32, 32] -> generated tissue HU [n, 24, 128, 128].

        The result is meaningful where the image lies in TISSUE_HU and is not yet clipped: `keep_outside_tissue` does
        both for the output, while the loss keeps its gradient beyond the ends.
        """
        slices = image.reshape(-1, 1, MATRIX, MATRIX)
        smooth = F.avg_pool2d(slices.clamp(*TISSUE_HU), 3, 1, 1, count_include_pad=False)
        excess = (torch.sigmoid((smooth - 44) / 3) * (smooth - 36)).clamp(min=0.0)
        gates = F.interpolate(self.gates(features), scale_factor=float(PATCH), mode="bilinear", align_corners=False)
        tissue = slices.clamp(*TISSUE_HU)
        washed_out = torch.sigmoid(4 * gates[:, WASHOUT : WASHOUT + 1]) * excess
        shift = 20 * gates[:, SHIFT : SHIFT + 1]
        noise = tissue - smooth
        denoised = torch.sigmoid(4 * gates[:, DENOISE : DENOISE + 1] - 1) * noise
        generated = tissue - washed_out + shift + 40 * depth_to_space(self.detail(features)) - denoised
        return generated.reshape(-1, SLICES, MATRIX, MATRIX)


def depth_to_space(x: Tensor) -> Tensor:
    """[m, 16, 32, 32] -> [m, 1, 128, 128], the inverse of the stem's patches (Shi et al. 2016, arXiv 1609.05158), with constant shapes."""
    x = x.reshape(-1, PATCH, PATCH, MAP_MATRIX, MAP_MATRIX)
    return x.permute(0, 3, 1, 4, 2).reshape(-1, 1, MATRIX, MATRIX)


def keep_outside_tissue(image: Tensor, generated: Tensor) -> Tensor:
    """The follow-up CT as delivered: clipped tissue where the image is tissue, elsewhere (bone, air) the image.

    image, generated: HU [n, 24, 128, 128] -> the same shape.
    """
    low, high = TISSUE_HU
    bone = (image > BONE_HU).to(image.dtype)
    nothing = bone[:, :1] * 0
    bone = torch.maximum(bone, torch.maximum(torch.cat([nothing, bone[:, :-1]], 1), torch.cat([bone[:, 1:], nothing], 1)))
    beside = F.max_pool2d(bone, 5, 1, 2)
    tissue = (image >= low) & (image <= high - (high - BRIGHTEST_BESIDE_BONE_HU) * beside)
    return torch.where(tissue, generated.clamp(low, high), image)
