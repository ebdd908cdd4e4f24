"""What a stem that is linear in 4 x 4 patches cannot see: texture at full resolution.

Lumpy contrast, even blood and noise differ in their local variation. A rectified convolution forms an amount of variation,
which strides then gather; after the patches are linearly embedded, it is lost. Convolutions before the tokens as in Xiao et al. 2021
(arXiv 2106.14881); that they stand beside the patches, not in their place, is ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import normalised

TEXTURE_CHANNELS = 24
FIRST, SECOND = 12, 16


class TextureStem(nn.Module):
    """Two windows of the image, [m, 2, 128, 128] scaled as by `density.window` -> [m, 24, 32, 32], in three convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, FIRST, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(FIRST)
        self.second = nn.Conv2d(FIRST, SECOND, 3, 2, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(SECOND)
        self.third = nn.Conv2d(SECOND, TEXTURE_CHANNELS, 3, 2, 1, bias=False)
        self.third_norm = nn.BatchNorm2d(TEXTURE_CHANNELS)

    def forward(self, windows: Tensor) -> Tensor:
        # Channels last: batch normalisation of few channels over many pixels took nearly half of a GPU's time otherwise.
        x = windows.contiguous(memory_format=torch.channels_last)
        x = F.relu(normalised(x, self.first, self.first_norm))
        x = F.relu(normalised(x, self.second, self.second_norm))
        return F.relu(normalised(x, self.third, self.third_norm))
