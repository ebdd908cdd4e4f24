"""The scan on its own scale: the brain's own level of density brought to the one that the network was taught with.

Scanners differ by several HU (AAPM TG-66 lets water be 5 HU off 0). The patient's own brain says what is dense in this scan, as the other
side does for a reader. It is an offset: differences in HU keep their meaning. In the simulator only gain and offset of the scanner move a
brain's level (SD 1.1 HU); how far healthy brains of patients lie apart was not measured.
"""

from typing import Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import MATRIX

TISSUE_HU = (-30.0, 120.0)
"""What counts as inside of the skull, two pixels and more away from everything else."""

WIDTHS_HU = (16.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5)
"""Of the kernel, from the mean over all of the tissue to its commonest value."""

FARTHEST_HU = 12.0
"""No offset is larger: what lies farther off is no brain, or no HU, and is told by the out-of-distribution score."""


def brain_level(image: Tensor) -> Tensor:
    """[n, 24, 128, 128] HU -> [n, 1], the commonest HU of 3 x 3 means of soft tissue away from skull and air, by a mean shift whose
    kernel narrows (Comaniciu and Meer 2002); 0 where there is no such tissue."""
    slices = image.reshape(-1, 1, MATRIX, MATRIX)
    smooth = F.avg_pool2d(slices.clamp(-100.0, 200.0), 3, 1, 1, count_include_pad=False)
    outside = ((slices <= TISSUE_HU[0]) | (slices >= TISSUE_HU[1])).to(image.dtype)
    tissue = (1 - F.max_pool2d(outside, 5, 1, 2)).reshape(image.shape[0], -1)
    hu = smooth.reshape(image.shape[0], -1)
    level = (hu * tissue).sum(1, keepdim=True) / (tissue.sum(1, keepdim=True) + 1e-6)
    for width in WIDTHS_HU:
        near = tissue * torch.exp(-0.5 * ((hu - level) / width) ** 2)
        level = (hu * near).sum(1, keepdim=True) / (near.sum(1, keepdim=True) + 1e-6)
    return level


def on_own_scale(image: Tensor, reference_hu: Optional[float]) -> Tuple[Tensor, Union[Tensor, float], Optional[Tensor]]:
    """(image, offset, level): image [n, 24, 128, 128] HU with its brain at `reference_hu`, the offset [n, 1, 1, 1] that was added to
    all but air, and the level [n, 1] that was found. Without a reference the image as it is, 0 and None."""
    if reference_hu is None:
        return image, 0.0, None
    level = brain_level(image)
    offset = (reference_hu - level).clamp(-FARTHEST_HU, FARTHEST_HU).reshape(-1, 1, 1, 1)
    return torch.where(image > -1000, image + offset, image), offset, level


def with_level(pooled: Tensor, level: Optional[Tensor]) -> Tensor:
    """pooled [n, d] with the level beside it, for the out-of-distribution score: what was brought nearer still counts as far."""
    return pooled if level is None else torch.cat([pooled, level], 1)
