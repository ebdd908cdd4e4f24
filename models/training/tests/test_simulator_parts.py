"""The parts of the simulator that need no anatomy: who is drawn, what severity means, how noise and mass behave."""

import numpy as np
import pytest
import torch

from hemocast_training.labels import HEADS
from hemocast_training.resample import resampling_weights
from hemocast_training.simulate.cohort import auxiliary_maps, case_head, case_seed, ceiling
from hemocast_training.simulate.fields import RandomField
from hemocast_training.simulate.geometry import Planes, displace, draw_pose, rotation
from hemocast_training.simulate.patient import BLOOD, NONE, STAIN, draw_patient
from hemocast_training.simulate.scanner import draw_protocol, noise_amplitude
from hemocast_training.simulate.severity import CENTER, SHIFT, measure, probability, severity


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
    assert probability(BLOOD, None) == 0.99 and probability(NONE, None) == probability(STAIN, None) == 0.04
    assert severity(CENTER) == pytest.approx(-SHIFT)
    for index in range(6):
        assert severity(CENTER + np.eye(6)[index]) > severity(CENTER)


def test_the_six_measures_are_what_they_are_called():
    iodine, ganglia, infarct = (np.zeros((4, 10, 10)) for _ in range(3))
    iodine[1, :5, :4], iodine[2, 0, 0] = 20.0, 5.0  # 20 voxels seen; 5 HU is too faint
    ganglia[1, :5, :2] = 1.0
    infarct[:2] = 0.5
    found = measure(iodine, ganglia, infarct, 0.7, voxel_ml=0.01)
    wanted = [np.log(20.0), np.log(0.2), 0.7, 0.5, np.log(0.5 * 200 * 0.01 + 3), np.log(20.0)]
    assert found == pytest.approx(wanted)
    iodine[1, 0, 0] = 0.0
    assert measure(iodine, ganglia, infarct, 0.7, voxel_ml=0.01) is None


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
    near, far = (float((values[step:] * values[:-step]).mean()) for step in (1, 30))
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
