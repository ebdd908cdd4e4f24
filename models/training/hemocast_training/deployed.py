"""The network as it is served: calibration, clipping and the out-of-distribution score inside the graph."""

from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn

from .network import TinyNetwork
from .network.generator import keep_outside_tissue

OUTPUTS = ("logit", "probability", "follow_up", "attention", "ood_score")
SHRINKAGE = 0.1
"""Weight of the isotropic part in the covariance of the pooled feature (Ledoit and Wolf's form, fixed weight)."""


class FeatureCloud:
    """Mean and regularised precision of the pooled encoder feature over the training cases."""

    def __init__(self, features: np.ndarray) -> None:
        """features [cases, d]; ValueError with fewer than two cases."""
        if len(features) < 2:
            raise ValueError("The out-of-distribution score needs at least two training cases: simulate more.")
        features = np.asarray(features, np.float64)
        self.mean = features.mean(0)
        covariance = np.cov(features, rowvar=False)
        dimension = covariance.shape[0]
        isotropic = np.eye(dimension) * max(np.trace(covariance) / dimension, 1e-9)
        self.precision = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * isotropic)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """The out-of-distribution score of features [cases, d], as the graph computes it: [cases]."""
        away = features - self.mean
        return np.sqrt(np.maximum(((away @ self.precision) * away).mean(1), 0))


class DeployedNetwork(nn.Module):
    """image [n, 24, 128, 128] HU -> the outputs of the bundle's graph.

    logit [n], probability [n], follow_up [n, 24, 128, 128] HU, attention [n, 24, 32, 32], ood_score [n] (Mahalanobis
    distance by the regularised covariance, root mean square over dimensions: below 1 for most training cases).
    """

    def __init__(self, network: TinyNetwork, temperature: float, cloud: FeatureCloud, bias: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("inverse_temperature", torch.tensor(1 / temperature, dtype=torch.float32))
        self.register_buffer("bias", torch.tensor(bias, dtype=torch.float32))
        self.register_buffer("mean", torch.from_numpy(cloud.mean).float())
        self.register_buffer("precision", torch.from_numpy(cloud.precision).float())

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        image = image.clamp(-1024.0, 3100.0)
        output = self.network(image)
        probability = torch.sigmoid(output.logit * self.inverse_temperature + self.bias)
        away = output.pooled - self.mean
        squared = ((away @ self.precision) * away).mean(1)
        follow_up = keep_outside_tissue(image, output.generated)
        return output.logit, probability, follow_up, output.attention, torch.sqrt(squared.clamp(min=0.0))
