"""A hospital's pairs: scans of one moved head with a known misalignment, and everything that must not pass as a pair."""

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from hemocast_training.__main__ import main
from hemocast_training.bundle import MODEL_FILE, read_metadata
from hemocast_training.checkpoint import load_network
from hemocast_training.data import Cohort
from hemocast_training.follow_up_grid import follow_up_on_grid, read_at
from hemocast_training.head_series import read_head
from hemocast_training.network.generator import keep_outside_tissue
from hemocast_training.onnx_model import infer, open_session
from hemocast_training.registration import Rigid, register
from hemocast_training.site_export import phantom

from moved_heads import Head, Layout, Move, make_head, with_lesion, write_scan
from runtime import need_node, need_onnxruntime, need_simpleitk, need_test_data

SHIPPED = Path(__file__).resolve().parents[2] / "hemocast-tiny"
LATER = {"AcquisitionDate": "20250102"}
UNMOVED = Rigid(np.eye(3), np.zeros(3), np.zeros(3), 0.0, 1.0)
# Rotations about the patient's x, y, z axes in degrees, shifts in mm; other slices, tilt or storage than the initial scan.
MOVES = {
    "tilted": (Move((-6, 4, 2), (10, 5, -3)), Layout(tilt_deg=15, step_mm=6, offset_mm=(8, -5, 3))),
    "thin-mirrored": (Move((2, 6, -8), (-12, 20, 40)), Layout(step_mm=2.5, stored="mirrored", matrix=250, pixel_mm=0.9)),
    "large": (Move((14, -5, 12), (25, -40, 60)), Layout(tilt_deg=-12)),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One run of `prepare` over good and bad pairs: (folder of the cohort, lines of qa.csv by patient)."""
    need_simpleitk()
    maps = need_test_data("labelmaps_synthseg_heads")
    phantom = need_test_data("philips_skull_phantom_5mm")
    root = tmp_path_factory.mktemp("hospital")
    head, other = (make_head(maps / ("training_seg_%02d.nii.gz" % number)) for number in (13, 11))
    bled = with_lesion(head, 62.0, 20.0)
    stained = with_lesion(head, 75.0, 14.0)
    write_scan(root / "initial", stained, Layout(), seed=1)
    lines = []

    def pair(patient, follow_up, label="1", initial="initial"):
        lines.append([patient, initial, str(follow_up), label, "A"])

    for name, (move, layout) in MOVES.items():
        write_scan(root / ("initial-" + name), stained, Layout(), seed=1, PatientID=name)
        write_scan(root / name, bled, layout, move, seed=2, PatientID=name, **LATER)
        pair(name, name, label="0" if name == "large" else "1", initial="initial-" + name)
    write_scan(root / "turned-too-far", bled, Layout(), Move((22, -5, 12), (0, 10, 0)), **LATER)
    write_scan(root / "somebody-else", other, Layout(), **LATER)
    write_scan(root / "angiography", head, Layout(step_mm=7.5), SeriesDescription="CTA HEAD", **LATER)
    write_scan(root / "renamed", head, Layout(step_mm=7.5), **{**LATER, "PatientID": "Q"})
    for name in ("turned-too-far", "somebody-else", "angiography", "renamed"):
        pair(name, name)
    pair("no-label", "tilted", label="")
    pair("no-folder", "nowhere")
    write_scan(root / "day-before", head, Layout(step_mm=7.5), AcquisitionDate="20241231")
    pair("wrong-order", "day-before")
    pair("twice", "initial")
    pair("phantom", phantom)
    write_scan(root / "later-month", head, Layout(step_mm=7.5), AcquisitionDate="20250201")
    pair("later-month", "later-month")
    pair("blank", "", initial="")
    with open(root / "pairs.csv", "w", newline="") as file:
        csv.writer(file).writerows([["patient", "initial", "follow_up", "label", "site"], *lines])
    out = root / "cohort"
    assert main(["prepare", "--pairs", str(root / "pairs.csv"), "--out", str(out)]) == 0
    with open(out / "qa.csv", newline="") as file:
        return root, {line["patient"]: line for line in csv.DictReader(file)}


@pytest.mark.parametrize("name", MOVES)
def test_a_known_misalignment_is_recovered_within_one_millimetre_and_one_degree(prepared, name):
    import SimpleITK as sitk

    root, qa = prepared
    assert qa[name]["verdict"] == "used", qa[name]
    found = sitk.ReadTransform(str(root / "cohort" / qa[name]["picture"].replace(".png", ".tfm")))
    move = MOVES[name][0]
    # Everywhere in a head: a cube of 130 mm about its middle.
    points = np.array(np.meshgrid(*[np.linspace(-65, 65, 5)] * 3)).reshape(3, -1).T
    distance = np.linalg.norm([found.TransformPoint(p) for p in points.tolist()] - move.apply(points), axis=1)
    assert distance.max() < 1.0, distance.max()
    rotation = np.array([np.subtract(found.TransformPoint(p), found.TransformPoint([0.0] * 3)) for p in np.eye(3).tolist()]).T
    angle = np.rad2deg(np.arccos(np.clip((np.trace(rotation @ move.rotation.T) - 1) / 2, -1, 1)))
    assert angle < 1.0, angle
    assert float(qa[name]["skull_mm"]) < 0.5 < float(qa[name]["skull_before_mm"])


@pytest.mark.parametrize(
    "patient, code",
    [
        ("turned-too-far", "registration-rotation-too-large"),
        ("somebody-else", "skulls-do-not-match"),
        ("angiography", "contrast-enhanced"),
        ("renamed", "identity-conflict"),
        ("no-label", "label-not-0-or-1"),
        ("no-folder", "folder-missing"),
        ("wrong-order", "follow-up-not-later"),
        ("twice", "same-series"),
        ("later-month", "follow-up-too-late"),
        ("blank", "folder-not-named"),
    ],
)
def test_what_is_no_pair_is_left_out_by_name_and_the_others_go_on(prepared, patient, code):
    root, qa = prepared
    assert qa[patient]["verdict"] == code and qa[patient]["reason"]
    report = (root / "cohort" / "report.md").read_text()
    assert "| %s | `%s` |" % (patient, code) in report


def test_a_phantom_is_no_follow_up(prepared):
    assert prepared[1]["phantom"]["verdict"] in ("not-a-head", "hounsfield-implausible", "body-part-not-head")


def test_the_cohort_holds_the_registered_pairs_without_naming_a_patient(prepared):
    root, qa = prepared
    cohort = Cohort(root / "cohort")
    assert len(cohort) == 3 and cohort.simulated is False
    assert cohort.values("head").tolist() == [1, 2, 3] and cohort.values("label").tolist() == [1, 1, 0]
    note = json.loads((root / "cohort" / "cohort.json").read_text())
    assert (note["pairs"], note["patients"], note["bled"]) == (3, 3, 2)
    assert "tilted" not in (root / "cohort" / "cohort.json").read_text()
    assert "Research use only, not a medical device" in note["disclaimer"]
    initial = read_head(root / "initial-tilted")
    assert (cohort.initial[0] == np.rint(initial.image)).all()
    for index in range(3):
        inside, lesion = cohort.mask(index), (cohort.follow_up[index] > 52) & cohort.mask(index)
        change = np.abs(cohort.follow_up[index] - np.clip(initial.image, -20, 100))[inside]
        # Noise of both scans and the bigger lesion; a head half a slice away would differ by 6 HU and more.
        assert change.mean() < 5.0
        assert lesion.sum() * 0.01125 == pytest.approx(4 / 3 * np.pi * 2.0**3, rel=0.15)  # mL of a ball of 20 mm


def test_every_registered_pair_has_a_picture_the_used_and_the_left_out(prepared):
    root, qa = prepared
    for name in (*MOVES, "turned-too-far", "somebody-else"):
        assert (root / "cohort" / qa[name]["picture"]).stat().st_size > 50_000
    assert qa["angiography"]["picture"] == ""


def test_a_run_without_the_bad_lines_goes_on_in_the_same_folder_without_registering_again(prepared, tmp_path, monkeypatch):
    root, qa = prepared
    out = tmp_path / "cohort"
    shutil.copytree(root / "cohort", out)
    text = (root / "pairs.csv").read_text().splitlines()
    (root / "fewer.csv").write_text("\n".join(line for line in text if not line.startswith(("tilted,", "no-label,"))))
    monkeypatch.setattr("hemocast_training.prepare.register", lambda *_: pytest.fail("registered again"))
    assert main(["prepare", "--pairs", str(root / "fewer.csv"), "--out", str(out)]) == 0
    cohort, before = Cohort(out), Cohort(root / "cohort")
    assert len(cohort) == 2 and cohort.values("label").tolist() == [1, 0] and cohort.values("head").tolist() == [1, 2]
    assert (cohort.follow_up[0] == before.follow_up[1]).all() and (cohort.initial[1] == before.initial[2]).all()
    with open(out / "qa.csv", newline="") as file:
        now = {line["patient"]: {**line, "pair": qa[line["patient"]]["pair"]} for line in csv.DictReader(file)}
    assert now == {name: line for name, line in qa.items() if name not in ("tilted", "no-label")}
    assert not (out / qa["tilted"]["picture"]).exists() and (out / qa["large"]["picture"]).exists()


def test_three_commands_lead_from_moved_dicom_pairs_to_a_bundle_that_holds(prepared, tmp_path):
    """prepare, finetune from the shipped weights, export. Registering takes seconds a pair, so the three registered pairs
    stand for ten patients each, with noise of their own: enough to be fine-tuned on, and far too alike for any figure to mean something."""
    need_onnxruntime()
    root, _ = prepared
    with np.load(root / "cohort" / "shard-0000.npz") as shard:
        prepared_initial = shard["initial"][:1].astype(np.float32)  # all three pairs have the same
        arrays = {key: np.tile(shard[key], (10,) + (1,) * (shard[key].ndim - 1)) for key in shard}
    noise = np.random.default_rng(1).normal(0, 3, arrays["initial"].shape)
    arrays["initial"] = np.rint(arrays["initial"] + noise).astype(arrays["initial"].dtype)
    arrays["head"] = arrays["seed"] = np.arange(1, 31)
    site, run, bundle = tmp_path / "site", tmp_path / "run", tmp_path / "bundle"
    site.mkdir()
    np.savez(site / "shard-0000.npz", **arrays)
    assert main(["finetune", "--cohort", str(site), "--from", str(SHIPPED), "--out", str(run), "--minutes", "0.01"]) == 0
    assert main(["export", "--run", str(run), "--out", str(bundle), "--name", "st-moved", "--version", "1.0.0"]) == 0

    metadata, shipped = read_metadata(bundle), read_metadata(SHIPPED)  # which compares the files with their hashes
    assert "30 pairs of 30 patients" in metadata["disclaimer"]
    assert metadata["disclaimer"] in (bundle / "docs" / "README.md").read_text()
    start = metadata["training"]["start"]
    assert (start["name"], start["version"]) == (shipped["name"], shipped["version"])
    evaluation = json.loads((bundle / "evaluation.json").read_text())
    assert evaluation["cohort"]["folds"] == 5 and evaluation["cohort"]["bled"] == 20
    # What was registered goes through the graph as through the network it was made of.
    images = arrays["initial"][:3].astype(np.float32)
    served = infer(open_session(bundle / MODEL_FILE), images)
    with torch.no_grad():
        trained = load_network(run)[0](torch.from_numpy(images))
        drawn = keep_outside_tissue(torch.from_numpy(images), trained.generated).numpy()
    assert served["logit"] == pytest.approx(trained.logit.numpy(), abs=1e-3)
    assert np.abs(served["follow_up"] - drawn).max() < 0.1
    # It began as the shipped network, which is sure that this head bleeds, and has learned that a third of them did not.
    before = infer(open_session(SHIPPED / MODEL_FILE), images)["logit"]
    assert (before - 3 < served["logit"]).all() and (served["logit"] < before - 0.05).all() and (before > 4).all()
    calibration = metadata["calibration"]
    cooled = served["logit"] / calibration["temperature"] + calibration["bias"]
    assert served["probability"] == pytest.approx(1 / (1 + np.exp(-cooled)), abs=1e-5)
    golden = json.loads((bundle / "golden" / "golden.json").read_text())["start_check"]
    assert infer(open_session(bundle / MODEL_FILE), phantom()[None])["logit"][0] == pytest.approx(golden["logit"], abs=1e-3)

    # The service takes it, and reads the DICOM files of a registered pair as `prepare` did.
    environment = {**os.environ, "MODEL_BUNDLE": str(bundle)}
    words = [need_node(), "api/cli.ts", "predict", str(root / "initial-large"), "--out", str(tmp_path / "read")]
    done = subprocess.run(words, cwd=SHIPPED.parents[1], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = json.loads((tmp_path / "read" / "prediction.json").read_text())
    assert read["disclaimer"] == metadata["disclaimer"]
    assert read["prediction"]["score"] == pytest.approx(float(infer(open_session(bundle / MODEL_FILE), prepared_initial)["logit"][0]), abs=0.02)


def test_a_real_head_in_its_holder_is_found_again_within_one_millimetre(tmp_path):
    need_simpleitk()
    initial = read_head(need_test_data("ge_hispeed_head_tilt"))
    millimetres = np.stack(np.meshgrid(*[np.arange(-100.0, 101.0)] * 3, indexing="ij")[::-1], axis=-1)  # [z, y, x, (x, y, z)]
    points = (millimetres + initial.center_in_patient) @ initial.series.axes.T
    head = Head(read_at(initial.series.volume, points), np.array([100.0, 100.0, 100.0]))
    move = Move((-9, 5, 8), (-20, 30, -40))
    write_scan(tmp_path, head, Layout(step_mm=4.5), move, **LATER)
    rigid = register(initial, read_head(tmp_path))
    inside = np.array(np.meshgrid(*[np.linspace(-60, 60, 5)] * 3)).reshape(3, -1).T
    found = rigid.to_follow_up(inside + initial.center_in_patient)
    assert np.linalg.norm(found - move.apply(inside), axis=1).max() < 1.0
    assert rigid.similarity > 0.9


def test_an_unmoved_follow_up_is_read_as_serving_reads_it():
    head = read_head(need_test_data("ge_hispeed_head_tilt"))  # real, tilted by 18.5 degrees, uneven slice distances
    read = follow_up_on_grid(head, head, UNMOVED)
    brain = (head.image > 0) & (head.image < 80)
    assert np.abs(read - head.image)[brain].mean() < 1.0
