"""Reading a cohort that is still being simulated, and the inside of the skull."""

import numpy as np
import pytest
import torch

from hemocast_training import losses
from hemocast_training.augmentation import augment
from hemocast_training.checkpoint import refuse_trained_heads
from hemocast_training.data import SIMULATED_ONLY, Cohort, CohortError
from hemocast_training.intracranial import intracranial_mask
from hemocast_training.losses import auxiliary_loss, blood_loss, classification_loss, generation_loss
from hemocast_training.regions import SPACING_MM, hyperdense_volume, judged_regions
from hemocast_training.resident import unpack
from hemocast_training.simulate.cohort import PREVALENCES, Recipe, case_weight
from hemocast_training.simulate.patient import BLOOD, NONE, STAIN

from synthetic import toy_pair, write_toy_cohort, write_toy_site_cohort


def test_shards_that_appear_during_training_are_picked_up(tmp_path):
    cohort = Cohort(write_toy_cohort(tmp_path / "cohort", 4, seed=1, per_shard=2))
    assert len(cohort) == 4
    write_toy_cohort(tmp_path / "cohort", 6, seed=1, per_shard=2)
    assert cohort.refresh() == 2 and len(cohort) == 6


def test_a_half_written_shard_waits_for_the_next_epoch(tmp_path):
    folder = write_toy_cohort(tmp_path / "cohort", 2, seed=1)
    whole = (folder / "shard-0000.npz").read_bytes()
    (folder / "shard-0001.npz").write_bytes(whole[: len(whole) // 2])
    cohort = Cohort(folder)
    assert len(cohort) == 2
    (folder / "shard-0001.npz").write_bytes(whole)
    assert cohort.refresh() == 2


def test_a_batch_is_in_the_units_of_the_losses(tmp_path):
    batch = Cohort(write_toy_cohort(tmp_path / "cohort", 2, seed=1)).batch([1, 0])
    assert batch.image.shape == (2, 24, 128, 128) and batch.maps.shape == (2, 6, 24, 32, 32)
    assert -20 <= batch.follow_up.min() and batch.follow_up.max() <= 150
    assert batch.maps[:, 2:].max() <= 1 and batch.maps[:, 0].max() > 5


def test_a_hospitals_pairs_are_learned_from_without_what_only_a_simulator_knows(tmp_path):
    cohort = Cohort(write_toy_site_cohort(tmp_path / "site", 3, seed=1))
    batch = augment(cohort.batch([2, 0]), np.random.default_rng(0))
    assert batch.maps is None and cohort.values("head").tolist() == [1, 2, 3]
    assert auxiliary_loss(torch.ones(2, 6, 24, 32, 32), batch) == 0
    assert blood_loss(torch.ones(2), batch) == 0
    assert generation_loss(batch.image, batch) > 0
    with pytest.raises(CohortError, match="known of simulated ones only"):
        cohort.values("bayes")


def test_what_the_follow_up_did_not_scan_is_not_learned_from(tmp_path):
    folder = write_toy_site_cohort(tmp_path / "site", 1, seed=1)
    whole = Cohort(folder).mask(0)
    with np.load(folder / "shard-0000.npz") as shard:
        arrays = dict(shard)
    arrays["follow_up"][:, :9] = -1024
    np.savez(folder / "shard-0000.npz", **arrays)
    part = Cohort(folder).mask(0)
    assert whole[8].any() and not part[:9].any() and (part[9:] == whole[9:]).all()


def test_simulated_and_hospital_pairs_are_not_mixed_and_a_half_known_shard_is_refused(tmp_path):
    folder = write_toy_cohort(tmp_path / "cohort", 1, seed=1)
    with np.load(folder / "shard-0000.npz") as shard:
        arrays = dict(shard)
    np.savez(folder / "shard-0001.npz", **{key: arrays[key] for key in arrays if key != "bayes"})
    with pytest.raises(CohortError, match="no array 'bayes'"):
        Cohort(folder)
    np.savez(folder / "shard-0001.npz", **{key: arrays[key] for key in arrays if key not in SIMULATED_ONLY})
    with pytest.raises(CohortError, match="mixed"):
        Cohort(folder)


def test_of_more_blood_than_patients_have_it_is_not_learned_that_there_is_more(tmp_path, monkeypatch):
    monkeypatch.setattr(losses, "SSIM_WEIGHT", 0.0)  # in it cases count alike
    folder, groups = write_toy_cohort(tmp_path / "cohort", 3, seed=1), (NONE, STAIN, BLOOD)
    with np.load(folder / "shard-0000.npz") as shard:
        arrays = dict(shard)
    pulls = []
    for prevalence in ("thrombectomy", "more-blood"):
        recipe = Recipe(tmp_path, tmp_path, "train", prevalence)
        np.savez(folder / "shard-0000.npz", **arrays, weight=np.float32([case_weight(recipe, group) for group in groups]))
        batch = augment(Cohort(folder).batch([0, 1, 2]), np.random.default_rng(0))
        read, drawn = torch.tensor([0.3, -1.0, 2.0], requires_grad=True), (batch.follow_up + 1).requires_grad_()
        loss = classification_loss(read, batch) + blood_loss(read, batch) + generation_loss(drawn, batch)
        # How hard each group pulls in the mean: its gradient as often as it is drawn.
        shares = torch.tensor([PREVALENCES[prevalence][group] for group in groups])
        pulls.append([gradient.reshape(3, -1).sum(1) * shares for gradient in torch.autograd.grad(loss, (read, drawn))])
    assert all(torch.allclose(*pair, rtol=1e-3) and (pair[0] != 0).all() for pair in zip(*pulls))


def test_what_was_drawn_for_training_is_not_judged_by(tmp_path):
    folder = write_toy_cohort(tmp_path / "cohort", 2, seed=1, head=11)
    with np.load(folder / "shard-0000.npz") as shard:
        np.savez(folder / "shard-0000.npz", **shard, weight=np.float32([0.47, 1.16]))
    with pytest.raises(ValueError, match="--validation .* for training only"):
        refuse_trained_heads([1], Cohort(folder), "--validation")


def test_a_missing_folder_a_foreign_grid_and_too_few_pairs_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(CohortError, match="simulate"):
        Cohort(tmp_path / "nowhere")
    folder = write_toy_cohort(tmp_path / "cohort", 2, seed=1)
    with pytest.raises(CohortError, match="at least 5"):
        Cohort(folder).require(5)
    with np.load(folder / "shard-0000.npz") as shard:
        arrays = dict(shard)
    arrays["initial"] = arrays["initial"][:, :16]
    np.savez(folder / "shard-0001.npz", **arrays)
    with pytest.raises(CohortError, match="model grid"):
        Cohort(folder)


def test_the_inside_of_the_skull_is_brain_and_nothing_else():
    image = toy_pair(np.random.default_rng(3))["initial"].astype(np.float32)
    inside = intracranial_mask(image)
    assert inside[12, 64, 64] and not inside[12, 2, 2]
    assert not inside[:3].any()
    assert (image[inside] < 140).mean() > 0.99
    assert inside[12].sum() > 0.6 * ((image[12] < 100) & (image[12] > 0)).sum()


def test_a_gap_in_the_skull_does_not_let_the_outside_in():
    image = toy_pair(np.random.default_rng(3))["initial"].astype(np.float32)
    opened = image.copy()
    opened[12, :20, 62:66] = 30.0
    assert intracranial_mask(opened)[12].sum() == pytest.approx(intracranial_mask(image)[12].sum(), rel=0.1)


@pytest.mark.parametrize("half_width", [2, 7, 12])
def test_nor_does_a_wide_one_as_where_thin_bone_is_no_denser_than_tissue(half_width):
    image = toy_pair(np.random.default_rng(3))["initial"].astype(np.float32)
    opened = image.copy()
    wall = opened[10:13, :20, 64 - half_width : 64 + half_width]
    wall[wall > 250] = 60.0
    assert (opened != image).any(axis=(1, 2)).sum() == 3
    area, opened_area = (intracranial_mask(volume).sum(axis=(1, 2)) for volume in (image, opened))
    assert (opened_area >= 0.85 * area).all()


@pytest.mark.parametrize("cut", [14, 24])
def test_a_head_longer_than_the_grid_is_closed_by_its_edge(cut):
    image = toy_pair(np.random.default_rng(3))["initial"].astype(np.float32)
    cut_off = np.full_like(image, -1000.0)
    cut_off[:, :-cut] = image[:, cut:]
    assert ((cut_off[10] > 250)[0]).any(), "the skull must leave the grid"
    whole, inside = intracranial_mask(image), intracranial_mask(cut_off)
    seen = whole[:, cut:].sum(axis=(1, 2))
    assert (inside.sum(axis=(1, 2)) >= 0.9 * seen).all()


def test_an_image_without_a_skull_has_no_inside():
    assert not intracranial_mask(np.full((24, 128, 128), -1000.0, np.float32)).any()


def test_the_judged_region_is_the_hot_lesion_and_eight_millimetres_around_it():
    image = np.full((24, 128, 128), 35.0, np.float32)
    image[12, 60:70, 60:70] = 70.0
    image[5, 20, 20] = 95.0
    regions = judged_regions(image, np.ones(image.shape, bool))
    assert regions.hot[12, 65, 65] and not regions.hot[5].any()
    assert regions.ring[12, 65, 74] and not regions.judged[12, 65, 80]
    assert regions.ring[13, 65, 65] and not regions.judged[14, 65, 65]
    assert not (regions.hot & regions.ring).any()
    assert hyperdense_volume(image, regions.hot) == pytest.approx(regions.hot.sum() * np.prod(SPACING_MM) / 1000)


def test_a_growing_cohort_is_read_by_other_processes_with_the_same_result(tmp_path):
    folder = write_toy_cohort(tmp_path / "cohort", 3, seed=1)
    here, there = Cohort(folder), Cohort(folder, readers=1)
    assert len(there) == 3
    for ours, theirs in zip(here.batch([0, 1, 2]), there.batch([0, 1, 2])):
        assert torch.equal(torch.nan_to_num(ours), torch.nan_to_num(theirs))


def test_masks_leave_their_packing_as_they_went_in():
    mask = np.random.default_rng(0).random((2, 24 * 128 * 128)) > 0.5
    assert (unpack(torch.from_numpy(np.packbits(mask, axis=1))).numpy().reshape(2, -1) == mask).all()
