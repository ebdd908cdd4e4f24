"""The simulator on a real head's anatomy: one seed is one patient, and the acceptance notices when its physics breaks."""

import dataclasses

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from hemocast_training import montage
from hemocast_training.__main__ import build_parser
from hemocast_training.acceptance import describe, seeds_by_head
from hemocast_training.acceptance_cases import NOISE_EVERY, as_table, measure_case, native_noise
from hemocast_training.acceptance_targets import check_cohort, information
from hemocast_training.anatomy import CHANNELS, load_head
from hemocast_training.head_grid import GRID_SPACING_MM
from hemocast_training.simulate import pair as pair_module
from hemocast_training.simulate.cohort import Recipe, case_head, case_seed, simulate_cohort
from hemocast_training.simulate.geometry import HeadInScanner, Planes, displace, draw_pose, rotation
from hemocast_training.simulate.lesions import Tissue
from hemocast_training.simulate.pair import GridScan, SimulatedCase, simulate_pair
from hemocast_training.simulate.patient import BLOOD, NONE, STAIN, draw_patient
from hemocast_training.simulate.scanner import draw_protocol
from hemocast_training.simulate.severity import B, severity
from hemocast_training.simulate.shifts import SHIFTS

from runtime import need_test_data

HEAD = 1
MAPS = ("initial", "follow_up", "iodine", "blood_initial", "blood_follow_up", "infarct", "ganglia")


@pytest.fixture(scope="module")
def anatomy():
    return need_test_data("labelmaps_synthseg_heads")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("anatomy")


@pytest.fixture(scope="module")
def head(anatomy, cache):
    torch.set_num_threads(1)
    return load_head(anatomy, HEAD, cache)


def test_a_head_is_built_with_left_and_right_in_place_and_tissue_at_its_density(head):
    left, right = head.landmarks["lentiform_left"], head.landmarks["lentiform_right"]
    assert 15 < left[2] < 32 and -32 < right[2] < -15 and abs(left[0] - right[0]) < 5
    hu, white = head.maps[0].astype(np.float32), head.maps[3]
    assert np.median(hu[white > 0.99]) == pytest.approx(30.0, abs=1.0)
    assert np.median(hu[head.maps[2] > 0.99]) == pytest.approx(37.5, abs=1.5)
    assert np.median(hu[hu > 800]) == pytest.approx(1100, abs=150)
    assert hu.min() == -1000


def test_the_same_seed_is_the_same_patient_bit_for_bit_whoever_was_simulated_before(head):
    first, _ = simulate_pair(head, 41)
    other, _ = simulate_pair(head, 42)
    again, _ = simulate_pair(head, 41)
    for name in MAPS:
        assert first[name].shape == (24, 128, 128) and first[name].dtype == np.float32
        assert np.array_equal(first[name], again[name]), name
    assert repr(first["outcome"]) == repr(again["outcome"]) and first["center"] == again["center"]
    assert not np.array_equal(first["initial"], other["initial"])


def test_the_follow_up_is_what_the_same_scanner_would_show_without_noise(head):
    pair, _ = simulate_pair(head, 41)
    brain = (pair["follow_up"] > 25) & (pair["follow_up"] < 45) & (pair["infarct"] == 0) & (pair["iodine"] == 0)
    difference = (pair["initial"] - pair["follow_up"])[brain]
    assert abs(np.median(difference)) < 0.5
    assert 1.0 < np.median(np.abs(difference)) < 4.0


def test_the_outcome_is_decided_before_the_follow_up_exists(head):
    case = SimulatedCase(head, 41)
    with pytest.raises(ValueError, match="decide the outcome"):
        case.follow_up(GridScan(case, draw_protocol(41)).view)


