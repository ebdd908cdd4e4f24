"""Losses and their balance: what they reward, and that the task which runs ahead is held back."""

import numpy as np
import pytest
import torch

from hemocast_training.augmentation import augment, shift
from hemocast_training.data import Cohort
from hemocast_training.gradnorm import HIGHEST, LOWEST, GradNorm
from hemocast_training.losses import auxiliary_loss, blood_loss, classification_loss, generation_loss, voxel_weights
from hemocast_training.network.classifier import either

from synthetic import write_toy_cohort


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return Cohort(write_toy_cohort(tmp_path_factory.mktemp("losses"), 2, seed=4)).batch([0, 1])


def test_the_true_follow_up_costs_nothing_and_a_lesion_weighs_more_than_brain(batch):
    assert generation_loss(batch.follow_up, batch) < 1e-3
    assert generation_loss(batch.image.clamp(-20, 100), batch) > 0.3
    weights = voxel_weights(batch)
    assert weights.max() == 4 and weights[batch.inside == 0].max() == 0
    assert set(weights.unique().tolist()) == {0.0, 1.0, 4.0}


def test_maps_that_match_the_simulator_cost_less_than_empty_ones(batch):
    fractions = batch.maps[:, 2:].clamp(1e-4, 1 - 1e-4)
    units = torch.tensor([10.0, 4.0]).reshape(1, 2, 1, 1, 1)
    raw = torch.log(torch.expm1((batch.maps[:, :2] / units).clamp(min=1e-3)))
    right = torch.cat([raw, torch.log(fractions / (1 - fractions))], 1)
    assert auxiliary_loss(right, batch) < 0.5 * auxiliary_loss(torch.full_like(right, -4.0), batch)


def test_blood_that_is_missed_costs_more_than_brain_that_is_called_blood(batch):
    maps = torch.zeros_like(batch.maps)
    maps[0, 2, 12, 10:13, 10:13] = 1
    case = batch._replace(maps=maps, inside=torch.ones_like(batch.inside))
    empty = torch.full_like(maps, -4.0)
    missed, called = empty.clone(), empty.clone()
    empty[0, 2, 12, 10:13, 10:13] = 4
    called[0, 2, 12, 10:13, 10:13] = called[0, 2, 12, 20:23, 20:23] = 4
    right, false_alarm, miss = (float(auxiliary_loss(raw, case)) for raw in (empty, called, missed))
    assert right < false_alarm < miss
    assert blood_loss(torch.tensor([3.0, -3.0]), case) < 0.1 < blood_loss(torch.tensor([-3.0, -3.0]), case)


def test_gradnorm_shrinks_the_weight_of_the_faster_task():
    balance = GradNorm([1.0, 1.0], [0.0, 0.0])
    for _ in range(60):
        weights = balance.step(torch.tensor([0.2, 0.9]), torch.tensor([1.0, 1.0]))
    assert weights[0] < 0.8 < 1.2 < weights[1]
    assert weights.sum() == pytest.approx(2, abs=1e-4)


def test_gradnorm_balances_a_task_whose_gradient_is_much_larger():
    balance = GradNorm([1.0, 1.0], [0.0, 0.0])
    for _ in range(60):
        weights = balance.step(torch.tensor([0.7, 0.7]), torch.tensor([5.0, 1.0]))
    assert weights[0] < weights[1]


@pytest.mark.parametrize("norms, first_task", [((3.0, 1.0), "falls"), ((1.0, 3.0), "rises")])
def test_gradnorm_moves_each_gradient_towards_the_published_target(norms, first_task):
    """Loss ratios 0.5 and 1 give rates 2/3 and 4/3, so the targets are 2/3 and 4/3 of the mean norm 2: 1.33 and 2.67."""
    weights = GradNorm([1.0, 1.0], [0.0, 0.0]).step(torch.tensor([0.5, 1.0]), torch.tensor(norms))
    assert (weights[0] < 1 < weights[1]) if first_task == "falls" else (weights[0] > 1 > weights[1])
    assert weights.sum() == pytest.approx(2, abs=1e-5)


def test_gradnorm_never_starves_a_task():
    balance = GradNorm([1.0, 1.0], [0.0, 0.0])
    for _ in range(500):
        weights = balance.step(torch.tensor([0.01, 1.0]), torch.tensor([50.0, 1.0]))
    assert LOWEST - 1e-3 <= weights.min() and weights.max() <= HIGHEST + 1e-3


