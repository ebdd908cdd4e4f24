"""What the network sees of the Hounsfield scale: fixed windows and a soft prior of hyperdensity, both inside the graph.

Per-image intensity rescaling would destroy the meaning of HU, so the three windows are constants. The prior stands for the paper's
attention to high-density areas (Jiang et al. 2024); its form, and the roughness, are ours.
"""

from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import MAP_MATRIX, SLICES

WINDOWS_HU = ((0.0, 80.0), (-50.0, 200.0), (-1000.0, 1500.0))
"""Brain, subdural/soft tissue and whole-scale windows, as (lower, upper) in HU."""

BONE_HU = 200.0
HYPERDENSE_HU = 47.0
"""Half-way point of the prior: above grey matter (37-39 HU), below clotted blood (56-80 HU)."""

BRIGHTEST_TISSUE_HU = 140.0
"""Above this, bone, metal or calcification is likelier than blood or iodine in brain tissue."""


def window(hu: Tensor, low: float, high: float) -> Tensor:
    """HU clipped to [low, high] and scaled to [-1, 1]; any shape."""
    centre, half_width = (low + high) / 2, (high - low) / 2
    return (hu.clamp(low, high) - centre) / half_width


def brain_hu(windows: Tensor) -> Tensor:
    """Mean HU of each 4 x 4 cell within the brain window, 0..80: windows [m, 3, 128, 128] scaled as by `window`, the brain's
    first -> [m, 1, 32, 32]."""
    low, high = WINDOWS_HU[0]
    return F.avg_pool2d(windows[:, :1], 4) * ((high - low) / 2) + (low + high) / 2


def roughness(windows: Tensor) -> Tensor:
    """Local SD in HU of each 4 x 4 cell above the scan's own noise, 0 where a cell touches bone or air: windows
    [n * 24, 3, 128, 128] scaled as by `window`, the soft-tissue one second -> [n * 24, 1, 32, 32].

    The noise variance is the geometric mean over the volume's plain brain cells (25..45 HU), which sulci hardly move. Lumpy
    contrast and even blood differ in this alone, and a stem that is linear in the voxels cannot form it.
    """
    low, high = WINDOWS_HU[1]
    hu = windows[:, 1:2] * ((high - low) / 2) + (low + high) / 2
    tissue = (F.avg_pool2d((windows[:, 1:2].abs() < 1).to(hu.dtype), 4) > 0.99).to(hu.dtype)
    mean = F.avg_pool2d(hu, 4)
    variance = (F.avg_pool2d(hu * hu, 4) - mean * mean).clamp(min=0.25)
    plain = tissue * ((mean - 35).abs() < 10).to(hu.dtype)

    def of_volume(x: Tensor) -> Tensor:
        return x.reshape(-1, SLICES * MAP_MATRIX * MAP_MATRIX).sum(1)

    noise = torch.exp(of_volume(torch.log(variance) * plain) / (of_volume(plain) + 1))
    above = variance.reshape(-1, SLICES, MAP_MATRIX, MAP_MATRIX) - noise.reshape(-1, 1, 1, 1)
    return torch.sqrt(above.clamp(min=0.0) + 1e-4).reshape(-1, 1, MAP_MATRIX, MAP_MATRIX) * tissue


def space_to_depth(x: Tensor, block: int, size: int) -> Tensor:
    """[m, c, size, size] -> [m, c * block^2, size / block, size / block].

    Written with constants only: torch's own pixel_unshuffle records traced shapes in the exported graph.
    """
    channels, cells = int(x.shape[1]), size // block
    x = x.reshape(-1, channels, cells, block, cells, block)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(-1, channels * block * block, cells, cells)


def hyperdensity(slices: Tensor) -> Tuple[Tensor, Tensor]:
    """Soft hyperdensity prior at half resolution, skull and its partial-volume rim left out.

    slices: [m, 1, h, w] HU. Returns (prior, excess), both [m, 1, h/2, w/2]: the prior in 0..1, the excess in HU above
    45 (at most 100). The prior is a hint (attention bias, pooling bias), never a decision: it is smooth and can be
    overruled by what is learned.
    """
    bone = (F.max_pool2d(slices, 3, 2, 1) > BONE_HU).to(slices.dtype)
    open_to_blood = 1 - F.max_pool2d(bone, 5, 1, 2)
    # count_include_pad=False: ONNX Runtime 1.19 fuses the zero padding of the other form wrongly at the image border.
    smooth = F.avg_pool2d(slices.clamp(-1000.0, 1500.0), 4, 2, 1, count_include_pad=False)
    prior = torch.sigmoid((smooth - HYPERDENSE_HU) / 3) * torch.sigmoid((BRIGHTEST_TISSUE_HU - smooth) / 10)
    excess = (smooth - 45).clamp(0.0, 100.0)
    return prior * open_to_blood, excess * open_to_blood
