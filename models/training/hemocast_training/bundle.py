"""Writes and checks the files of a bundle (docs/bundle.md): the only thing that serving takes from training."""

import datetime
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Optional

from . import DISCLAIMER
from .calibrate import LEVEL, Calibration
from .checkpoint import WEIGHTS_FILE
from .network.config import MAP_MATRIX, MATRIX, SLICES
from .network.generator import TISSUE_HU

MODEL_FILE = "models/model.onnx"
METADATA_FILE = "configs/metadata.json"
EVALUATION_FILE = "evaluation.json"
LICENSE_TEXT = Path("/usr/share/common-licenses/Apache-2.0")
HU_RANGE = (-1024, 3100)
REFUSED_AT = 3.0
"""A scan this many times as far out as the threshold of the flag is refused: what is no brain (noise, air, water, a belly) lies
beyond it; below lie the one real head at hand and simulated heads of shifted cohorts (60 to 300 of each looked at). With 0.5.0, which read
scans as they are, a tenth of those whose HU are off by 6 lay beyond, with 0.6.0 none. A flag alone would leave those a number."""

INTENDED_USE = (
    "Research on the prediction of intracranial hemorrhage within 72 h after stroke thrombectomy from the first "
    "non-contrast head CT. Not for diagnosis, triage or treatment of patients."
)


def seeds_in_words(training: Dict[str, Any]) -> str:
    """"seed 6", or the seeds of the runs whose mean the network is."""
    seeds = [part["seed"] for part in training.get("average_of") or []]
    return f"mean of the runs with seeds {' and '.join(map(str, seeds))}" if seeds else f"seed {training['seed']}"


def write_metadata(
    bundle: Path,
    name: str,
    version: str,
    calibration: Calibration,
    ood_threshold: float,
    training: Dict[str, Any],
    disclaimer: str = DISCLAIMER,
    training_data: Optional[str] = None,
) -> Dict[str, Any]:
    """Writes configs/metadata.json for the model.onnx that lies in the bundle; returns its content.

    `training`: cases, heads, minutes, pairs_seen, parameters, seed of the run, for the description and the card.
    `disclaimer` and `training_data` say what a network was trained on that did not learn from simulated pairs alone.
    """
    files = [file for file in (MODEL_FILE, WEIGHTS_FILE) if file == MODEL_FILE or (bundle / file).exists()]
    volume = [1, SLICES, MATRIX, MATRIX]
    metadata = {
        "name": name,
        "version": version,
        "created": datetime.date.today().isoformat(),
        "disclaimer": disclaimer,
        "description": (
            "Dual-task network (probability of hemorrhage and generated follow-up CT): shared encoder with "
            "density-aware self-attention, interactive attention between the decoders; "
            f"{training['parameters']:,} parameters.{scale_in_words(training['network'])}"
        ),
        "intended_use": INTENDED_USE,
        "training_data": training_data
        or (
            f"{training['cases']} simulated pairs on {len(training['heads'])} head anatomies (SynthSeg label maps), no "
            f"patient data; {training['minutes']:.0f} minutes on one {training['device']} "
            f"({training['pairs_seen']} pairs seen, {seeds_in_words(training)}). {training.get('note', '')}".rstrip()
        ),
        "license": "Apache-2.0",
        "files": {file: describe_file(bundle / file) for file in files},
        "network_data_format": {
            "inputs": {
                "image": {
                    "dtype": "float32",
                    "shape": volume,
                    "unit": "HU",
                    "spacing_mm": [5, 1.5, 1.5],
                    "pad_hu": -1024,
                    "centering": "calvarium-v1",
                    "axes": "SPL",
                }
            },
            "outputs": {
                "logit": output([1], "1", None),
                "probability": output([1], "1", [0, 1]),
                "follow_up": output(volume, "HU", list(HU_RANGE)),
                "attention": output([1, SLICES, MAP_MATRIX, MAP_MATRIX], "1", [0, 1]),
                "ood_score": output([1], "1", [0, None]),
            },
        },
        "calibration": {
            "method": "temperature and bias",
            "temperature": calibration.temperature,
            "bias": calibration.bias,
            "prevalence": calibration.prevalence,
            "interval": {"level": LEVEL, "method": calibration.method, "affine": calibration.affine},
            "figures": calibration.figures,
        },
        "ood": {
            "threshold": ood_threshold,
            "quantile": 0.99,
            "action": "flag",
            "refuse_above": round(REFUSED_AT * ood_threshold, 4),
        },
        "follow_up_range_hu": list(HU_RANGE),
        "editable_range_hu": list(TISSUE_HU),
        "training": training,
    }
    write_json(bundle / METADATA_FILE, metadata)
    return metadata


def scale_in_words(network: Dict[str, Any]) -> str:
    """Of a network that reads scans on their brain's own scale (network/own_scale.py), what that is; nothing of another."""
    level = network.get("reference_hu")
    return "" if level is None else f" Before it reads a scan, an offset brings the commonest HU of its brain to {level}."


def output(shape: list, unit: str, limits: Any) -> Dict[str, Any]:
    """One entry of network_data_format.outputs; a limit of null is open."""
    return {"dtype": "float32", "shape": shape, "unit": unit, "range": limits}


def describe_file(path: Path) -> Dict[str, Any]:
    """SHA-256 and size, as the service checks them before it loads the file."""
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}


def read_metadata(bundle: Path) -> Dict[str, Any]:
    """configs/metadata.json; FileNotFoundError where there is no bundle, ValueError where a file's hash differs."""
    path = Path(bundle) / METADATA_FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: export a run into this folder first.")
    metadata = json.loads(path.read_text())
    for name, expected in metadata["files"].items():
        if describe_file(Path(bundle) / name)["sha256"] != expected["sha256"]:
            raise ValueError(f"{bundle}/{name} is not the file that metadata.json describes: export the bundle again.")
    return metadata


def write_license(bundle: Path) -> None:
    """LICENSE: the Apache-2.0 text of the system, unless the bundle has it already."""
    if not (bundle / "LICENSE").exists():
        if not LICENSE_TEXT.exists():
            raise FileNotFoundError(f"{LICENSE_TEXT} does not exist: put the Apache-2.0 text at {bundle}/LICENSE.")
        shutil.copyfile(LICENSE_TEXT, bundle / "LICENSE")


def write_json(path: Path, content: Any) -> None:
    """Readable JSON with a final newline; lists of numbers stay on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(compact_lists(json.dumps(content, indent=2, ensure_ascii=False)) + "\n")


def compact_lists(text: str) -> str:
    """Joins JSON lists that hold only numbers and null (or one level of such lists) onto single lines."""
    flat = re.compile(r"\[\s*((?:-?\d[-+.\deE]*|null)(?:,\s*(?:-?\d[-+.\deE]*|null))*)\s*\]")
    return flat.sub(lambda found: "[" + re.sub(r"\s+", " ", found.group(1)) + "]", text)
