"""The parts of the simulator that need no anatomy: who is drawn, what severity means, how noise and mass behave."""

import dataclasses

import numpy as np
import pytest
import torch

from hemocast_training.labels import HEADS
from hemocast_training.resample import resampling_weights
from hemocast_training.simulate.cohort import auxiliary_maps, case_head, case_seed, ceiling
from hemocast_training.simulate.fields import RandomField
from hemocast_training.simulate.geometry import Planes, displace, draw_pose, rotation
from hemocast_training.simulate.patient import ALL_COMERS_MIX, BLOOD, NONE, STAIN, draw_patient
from hemocast_training.simulate.scanner import draw_protocol, noise_amplitude
from hemocast_training.simulate.severity import MEASURES, SHIFT, probability, raw_measures, severity
from hemocast_training.simulate.shifts import SHIFTS
from hemocast_training.territories import mca_territory


def test_patient_pose_and_protocol_follow_from_the_seed_alone():
    assert draw_patient(3, 1) == draw_patient(3, 1) != draw_patient(4, 1)
    assert draw_pose(3, 70.0) == draw_pose(3, 70.0) != draw_pose(4, 70.0)
    assert draw_protocol(3) == draw_protocol(3) != draw_protocol(4)


def test_a_story_may_choose_a_latent_fact_but_not_invent_one():
    assert draw_patient(3, 1, group=BLOOD).group == BLOOD and draw_patient(3, 1, group=BLOOD).blood_ml > 0
    assert draw_patient(3, 1, group=NONE).iodine_hu == 0
    with pytest.raises(ValueError, match="no temperament"):
        draw_patient(3, 1, temperament="calm")


def test_splits_never_share_a_head_and_cohorts_never_share_a_patient():
    numbers = [head for heads in HEADS.values() for head in heads]
    assert len(set(numbers)) == len(numbers) == 14
    blocks = [{case_seed(seed, split, i) for i in (0, 1, 2_999_999)} for seed in (1, 2) for split in HEADS]
    assert len(set.union(*blocks)) == 18
    for split in HEADS:
        assert {case_head(case_seed(1, split, i), split) for i in range(200)} == set(HEADS[split])


def test_hemorrhage_is_likelier_the_worse_the_staining_looks():
    assert probability(STAIN, 0.0) == 0.5
    assert probability(STAIN, -1.0) == pytest.approx(1 / (1 + np.exp(3.5)))
    assert probability(BLOOD, None) == 1 and probability(NONE, None) == probability(STAIN, None) == 0.04
    assert severity(np.zeros(6)) == pytest.approx(-SHIFT)
    for index in range(6):
        assert severity(np.eye(6)[index]) > severity(np.zeros(6))


def stained_block():
    """Iodine, ganglia, edema [4, 12, 12]: 32 voxels of 10 and 30 HU in two blocks of 4 x 4, and one too faint to see."""
    iodine, ganglia, edema = (np.zeros((4, 12, 12)) for _ in range(3))
    iodine[1, :4, :4], iodine[1, 4:8, :2], iodine[1, 4:8, 2:4] = 20.0, 10.0, 30.0
    iodine[2, 0, 0] = 5.0
    ganglia[1, :4, :4] = 1.0
    edema[:2] = 5.0
    return iodine, ganglia, edema


def test_the_six_measures_are_what_they_are_called():
    found = dict(zip(MEASURES, raw_measures(*stained_block(), voxel_ml=0.01)))
    assert found["mean_hu"] == pytest.approx(np.log(20.0)) and found["peak_hu"] == pytest.approx(np.log(30.0))
    assert found["volume"] == pytest.approx(np.log(0.32)) and found["ganglia_share"] == pytest.approx(0.5)
    assert found["edema_load"] == pytest.approx(np.log(5.0 * 288 * 0.01 + 20))
    iodine, ganglia, edema = stained_block()
    assert raw_measures(iodine / 4, ganglia, edema, voxel_ml=0.01) is None


