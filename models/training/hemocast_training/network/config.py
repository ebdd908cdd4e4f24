"""Sizes and ablation flags of the network, in one value that travels with every checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional

SLICES = 24
"""Slices of the model grid (5 mm apart, inferior to superior)."""

MATRIX = 128
"""Rows and columns of the model grid (1.5 mm)."""

PATCH = 4
"""In-plane patch of the stem: the network works at 1/4 resolution (6 mm) and below."""

MAP_MATRIX = MATRIX // PATCH
"""Rows and columns of the auxiliary maps and of the attention output."""

MAP_NAMES = ("iodine", "texture", "blood_initial", "blood_follow_up", "infarct", "lentiform")
"""The auxiliary maps in channel order: two in HU (iodine, its local standard deviation), four as fractions 0..1."""


MEASURE_COUNT = 6
"""Standardised measures of visible severity that the classification head learns to read (simulate/severity.py)."""


@dataclass(frozen=True)
class NetworkConfig:
    """Everything needed to rebuild a network before its weights are loaded.

    The flags are the ablations of the paper's relative claims:
    - `self_attention`: density-aware self-attention in the encoder, or a convolution over the same tokens.
    - `interactive`: one attention map for both decoders, or one of its own for each.
    - `density_bias`: attention keys are favoured by a soft prior of high density, or not.
    - `classification_statistics`: the classification head also reads statistics of the predicted maps.
    `reference_hu` is the level of density that every brain is brought to before it is read (own_scale.py), None to read scans as they are.
    `decoder_widths` and `blocks` belong to `tiny`; `base` derives its decoders and its depth from `widths`.
    """

    widths: tuple = (32, 48, 96)
    decoder_widths: tuple = (32, 48, 64)
    token_dim: int = 96
    heads: int = 3
    blocks: int = 2
    dropout: float = 0.2
    self_attention: bool = True
    interactive: bool = True
    density_bias: bool = True
    classification_statistics: bool = True
    name: str = "tiny"
    reference_hu: Optional[float] = None

    def to_json(self) -> Dict[str, Any]:
        """Plain values for config.json and checkpoints."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @staticmethod
    def from_json(values: Dict[str, Any]) -> "NetworkConfig":
        """The inverse of `to_json`; an unknown key raises TypeError, so that an old run is never half understood."""
        return NetworkConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


NETWORKS = ("tiny", "base")


def preset(name: str, **flags: bool) -> NetworkConfig:
    """The standard sizes of a network by name, with ablation flags; ValueError for an unknown name."""
    if name == "tiny":
        return NetworkConfig(**flags)
    if name == "base":
        return NetworkConfig(name="base", widths=(32, 64, 128), token_dim=128, heads=2, **flags)
    raise ValueError(f"unknown network {name!r}: {' or '.join(NETWORKS)}.")
