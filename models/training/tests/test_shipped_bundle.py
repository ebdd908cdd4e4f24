"""The bundle in the repository: it is what its metadata says, it does what its golden vectors say, it beats chance."""

import gzip
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from hemocast_training.aims import judged_aims
from hemocast_training.bundle import MODEL_FILE, read_metadata
from hemocast_training.dicom_io import read_series
from hemocast_training.head_grid import to_model_grid
from hemocast_training.onnx_model import infer, open_session
from hemocast_training.resample import resampling_weights

from runtime import need_onnxruntime, need_test_data

MISSED = {"gapAccuracy", "ece", "phVolumeErrorRatio", "independentRuns"}
BUNDLE = Path(__file__).resolve().parents[2] / "hemocast-tiny"


@pytest.fixture(scope="module")
def golden():
    return json.loads((BUNDLE / "golden" / "golden.json").read_text())


@pytest.fixture(scope="module")
def evaluation():
    return json.loads((BUNDLE / "evaluation.json").read_text())


def test_every_weight_file_has_the_hash_and_size_of_the_metadata():
    metadata = read_metadata(BUNDLE)
    assert metadata["disclaimer"] == "Research use only, trained on simulated data, not a medical device."
    assert metadata["files"][MODEL_FILE]["bytes"] == (BUNDLE / MODEL_FILE).stat().st_size <= 5_000_000


def test_on_heads_it_never_saw_it_is_better_than_chance_and_says_how_far_from_the_ceiling(evaluation):
    figures = evaluation["classification"]
    assert figures["hemocast"]["auc"]["low"] > 0.5
    assert figures["ceiling"]["auc"]["value"] > figures["hemocast"]["auc"]["value"]
    assert evaluation["cohort"]["cases"] >= 200
    assert not set(evaluation["cohort"]["heads"]) & set(read_metadata(BUNDLE)["training"]["heads"])


def test_it_says_which_aims_it_misses_and_what_those_would_take(evaluation):
    assert evaluation["inDistribution"]["n"] >= 1000 and len(evaluation["shifted"]) >= 7
    verdicts = {aim["key"]: aim["verdict"] for aim in evaluation["aims"]}
    assert {key for key, verdict in verdicts.items() if verdict == "missed"} <= MISSED and "not measured" not in verdicts.values()
    would_take = json.loads((BUNDLE.parent / "training" / "docs" / "aims.json").read_text())
    assert evaluation["aims"] == judged_aims(evaluation, read_metadata(BUNDLE)["training"], would_take)
    assert all("wouldTake" in aim for aim in evaluation["aims"] if aim["verdict"] != "met")


def test_the_evaluation_and_the_card_belong_to_this_very_model(evaluation):
    metadata = read_metadata(BUNDLE)
    assert evaluation["bundle"]["sha256"] == metadata["files"][MODEL_FILE]["sha256"]
    card = (BUNDLE / "docs" / "README.md").read_text()
    assert metadata["files"][MODEL_FILE]["sha256"] in card
    assert f"{evaluation['classification']['hemocast']['auc']['value']:.3f}" in card
    assert metadata["disclaimer"] in card


def test_the_start_check_is_met(golden):
    need_onnxruntime()
    packed = (BUNDLE / "golden" / golden["start_check"]["input"]).read_bytes()
    image = np.frombuffer(gzip.decompress(packed), "<i2").reshape(1, 24, 128, 128).astype(np.float32)
    outputs = infer(open_session(BUNDLE / MODEL_FILE), image)
    assert outputs["logit"][0] == pytest.approx(golden["start_check"]["logit"], abs=golden["tolerance"]["logit"])
    flat = outputs["follow_up"][0].ravel()
    for index, hu in golden["start_check"]["follow_up"]["samples"]:
        assert flat[index] == pytest.approx(hu, abs=golden["tolerance"]["follow_up_hu"])


def test_golden_weights_are_those_of_the_resampler(golden):
    for case in golden["weights"]:
        weights = resampling_weights(np.array(case["positions"]), np.array(case["outputs"]), case["spacing"])
        assert np.allclose(weights, np.array(case["weights"]), atol=golden["tolerance"]["weight"], rtol=0)


def test_there_are_dicom_cases_straight_and_tilted(golden):
    assert len(golden["dicom"]) >= 2
    root = BUNDLE.parents[1]
    for case in golden["dicom"]:
        assert (root / case["folder"]).is_dir()
        assert 0 < case["probability"] < 1 and len(case["center_mm"]) == 3


def test_what_is_no_brain_is_refused_and_a_phantom_of_a_skull_is_flagged(tmp_path):
    need_onnxruntime()
    session, limits = open_session(BUNDLE / MODEL_FILE), read_metadata(BUNDLE)["ood"]
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128] - 63.5
    distance = np.hypot(rows, columns)
    water = np.where(distance < 60, 0.0, -1000.0)
    skull = np.where(distance < 55, 36.0, np.where(distance < 60, 1000.0, -1000.0))
    volumes = {
        "noise": random.normal(36, 10, (24, 128, 128)),
        "air": np.full((24, 128, 128), -1024.0),
        "water": water + random.normal(0, 4, (24, 128, 128)),
        "an even brain": skull + random.normal(0, 4, (24, 128, 128)),
    }
    for folder in ("philips_skull_phantom_5mm", "abdomen_ct_3slice_ge"):
        volumes[folder] = middle_of(read_series(need_test_data(folder)).volume)
    volumes["chest"] = middle_of(read_series(repeated_slice(need_test_data("wg04_ct1_chest_all_ts") / "CT1_UNC.dcm", tmp_path)).volume)
    for name, volume in volumes.items():
        limit = limits["threshold" if name == "philips_skull_phantom_5mm" else "refuse_above"]
        assert infer(session, volume.astype(np.float32)[None])["ood_score"][0] > limit, name


def repeated_slice(path: Path, folder: Path) -> Path:
    """A series of thirty copies of one CT slice, 5 mm apart: the test data hold a single slice of a chest."""
    image = pydicom.dcmread(path)
    x, y, z = image.ImagePositionPatient
    for index in range(30):
        image.ImagePositionPatient = [x, y, z + 5 * index]
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        image.save_as(folder / f"{index}.dcm")
    return folder


def middle_of(volume) -> np.ndarray:
    """A series on the model grid, centred on its own middle: no head is looked for."""
    middle = len(volume.z) // 2
    _, rows, columns = volume.hu.shape
    center = (volume.x[middle] + volume.dx * columns / 2, volume.y[middle] + volume.dy * rows / 2, float(volume.z.mean()))
    return to_model_grid(volume, center)