def test_even_staining_measures_as_more_even_than_petechial_staining_of_the_same_amount():
    iodine, ganglia, edema = stained_block()
    even = np.where(iodine > 6, 20.0, 0.0)
    petechial = raw_measures(iodine, ganglia, edema, voxel_ml=0.01)[MEASURES.index("evenness")]
    assert raw_measures(even, ganglia, edema, voxel_ml=0.01)[MEASURES.index("evenness")] > petechial


@pytest.mark.parametrize("name", [name for name in SHIFTS if name != "none" and not name.startswith("mixed")])
def test_a_shift_changes_what_it_says_and_leaves_the_rest_of_the_person_alone(name):
    patient = draw_patient(3, 1)
    plain = patient, draw_protocol(3), draw_pose(3, patient.age)
    assert SHIFTS["none"].apply(*plain) == plain
    shifted = SHIFTS[name].apply(*plain)
    assert SHIFTS[name].apply(*plain) == shifted != plain
    changed = {
        field
        for before, after in zip(plain, shifted)
        for field, value in dataclasses.asdict(before).items()
        if dataclasses.asdict(after)[field] != value
    }
    assert changed == {
        "low-dose": {"noise_hu"},
        "sharp-kernel": {"psf_fwhm_mm", "corner", "noise_hu"},
        "hu-offset": {"offset_hu", "gain"},
        "metal-motion": {"metal_hu", "motion_mm"},
        "held-out-physics": {"grain_mm", "half_life"},
        "confluent-patches": {"confluent"},
        "misregistered": {"residual_turn", "residual_mm"},
        "wide-anatomy": {"scale", "warp_mm"},
    }[name]


def test_half_of_the_heads_of_mixed_anatomy_vary_more():
    plain = [(draw_patient(seed, 1), draw_protocol(seed), draw_pose(seed, 70.0)) for seed in range(200)]
    wide, mixed = ([SHIFTS[name].apply(*drawn) for drawn in plain] for name in ("wide-anatomy", "mixed-anatomy"))
    varied = [pose.warp_mm > 2.2 for _, _, pose in mixed]
    assert all(pose.warp_mm > 2.2 for _, _, pose in wide) and sum(varied) / 200 == pytest.approx(0.5, abs=0.12)
    assert [drawn for drawn, more in zip(mixed, varied) if not more] == [drawn for drawn, more in zip(plain, varied) if not more]


def test_half_of_the_patients_of_mixed_looks_have_confluent_patches_in_the_heads_of_mixed_anatomy():
    plain = [(draw_patient(seed, 1), draw_protocol(seed), draw_pose(seed, 70.0)) for seed in range(200)]
    heads, both = ([SHIFTS[name].apply(*drawn) for drawn in plain] for name in ("mixed-anatomy", "mixed-looks"))
    confluent = [patient.confluent for patient, _, _ in both]
    assert sum(confluent) / 200 == pytest.approx(0.5, abs=0.12)
    assert [(dataclasses.replace(patient, confluent=False), *rest) for patient, *rest in both] == [tuple(drawn) for drawn in heads]
    varied = [pose.warp_mm > 2.2 for _, _, pose in both]
    assert 0.3 < sum(c for c, v in zip(confluent, varied) if v) / sum(varied) < 0.7  # the two do not go together


def test_all_comers_bleed_less_often_because_fewer_show_blood_or_staining():
    groups = [draw_patient(seed, 1, ALL_COMERS_MIX).group for seed in range(400)]
    shares = np.bincount(groups, minlength=3) / 400
    assert shares == pytest.approx([ALL_COMERS_MIX[group] for group in (NONE, STAIN, BLOOD)], abs=0.07)


def test_without_the_territory_atlas_no_head_is_built(tmp_path):
    with pytest.raises(FileNotFoundError, match="territory atlas"):
        mca_territory(np.zeros((2, 2, 2), np.int16), tmp_path)