def test_a_loss_resting_on_its_noise_floor_does_not_look_behind():
    with_floor, without = GradNorm([1.0, 0.7], [0.9, 0.0]), GradNorm([1.0, 0.7], [0.0, 0.0])
    losses, norms = torch.tensor([0.91, 0.35]), torch.tensor([1.0, 1.0])
    for _ in range(40):
        a, b = with_floor.step(losses, norms), without.step(losses, norms)
    assert a[0] < 1 < b[0]


def test_gradnorm_reads_gradients_relative_to_their_start_and_keeps_the_graph():
    shared = torch.ones(3, 3, requires_grad=True)
    balance = GradNorm([1.0, 1.0], [0.0, 0.0])

    def losses(first: float) -> tuple:
        return 0.5 * (shared * first).mean() / first, 0.5 * (shared * 0.1).mean() / 0.1 + 0 * shared.sum()

    for _ in range(30):
        unmoved = balance.update(losses(4.0), shared)
    assert unmoved.tolist() == pytest.approx([1.0, 1.0], abs=0.15)

    for _ in range(30):
        grown = ((shared**4).mean() - 0.5, losses(4.0)[1])
        weights = balance.update(grown, shared)
    assert weights[0] < weights[1]
    sum(grown).backward()


def test_a_task_whose_gradient_is_always_larger_is_not_starved():
    shared = torch.ones(3, 3, requires_grad=True)
    balance = GradNorm([1.0, 1.0], [0.0, 0.0])
    for _ in range(100):
        weights = balance.update(((shared * 8).mean() - 7.3, (shared * 0.1).mean() + 0.6), shared)
    assert weights.min() > 0.8


def test_gradnorm_refuses_a_floor_above_the_start():
    with pytest.raises(ValueError, match="lower the floor"):
        GradNorm([0.5, 1.0], [0.6, 0.0])


def test_augmentation_moves_image_target_and_maps_together_and_never_noises_the_target(batch):
    cells = batch.follow_up.reshape(2, 24, 32, 4, 32, 4).mean((3, 5))
    linked = batch._replace(maps=cells[:, None].expand(-1, 6, -1, -1, -1).clone())
    for seed in range(4):
        changed = augment(linked, np.random.default_rng(seed))
        assert torch.allclose(
            changed.follow_up.reshape(2, 24, 32, 4, 32, 4).mean((3, 5)), changed.maps[:, 0], atol=1e-4
        )
        bone = (changed.image > 700).sum()
        assert abs(int(bone) - int((batch.image > 700).sum())) < 0.1 * int(bone)
        assert set(changed.follow_up.unique().tolist()) <= set(batch.follow_up.unique().tolist()) | {0.0}


def test_a_shift_wraps_nothing_around():
    x = torch.arange(16.0).reshape(4, 4)
    assert shift(x, 1, -1, -9.0)[0].tolist() == [-9.0] * 4
    assert shift(x, 1, -1, -9.0)[1].tolist() == [1.0, 2.0, 3.0, -9.0]


def test_a_joined_forecast_is_that_of_either_way_to_bleed():
    severity, blood = torch.tensor([-2.0, 0.0, 3.0, -9.0, 0.0]), torch.tensor([-4.0, 1.0, -8.0, -9.0, 30.0])
    joined = torch.sigmoid(either(severity, blood))
    neither = (1 - torch.sigmoid(severity)) * (1 - torch.sigmoid(blood))
    assert torch.allclose(joined, 1 - neither, atol=2e-6)
    assert torch.isfinite(either(torch.tensor([-60.0, 60.0]), torch.tensor([-60.0, 60.0]))).all()


def test_a_known_chance_is_learned_as_such_and_certainty_is_not(batch):
    logits = torch.linspace(-8, 8, 321)
    for chance, best in ((0.3, 0.3), (1.0, 0.98), (0.0, 0.02)):
        told = batch._replace(chance=torch.tensor([chance]), weight=torch.ones(1))
        losses = torch.stack([classification_loss(logit[None], told) for logit in logits])
        assert torch.sigmoid(logits[losses.argmin()]) == pytest.approx(best, abs=0.01)
