"""How steady a forecast is: the changed copies of a scan are what they are called, and their forecasts are told."""

import json
from pathlib import Path

import numpy as np
import pytest

from hemocast_training.__main__ import main
from hemocast_training.dicom_io import read_series
from hemocast_training.head_grid import to_model_grid
from hemocast_training.steadiness import CHANGES

from runtime import need_onnxruntime

MODELS = Path(__file__).resolve().parents[2]
SCAN = MODELS.parent / "api" / "sandbox" / "patients" / "lindqvist-maja" / "ct"


@pytest.fixture(scope="module")
def volume():
    return read_series(SCAN).volume


def test_each_copy_of_a_scan_is_the_scan_with_that_change(volume):
    grids = {name: to_model_grid(change(volume)) for name, change in CHANGES.items()}
    plain = grids["as it is"]
    head = np.abs(plain - 30) < 30
    assert np.median((grids["4 HU higher"] - plain)[head]) == pytest.approx(4, abs=0.01)
    assert np.median((grids["4 HU lower"] - plain)[head]) == pytest.approx(-4, abs=0.01)
    bone = {name: (grid > 300).sum() for name, grid in grids.items()}
    assert bone["6 % smaller"] < bone["as it is"] < bone["6 % larger"]
    assert bone["mirrored"] == pytest.approx(bone["as it is"], rel=0.02)
    assert (grids["noise of 5 HU more"] - plain)[head].std() > 1
    for name, grid in grids.items():
        assert (name == "as it is") == np.array_equal(grid, plain), name


def test_the_forecasts_of_a_scan_and_its_copies_are_printed_and_kept(tmp_path, capsys):
    need_onnxruntime()
    bundle, kept = MODELS / "hemocast-tiny", tmp_path / "steadiness.json"
    assert main(["steadiness", "--bundle", str(bundle), "--json", str(kept), f"lindqvist={SCAN}"]) == 0
    figures = json.loads(kept.read_text())["series"]["lindqvist"]
    golden = json.loads((bundle / "golden" / "golden.json").read_text())["dicom"]
    own = next(case for case in golden if "lindqvist" in case["folder"])
    assert figures["as it is"]["probability"] == pytest.approx(own["probability"], abs=1e-3)
    assert set(figures) == set(CHANGES)
    shown = capsys.readouterr().out
    assert all(f"{name} " in shown for name in CHANGES) and "not a medical device" in shown