def test_what_registration_leaves_moves_the_follow_up_and_nothing_else(head):
    plain, _ = simulate_pair(head, 41)
    shifted, case = simulate_pair(head, 41, shift=SHIFTS["misregistered"])
    same = {name for name in MAPS if np.array_equal(plain[name], shifted[name])}
    assert same == set(MAPS) - {"follow_up", "blood_follow_up", "infarct"} and repr(plain["outcome"]) == repr(shifted["outcome"])
    now, later = case.scanner, HeadInScanner(head, case.pose, 41, later=True)
    points = 80.0 * torch.rand((3, 1, 1, 50), generator=torch.Generator().manual_seed(1)) - 40.0
    moved = torch.einsum("ij,jdhw->idhw", rotation(*case.pose.residual_turn), points) + torch.tensor(case.pose.residual_mm).view(3, 1, 1, 1)
    assert 0.3 < float((moved - points).norm(dim=0).max()) < 5.0
    assert torch.allclose(later.tissue_points(moved), now.tissue_points(points), atol=1e-3)


def test_a_follow_up_moved_by_one_voxel_is_the_plain_one_a_voxel_on(head):
    pose = draw_pose(41, draw_patient(41, head.number).age)
    later = {}
    for name, mm in (("plain", 0.0), ("moved", GRID_SPACING_MM[2])):
        case = SimulatedCase(head, 41, pose=dataclasses.replace(pose, residual_mm=(0.0, 0.0, mm)))
        later[name] = pair_module.model_grid_pair(case, draw_protocol(41, padded=False, holder=None))["follow_up"]
    far = np.abs(later["moved"] - later["plain"])[:, 8:-8, 8:-8].mean()
    assert np.abs(later["moved"][:, :, 1:] - later["plain"][:, :, :-1])[:, 8:-8, 8:-8].mean() < 0.1 * far


def test_eighty_patients_of_one_head_miss_no_target_by_three_standard_errors(head, record_property):
    """T1 to T8 of the very simulator: the figures stand in the summary, and a target that it no longer meets fails the build.

    One head, because building the others would take longer than the patients; `acceptance` measures all ten.
    """
    patients = seeds_by_head(1, "train", 2000)[HEAD][:80]
    cases = as_table([measure_case(head, one, with_noise=n % NOISE_EVERY == 0) for n, (_, one) in enumerate(patients)])
    checks = check_cohort(cases)
    told = "%d patients of head %d: a FAIL by less than three standard errors may be chance" % (len(patients), HEAD)
    record_property("T1 to T8", "%s\n%s" % (told, describe(checks, information(cases))))
    assert checks and [check for check in checks if not check.within(3)] == []


def test_iodine_that_does_not_wash_out_misses_its_target(head, monkeypatch):
    def stuck(seed, number):
        return draw_patient(seed, number, group=STAIN, iodine_hu=60.0, half_life=1e6)

    monkeypatch.setattr(pair_module, "draw_patient", stuck)
    cases = as_table([measure_case(head, seed, with_noise=False) for seed in (1, 2, 3)])
    washout = next(check for check in check_cohort(cases) if check.name == "T3")
    assert washout.figure > 0.30 and not washout.passed


def test_measured_noise_is_that_of_the_protocol_and_its_double_would_be_noticed(head):
    case = SimulatedCase(head, 41)
    for noise_hu in (4.0, 8.0):
        measured = native_noise(case, draw_protocol(41, noise_hu=noise_hu), (0.0, 10.0, 30.0))
        assert measured == pytest.approx(noise_hu, rel=0.15)


def sample_shape(lattice, grid, **_):
    """What grid_sample returns, without values: PyTorch 1.13 does not know its shape."""
    assert lattice.device == grid.device
    return lattice.new_empty((1, lattice.shape[1], *grid.shape[1:4]))


