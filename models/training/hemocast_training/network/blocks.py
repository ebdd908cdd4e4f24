"""Building blocks for anisotropic CT: 5 mm between slices, 1.5 mm within them.

Convolutions within slices and across them are apart as in Qiu et al. 2017 (arXiv 1711.10305), residual as in He et al. 2016
(arXiv 1512.03385); taps across slices that begin as the identity are ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SLICES


def normalised(x: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """norm(convolution(x)), [m, c_in, h, w] -> [m, c_out, h / stride, w / stride]; in a training that keeps the running statistics (`norm` in eval mode, `convolution` not) as one
    convolution: the same gradients without two passes over the largest tensors."""
    if norm.training or not convolution.training:
        return norm(convolution(x))
    gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
    kernel = convolution.weight * gain[:, None, None, None]
    return F.conv2d(x, kernel, norm.bias - norm.running_mean * gain, convolution.stride, convolution.padding)


class SliceMixing(nn.Module):
    """Depthwise convolution with three taps across neighbouring slices, zero beyond the ends.

    [n * 24, c, h, w] -> the same shape. Written as shifted multiply-adds on channels-last memory: on one CPU core that
    is several times faster than a depthwise Conv3d and exports to plain operators. Starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.zeros(channels, 3)
        taps[:, 1] = 1.0
        self.taps = nn.Parameter(taps)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        height, width = int(x.shape[2]), int(x.shape[3])
        volume = x.permute(0, 2, 3, 1).reshape(-1, SLICES, height, width, self.channels)
        nothing = volume[:, :1] * 0
        taps = self.taps.to(x.dtype)
        below = torch.cat([nothing, volume[:, :-1]], 1)
        above = torch.cat([volume[:, 1:], nothing], 1)
        mixed = below * taps[:, 0] + volume * taps[:, 1] + above * taps[:, 2]
        return mixed.reshape(-1, height, width, self.channels).permute(0, 3, 1, 2)


class AnisotropicBlock(nn.Module):
    """Residual block: 3x3 convolution in the slice, mixing across slices, 3x3 convolution in the slice.

    [n * 24, c_in, h, w] -> [n * 24, c_out, h / stride, w / stride].
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.enter_norm = nn.BatchNorm2d(channels_out)
        self.across = SliceMixing(channels_out)
        self.leave = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.leave_norm = nn.BatchNorm2d(channels_out)
        same = channels_in == channels_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(normalised(x, self.enter, self.enter_norm))
        y = normalised(self.across(y), self.leave, self.leave_norm)
        return F.relu(y + self.shortcut(x))


class FeedForward(nn.Module):
    """Pre-norm residual MLP of a transformer block (Xiong et al. 2020, arXiv 2002.04745), x + MLP(LN x); [n, tokens, d] -> the same shape."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 2 * dim)
        self.narrow = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.relu(self.widen(self.norm(x))))


def enlarge(x: Tensor) -> Tensor:
    """Doubles rows and columns by repetition, [m, c, h, w] -> [m, c, 2 h, 2 w]; a constant scale keeps traced shapes out of the exported graph."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
