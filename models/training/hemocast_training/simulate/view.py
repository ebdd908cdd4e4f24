"""One head on one stack of image planes: everything that both scans share is read here, once."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from ..anatomy import CHANNELS
from .geometry import HeadInScanner, Planes
from .lesions import Lesions

STILL_MM = 0.05  # tissue that moves less than this is not read anew


class View:
    """One head on one stack of planes: what does not change between the scans, read once.

    Outside the skull nothing happens, so lesions are computed only at the `count` points inside (about a third of all):
    tissue [3, 1, 1, count] mm, depth [1, 1, count] mm below the inner table, posterior [1, 1, count] mm towards the table
    (what settles lies there: the patient is scanned on the back), anatomy and textures there.
    """

    def __init__(self, scanner: HeadInScanner, lesions: Lesions, planes: Planes):
        tissue = scanner.tissue_on(planes)
        self.planes, self._scanner = planes, scanner
        # First on every second row and column, then exactly where that comes near the brain.
        coarse = (scanner.surroundings_at(tissue[:, :, ::2, ::2])[0] > 0.0).float()
        near = F.interpolate(F.max_pool2d(coarse, 3, 1, 1)[None], size=planes.shape[1:], mode="nearest")[0] > 0.0
        index = near.reshape(-1).nonzero()[:, 0]
        tissue = tissue.reshape(3, -1)
        depth = scanner.surroundings_at(tissue[:, index].view(3, 1, 1, -1))[0].reshape(-1)
        inside = depth > 0.0
        self._index = index[inside]
        self.tissue = tissue[:, self._index].view(3, 1, 1, -1)
        self.depth = depth[inside].view(1, 1, -1)
        rows = torch.from_numpy(planes.y.astype(np.float32)).to(tissue.device)
        self.posterior = rows[self._index // planes.shape[2] % planes.shape[1]].view(1, 1, -1)
        self._maps = scanner.maps_at(self.tissue)
        self._near_ventricle = scanner.surroundings_at(self.tissue)[1]
        self.patches, self.grain = lesions.textures(self.tissue)
        outside = torch.ones(tissue.shape[1], dtype=torch.bool, device=tissue.device)
        outside[self._index] = False
        outside = outside.nonzero()[:, 0]
        there = tissue[:, outside]
        self._outside = torch.zeros(tissue.shape[1], device=tissue.device)
        self._outside[outside] = lesions.bone(there, scanner.hounsfield_at(there.view(3, 1, 1, -1)).view(-1))

    @property
    def point_ml(self) -> float:
        """Volume that one point stands for."""
        step = [float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in (self.planes.z, self.planes.y, self.planes.x)]
        return float(np.prod(step)) / 1000.0

    def anatomy_at(self, points: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Anatomy maps by name and closeness to the ventricles at displaced tissue points; read anew only where they moved."""
        moved = ((points - self.tissue).abs().amax(0) > STILL_MM).reshape(-1).nonzero()[:, 0]
        maps, near = self._maps, self._near_ventricle
        if moved.numel():
            there = points[..., moved]
            maps, near = maps.clone(), near.clone()
            maps[..., moved] = self._scanner.maps_at(there)
            near[..., moved] = self._scanner.surroundings_at(there)[1]
        return dict(zip(CHANNELS, maps)), near

    def spread(self, values: torch.Tensor, with_outside: bool = False) -> torch.Tensor:
        """Values [1, 1, count] put back on the planes and averaged over sub-slices; outside the skull HU, or 0."""
        full = self._outside.clone() if with_outside else torch.zeros_like(self._outside)
        full.index_copy_(0, self._index, values.reshape(-1))
        return self.planes.mean_over_slices(full.view(self.planes.shape))
