"""card.json: the model card for machines, written from the same metadata and evaluation as docs/README.md."""

from pathlib import Path
from typing import Any, Dict, List

from .bundle import write_json
from .card_attributes import source_attributes
from .card_claim import claim
from .card_tripod import tripod_ai

CARD_FILE = "card.json"


def checklists(metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> Dict[str, List[Dict[str, str]]]:
    """The records of card.json that docs/README.md shows as tables."""
    return {
        "sourceAttributes": source_attributes(metadata, evaluation),
        "tripodAi": tripod_ai(metadata, evaluation),
        "claim": claim(metadata, evaluation),
    }


def write_card_json(bundle: Path, metadata: Dict[str, Any], evaluation: Dict[str, Any]) -> None:
    """Writes card.json of the bundle."""
    keys = ("aims", "inDistribution", "ceiling", "baselines", "shifted", "ablations", "networks", "conditional", "steadiness")
    card = {
        **{key: metadata[key] for key in ("name", "version", "created", "disclaimer", "description", "intended_use")},
        "files": metadata["files"],
        "license": metadata["license"],
        "evaluated": evaluation["date"],
        **checklists(metadata, evaluation),
        "figures": {key: evaluation[key] for key in keys},
    }
    write_json(bundle / CARD_FILE, card)