def test_everything_of_a_patient_is_computed_on_the_device_of_the_head(head, monkeypatch):
    # Tensors with a device and no values: operations that mix devices fail as they would on a GPU.
    elsewhere = torch.device("lazy:0")
    monkeypatch.setattr(torch, "from_numpy", lambda array: torch.empty(array.shape))
    monkeypatch.setattr("torch.nn.functional.grid_sample", sample_shape)
    monkeypatch.setattr(HeadInScanner, "scan_point", lambda *_: np.zeros(3))  # it reads values
    planes = Planes.of_slices(np.arange(0.0, 20.0, 5.0), np.arange(-60.0, 60.0, 6.0), np.arange(-60.0, 60.0, 6.0), 5.0, 2)
    with FakeTensorMode():
        with pytest.raises(RuntimeError, match="devices"):
            torch.ones(3, 3) @ torch.ones(3, 3, device=elsewhere)
        for seed in range(4):
            drawn = draw_patient(seed, HEAD, group=BLOOD if seed % 2 else STAIN)
            patient = dataclasses.replace(
                drawn, old_infarct=(30.0, 40.0, 30.0, 8.0), swelling_mm=(1.0, 3.0), sulcal_contrast_hu=9.0, fluid_level=True
            )
            case = SimulatedCase(dataclasses.replace(head, device=elsewhere), seed, patient)
            scanner, lesions = case.scanner, case.lesions
            points = scanner.tissue_on(planes)
            depth, near = scanner.surroundings_at(points)
            center = lesions.clot_center()
            moved = displace(points, depth, patient, 1, 20.0, center)
            maps = dict(zip(CHANNELS, scanner.maps_at(moved)))
            tissue = Tissue(
                moved, depth, *(maps[name] for name in ("hu", "csf", "grey", "white", "basal_ganglia", "mca", "ventricle")),
                *lesions.textures(points), points[1],
            )
            infarct = lesions.infarct(tissue, 0.1)
            iodine, in_brain = lesions.staining(tissue, infarct)
            layers = [
                scanner.hounsfield_at(points), infarct, iodine, lesions.final_infarct(tissue, infarct, in_brain),
                *lesions.clot(points, tissue, center, 20.0), lesions.blood_density(tissue, center, 20.0, 65.0),
                lesions.incidental(tissue, near), lesions.dense_artery(tissue),
            ]
            for layer in layers:
                assert layer.device.type == elsewhere.type and layer.shape == points.shape[1:]


def test_a_gpu_that_is_not_there_is_refused_by_name_before_anything_is_written(anatomy, cache, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    words = ["simulate", "--anatomy", str(anatomy), "--anatomy-cache", str(cache), "--seed", "1", "--count", "1"]
    arguments = build_parser("simulate").parse_args([*words, "--out", str(tmp_path / "cohort"), "--device", "cuda"])
    with pytest.raises(ValueError, match="no CUDA device"):
        arguments.run(arguments)
    assert not (tmp_path / "cohort").exists()


def test_a_cohort_is_resumed_not_made_again_and_a_folder_of_another_cohort_is_refused(anatomy, cache, head, tmp_path):
    seed = next(s for s in range(1000) if case_head(case_seed(s, "train", 0), "train") == HEAD)
    recipe = Recipe(anatomy, cache, "train")
    note = simulate_cohort(recipe, seed, 1, tmp_path, workers=1)
    assert note["count"] == 1 and note["heads"] == {str(HEAD): 1}
    shard = tmp_path / "shard-0000.npz"
    written = shard.stat().st_mtime_ns
    with np.load(shard) as file:
        pair, case = simulate_pair(head, int(file["seed"][0]))
        assert np.array_equal(file["initial"][0], np.rint(pair["initial"]).astype(np.int16))
        assert file["measures"].shape == (1, 6) and file["measures"].dtype == np.float32
        assert file["hours"][0] == np.float32(case.patient.hours)
    simulate_cohort(recipe, seed, 1, tmp_path, workers=1)
    assert shard.stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="another cohort"):
        simulate_cohort(recipe, seed + 1, 1, tmp_path, workers=1)
    with pytest.raises(ValueError, match="another cohort"):
        simulate_cohort(dataclasses.replace(recipe, shift="low-dose"), seed, 1, tmp_path, workers=1)


def test_measures_of_a_visibly_stained_patient_give_the_probability_and_other_patients_have_none(head):
    for group in (NONE, STAIN, BLOOD):
        case = SimulatedCase(head, 41, draw_patient(41, HEAD, group=group))
        outcome = pair_module.model_grid_pair(case, draw_protocol(41))["outcome"]
        if group == STAIN:
            assert outcome.probability == pytest.approx(1 / (1 + np.exp(-B * severity(outcome.measures))))
        else:
            assert outcome.measures is None


