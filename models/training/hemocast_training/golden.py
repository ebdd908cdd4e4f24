"""Golden vectors: the trainer's own inputs and outputs, which the service reproduces (docs/bundle.md, golden.json).

`python3 -m hemocast_training golden --bundle DIR --cohort DIR --repository ROOT` rewrites golden/ of a bundle.
"""

import argparse
import gzip
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from .bundle import MODEL_FILE, read_metadata, write_json
from .data import Cohort
from .onnx_model import infer, open_session
from .resample import resampling_weights

TOLERANCE = {
    "weight": 1e-12, "resampled_hu": 0.02, "logit": 1e-3, "probability": 1e-4, "ood_score": 1e-3, "follow_up_hu": 0.05, "attention": 1e-5,
}
SAMPLES = 200
SAMPLE_SEED = 20
START_INPUT = "input-00.i16.gz"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """`golden`: the vectors that the service must reproduce."""
    parser = subparsers.add_parser("golden", help="write the golden vectors of a bundle", description=__doc__)
    parser.add_argument("--bundle", required=True, help="bundle folder with model and metadata")
    parser.add_argument("--cohort", required=True, help="cohort folder; the start check takes one of its cases")
    parser.add_argument("--repository", default="../..", help="repository root, for the DICOM cases")
    parser.add_argument("--dicom", nargs="*", default=[], help="CT folders, relative to the repository root")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes golden/ and says what it holds."""
    cohort = Cohort(arguments.cohort, limit=50).require(1)
    golden = write_golden(Path(arguments.bundle), cohort, Path(arguments.repository), arguments.dicom)
    print(f"{arguments.bundle}/golden: {len(golden['weights'])} weight cases, {len(golden['dicom'])} DICOM cases.")
    return 0


def write_golden(bundle: Path, cohort: Cohort, repository: Path, dicom_folders: Sequence[str]) -> Dict[str, Any]:
    """The vectors of a bundle of simulated cases: the start check takes the cohort's first case with hyperdensity."""
    visible = np.flatnonzero(cohort.values("group") > 0)
    return write_golden_of(bundle, cohort.initial[int(visible[0]) if len(visible) else 0], repository, dicom_folders)


def write_golden_of(bundle: Path, image: np.ndarray, repository: Path, dicom_folders: Sequence[str]) -> Dict[str, Any]:
    """Computes every vector with the bundle's own model.onnx; writes golden.json and the start check's input `image`
    ([24, 128, 128], whole HU)."""
    read_metadata(bundle)
    session = open_session(bundle / MODEL_FILE)
    golden = {
        "tolerance": TOLERANCE,
        "weights": weight_cases(),
        "start_check": start_check(bundle, session, image),
        "dicom": [dicom_case(session, repository, folder) for folder in dicom_folders],
    }
    write_json(bundle / "golden" / "golden.json", golden)
    return golden


def weight_cases() -> List[Dict[str, Any]]:
    """Dense weight rows for the situations the formula tells apart; positions and spacing in mm."""
    cases = [
        ("thin samples averaged as thick ones", np.arange(12) * 0.45, np.arange(5) * 1.5 - 1.0, 1.5),
        ("coarse samples interpolated", np.arange(6) * 5.0, np.linspace(-4, 28, 9), 1.5),
        ("equal grids", np.arange(5) * 1.5, np.arange(5) * 1.5, 1.5),
        ("uneven slices, 4 mm then 7 mm", [0, 4, 8, 12, 19, 26, 33], np.arange(8) * 5.0 - 2, 5.0),
        ("beyond both ends", [0, 2, 4], [-3.0, -1.0, -0.5, 4.5, 5.0, 7.5], 5.0),
        ("two samples", [10.0, 13.5], [9.0, 10.0, 11.7, 14.0], 1.0),
    ]
    found = []
    for purpose, positions, outputs, spacing in cases:
        positions, outputs = np.asarray(positions, float), np.asarray(outputs, float)
        weights = resampling_weights(positions, outputs, spacing)
        found.append(
            {
                "purpose": purpose,
                "positions": positions.tolist(),
                "outputs": outputs.tolist(),
                "spacing": spacing,
                "weights": weights.tolist(),
            }
        )
    return found


def start_check(bundle: Path, session, image: np.ndarray) -> Dict[str, Any]:
    """The case run by the service at start, as a gzipped int16 volume."""
    (bundle / "golden").mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(image.astype("<i2").tobytes(), 9, mtime=0)
    (bundle / "golden" / START_INPUT).write_bytes(packed)
    return {"input": START_INPUT, **expected_outputs(session, image[None].astype(np.float32))}


def dicom_case(session, repository: Path, folder: str) -> Dict[str, Any]:
    """From the files of a CT series to the outputs, through this package's own reader and grid."""
    from .dicom_io import read_series
    from .head_grid import calvarium_center, to_model_grid

    volume = read_series(repository / folder).volume
    center = calvarium_center(volume)
    image = to_model_grid(volume, center)
    return {
        "folder": folder,
        "center_mm": [float(value) for value in center],
        "image": summarize(image),
        **expected_outputs(session, image[None]),
    }


def expected_outputs(session, image: np.ndarray) -> Dict[str, Any]:
    """The five outputs for one float32 volume [1, 24, 128, 128]."""
    outputs = infer(session, image)
    return {
        "logit": float(outputs["logit"][0]),
        "probability": float(outputs["probability"][0]),
        "ood_score": float(outputs["ood_score"][0]),
        "follow_up": summarize(outputs["follow_up"][0]),
        "attention": summarize_attention(outputs["attention"][0]),
    }


def summarize(volume: np.ndarray) -> Dict[str, Any]:
    """Mean and population standard deviation in float64, and 200 voxels [flat index, HU] at fixed random places.

    Half of the places are drawn among voxels of -20..150 HU, where the generator works.
    """
    flat = np.asarray(volume, np.float64).ravel()
    rng = np.random.default_rng(SAMPLE_SEED)
    tissue = np.flatnonzero((flat > -20) & (flat < 150))
    anywhere = rng.integers(0, flat.size, SAMPLES // 2)
    inside = rng.choice(tissue, SAMPLES // 2) if tissue.size else anywhere
    places = np.unique(np.concatenate([anywhere, inside]))
    samples = [[int(place), round(float(flat[place]), 4)] for place in places]
    return {"mean": float(flat.mean()), "sd": float(flat.std()), "samples": samples}


def summarize_attention(weights: np.ndarray) -> Dict[str, Any]:
    """As `summarize`, of weights that sum to 1: the 100 largest and 100 anywhere."""
    flat = np.asarray(weights, np.float64).ravel()
    anywhere = np.random.default_rng(SAMPLE_SEED).integers(0, flat.size, SAMPLES // 2)
    places = np.unique(np.concatenate([anywhere, np.argsort(flat)[-SAMPLES // 2 :]]))
    samples = [[int(place), float(np.float32(flat[place]))] for place in places]
    return {"mean": float(flat.mean()), "sd": float(flat.std()), "samples": samples}
