"""How steady the forecast of one scan is: the same series again, changed as scanners and pillows may, or as no reader would notice.

`python3 -m hemocast_training steadiness --bundle BUNDLE FOLDER ...`. A forecast that moves with these says little about the patient.
"""

import argparse
import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np

from .bundle import MODEL_FILE, read_metadata
from .dicom_io import read_series
from .evaluate import named_folder
from .head_grid import PlaneVolume, to_model_grid
from .onnx_model import infer, open_session

AIR_HU = -1024.0
NOISE_HU = 5.0


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`steadiness`: the forecasts of series and of their slightly changed copies."""
    parser = subparsers.add_parser("steadiness", help="forecasts of a CT and of its slightly changed copies", description=__doc__)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--json", help="file for the figures, which `evaluate --steadiness` takes up into the model card")
    parser.add_argument("series", nargs="+", metavar="NAME=DIR", help="what to call a series, and the folder of its DICOM files")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints a table for each series; 0 on success."""
    bundle, folders = Path(arguments.bundle), dict(named_folder(text, "scan=api/sandbox/patients/lindqvist-maja/ct") for text in arguments.series)
    metadata, session = read_metadata(bundle), open_session(bundle / MODEL_FILE)
    found = {}
    for name, folder in folders.items():
        found[name] = forecasts(session, read_series(Path(folder)).volume)
        print(f"{name}: flagged above {metadata['ood']['threshold']}, refused above {metadata['ood'].get('refuse_above', 'nothing')}")
        for change, figures in found[name].items():
            print(f"  {change:24} probability {figures['probability']:.3f}   out of distribution {figures['ood_score']:.2f}")
    if arguments.json:
        network = {**{key: metadata[key] for key in ("name", "version")}, "sha256": metadata["files"][MODEL_FILE]["sha256"]}
        figures = {"disclaimer": metadata["disclaimer"], "date": datetime.date.today().isoformat(), "bundle": network, "series": found}
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")
    print(metadata["disclaimer"])
    return 0


def forecasts(session: Any, volume: PlaneVolume) -> Dict[str, Dict[str, float]]:
    """probability and ood_score of the series under every change, by the name of the change."""
    found = {}
    for name, change in CHANGES.items():
        outputs = infer(session, to_model_grid(change(volume))[None].astype(np.float32))
        found[name] = {key: round(float(outputs[key][0]), 4) for key in ("probability", "ood_score")}
    return found


def higher(volume: PlaneVolume, hu: float) -> PlaneVolume:
    """All but air outside of the scan denser by `hu`: AAPM TG-66 lets water be 5 HU off 0."""
    return replace(volume, hu=np.where(volume.hu > AIR_HU, volume.hu + hu, volume.hu).astype(np.float32))


def larger(volume: PlaneVolume, factor: float) -> PlaneVolume:
    """The head larger in its planes."""
    return replace(volume, dx=volume.dx * factor, dy=volume.dy * factor)


def turned(volume: PlaneVolume, degrees: float) -> PlaneVolume:
    """The head turned in its planes, between pixels by linear interpolation, which takes some noise away as well."""
    from scipy import ndimage

    return replace(volume, hu=ndimage.rotate(volume.hu, degrees, axes=(1, 2), reshape=False, order=1, cval=AIR_HU))


def noisier(volume: PlaneVolume) -> PlaneVolume:
    """White noise of NOISE_HU more in every native pixel; the same at every call."""
    noise = np.random.default_rng(0).normal(0, NOISE_HU, volume.hu.shape)
    return replace(volume, hu=(volume.hu + noise).astype(np.float32))


CHANGES: Dict[str, Callable[[PlaneVolume], PlaneVolume]] = {
    "as it is": lambda volume: volume,
    "4 HU lower": lambda volume: higher(volume, -4.0),
    "4 HU higher": lambda volume: higher(volume, 4.0),
    "mirrored": lambda volume: replace(volume, hu=volume.hu[:, :, ::-1]),
    "turned 10 degrees": lambda volume: turned(volume, 10.0),
    "turned 10 degrees back": lambda volume: turned(volume, -10.0),
    "6 % smaller": lambda volume: larger(volume, 0.94),
    "6 % larger": lambda volume: larger(volume, 1.06),
    "noise of 5 HU more": noisier,
}