def test_patchy_blood_stays_in_the_infarct_and_ends_as_petechial_hemorrhage(head):
    patient = draw_patient(41, HEAD, group=BLOOD, patchy=True, blood_ml=5.0, infarct_extent=0.7)
    pair = pair_module.model_grid_pair(SimulatedCase(head, 41, patient), draw_protocol(41))
    before, after = (pair[name].sum() * pair_module.MODEL_VOXEL_ML for name in ("blood_initial", "blood_follow_up"))
    assert before == pytest.approx(5.0, rel=0.3) and after > 0.8 * before
    assert (pair["blood_initial"] * pair["infarct"]).sum() > 0.7 * pair["blood_initial"].sum()
    assert pair["outcome"].kind == "HI"


def test_the_montage_shows_each_group_in_the_slice_of_its_lesion(anatomy, cache, head, tmp_path, monkeypatch):
    monkeypatch.setattr(montage, "case_head", lambda seed, split: HEAD)
    rows = montage.make_rows(anatomy, cache, "train", 1, 3)
    said = [text.split("  ")[1].split(",")[0] for text, *_ in rows]
    assert said == ["no hyperdensity", "contrast staining", "blood visible"]
    assert (rows[2][1] > 55).sum() > (rows[0][1] > 55).sum()
    path = tmp_path / "pairs.png"
    montage.draw_montage(rows, path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_blood_is_told_to_be_in_the_ventricles_only_where_it_is(head, monkeypatch):
    chosen = dict(group=BLOOD, patchy=False, blood_ml=35.0, clot_deep=True, clot_offset=(1.0, 0.5, -1.0), infarct_extent=0.5)
    found = {}
    for spared in (False, True):
        patient = draw_patient(41, HEAD, into_ventricle=not spared, **chosen)
        monkeypatch.setattr(pair_module, "draw_patient", lambda *_, patient=patient: patient)
        found[spared] = montage.simulate_sight(head, 41, patient)
    assert not found[True]["ventricular"].any()
    # A part of the hematoma's volume, and no haze over the brain behind its level, where 1 % would be millilitres.
    assert montage.VENTRICULAR_ML < found[False]["ventricular"].sum() * pair_module.MODEL_VOXEL_ML < 0.4 * 35.0
    assert montage.choose_slice(found[False]) == found[False]["ventricular"].sum(axis=(1, 2)).argmax()


def test_a_hematoma_that_has_not_clotted_has_a_level_that_lies_level_in_the_scan_however_the_head_lies(head):
    patient = draw_patient(41, HEAD, group=BLOOD, patchy=False, blood_ml=30.0, clot_deep=True, fluid_level=True, into_ventricle=False)
    case = SimulatedCase(head, 41, patient, draw_pose(41, patient.age, pitch=0.25, roll=0.2))
    scan = GridScan(case, draw_protocol(41))
    first = case.initial(scan.view)
    clotted, hu = scan.truth(first.blood) > 0.97, scan.truth(first.hu)
    level = case.scanner.scan_point(case.lesions.clot_center())[1] + 2.0
    behind = np.broadcast_to(scan.planes.y[None, :, None] - level, hu.shape)[clotted]
    above, below = hu[clotted][behind < -3.0], hu[clotted][behind > 3.0]
    assert min(above.size, below.size) > 100
    assert np.percentile(above, 98) < np.percentile(below, 2)


def test_hematomas_are_chosen_by_what_they_are_drawn_with(head):
    sights = {sight.name: sight for sight in montage.SIGHTS["hematomas"]}
    hematoma = draw_patient(41, HEAD, group=BLOOD, patchy=False, blood_ml=20.0, fluid_level=False, into_ventricle=False)
    drawn = lambda **changed: {name for name, s in sights.items() if s.drawn(dataclasses.replace(hematoma, **changed))}
    assert drawn() == {"lobulated hematoma"}
    assert drawn(fluid_level=True) == {"with fluid level"}
    assert drawn(into_ventricle=True) == {"into the ventricle"}
    assert drawn(blood_ml=3.0) == set()
    assert drawn(patchy=True) == {"blood in patches"}
    assert drawn(group=STAIN) == {"staining"}