def test_the_ceiling_is_the_score_of_a_reader_who_knows_the_true_probability():
    limit = ceiling(np.array([0.9, 0.2, 0.6]), np.array([1, 0, 0]))
    assert limit["auc"] == 1.0 and limit["accuracy"] == pytest.approx(2 / 3)
    assert limit["expected_accuracy"] == pytest.approx((0.9 + 0.8 + 0.6) / 3)


def test_noise_drawn_on_the_model_grid_has_the_sd_of_native_noise_resampled_to_it():
    protocol = draw_protocol(1)
    native, white = protocol.pixel_mm, np.random.default_rng(2).standard_normal((512, 512))
    draw = lambda spacing: np.fft.irfft2(np.fft.rfft2(white) * noise_amplitude((512, 512), spacing, protocol), s=(512, 512))
    noise = draw(native)
    assert noise.std() == pytest.approx(1.0, rel=0.03)
    weights = resampling_weights(np.arange(512) * native, 10.0 + np.arange(130) * 1.5, 1.5)
    resampled = weights @ noise @ weights.T
    assert resampled.std() < 0.9
    assert draw(1.5).std() == pytest.approx(resampled.std(), rel=0.05)


def test_a_field_of_tissue_has_unit_variance_and_is_smooth_over_its_scale():
    field = RandomField(np.random.default_rng(1), 1, scale_mm=8.0, spacing_mm=4.0)
    line = np.arange(-80.0, 80.0, 2.0)
    values = field.at(Planes(line, line, line, 1).points())[0]
    assert float(values.std()) == pytest.approx(1.0, abs=0.15)
    alike = lambda step: float(np.corrcoef(values[step:].ravel(), values[:-step].ravel())[0, 1])
    near, far = alike(1), alike(30)
    assert near > 0.9 and abs(far) < 0.2


def test_slices_are_averages_over_their_thickness():
    planes = Planes.of_slices(np.array([0.0, 10.0]), np.zeros(2), np.zeros(3), 6.0, 3)
    assert planes.z.tolist() == [-2.0, 0.0, 2.0, 8.0, 10.0, 12.0]
    layer = torch.tensor(planes.z, dtype=torch.float32).view(6, 1, 1).expand(6, 2, 3)
    assert planes.mean_over_slices(layer)[:, 0, 0].tolist() == [0.0, 10.0]


def test_turning_the_head_keeps_distances():
    turn = rotation(0.2, -0.1, 0.3)
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6)


def test_a_hematoma_pushes_the_brain_outwards_and_never_the_skull():
    still = draw_patient(1, 1, swelling_mm=(0.0, 0.0))
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [20.0, 40.0]]).view(3, 1, 1, 2)
    deep, at_the_skull = torch.full((1, 1, 2), 30.0), torch.zeros(1, 1, 2)
    pushed = displace(points, deep, still, 0, 20.0, (0.0, 0.0, 0.0))
    # Backwards map: what is seen at 20 mm lay nearer to the middle, and nearby tissue moves more than distant tissue.
    shift = (points - pushed)[2].ravel()
    assert 0 < shift[1] < shift[0] < 20
    assert torch.equal(displace(points, at_the_skull, still, 0, 20.0, (0.0, 0.0, 0.0)), points)
    assert torch.equal(displace(points, deep, still, 0, 0.0, (0.0, 0.0, 0.0)), points)


def test_auxiliary_maps_are_block_means_in_their_units():
    pair = {name: np.zeros((24, 128, 128), np.float32) for name in ("iodine", "blood_initial", "blood_follow_up", "infarct", "ganglia")}
    pair["iodine"][3, :4, :4] = np.tile([10.0, 30.0], (4, 2))
    pair["infarct"][3, 4:8, :4] = 0.5
    maps = auxiliary_maps(pair)
    assert maps.shape == (6, 24, 32, 32) and maps.dtype == np.uint8
    assert (maps[0, 3, 0, 0], maps[1, 3, 0, 0], maps[4, 3, 1, 0]) == (20, 10, 128)
    assert maps[0].sum() == 20
