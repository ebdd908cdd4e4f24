"""Resampling weights: worked out by hand, and the same values that test/imaging/resample.test.ts holds TypeScript to."""

import numpy as np
import pytest

from hemocast_training.resample import resample_axis, resampling_weights


def weights_of(positions, output, spacing):
    return resampling_weights(positions, [output], spacing)[0]


@pytest.mark.parametrize(
    "positions, output, spacing, expected",
    [
        pytest.param([0, 1, 2, 3], 1.5, 1, [0, 0.5, 0.5, 0], id="half way between two samples"),
        pytest.param([0, 4, 6], 1, 2, [0.75, 0.25, 0], id="a quarter of the way through a wide gap"),
        # s = 3, g = 1: a box of 2 mm over [1, 3]; the hat of 1 has area 1/2 there, the hat of 2 all of its area 1.
        pytest.param([0, 1, 2, 3, 4], 2, 3, [0, 0.25, 0.5, 0.25, 0], id="thin slices averaged as a thick one"),
        # Box [3.5, 5.5]. Hat of 0: integral of (4 - x)/4 over 3.5..4 = 0.03125; hat of 4: 0.46875 + 0.5; hat of 5: 0.5 + 0.5.
        pytest.param([0, 4, 5], 4.5, 3, [0.015625, 0.484375, 0.5], id="each side of the box from its own gap"),
        pytest.param([0, 1], 1.4, 1, [0, 1], id="half a gap beyond the last sample"),
        pytest.param([0, 1], 1.6, 1, [0, 0], id="beyond that nothing"),
        # s = 2, g = 1: box [1, 2], of which [1, 1.5] is covered.
        pytest.param([0, 1], 1.5, 2, [0, 0.5], id="a box that sticks out of the scan"),
        pytest.param([0, 1], -0.5, 2, [0.5, 0], id="and at the lower end"),
    ],
)
def test_weights_are_those_worked_out_by_hand(positions, output, spacing, expected):
    assert weights_of(positions, output, spacing) == pytest.approx(expected, abs=1e-14)


def test_equal_grids_give_the_identity_although_their_positions_carry_rounding_errors():
    positions = 0.1 + np.arange(20) * 0.3 * 5
    assert np.allclose(resampling_weights(positions, positions, 1.5), np.eye(20), atol=1e-9, rtol=0)


def test_over_any_slice_positions_weights_are_not_negative_and_sum_to_one_inside_the_scan():
    random = np.random.default_rng(11)
    for _ in range(100):
        positions = -40 + np.cumsum(random.uniform(0.2, 9, random.integers(2, 31)))
        outputs, spacing = random.uniform(-60, 250, 40), random.uniform(0.1, 12)
        weights = resampling_weights(positions, outputs, spacing)
        total = weights.sum(axis=1)
        assert weights.min() >= -1e-12 and total.max() <= 1 + 1e-9
        inside = (outputs - spacing / 2 >= positions[0]) & (outputs + spacing / 2 <= positions[-1])
        assert np.allclose(total[inside], 1, atol=1e-9)


def test_a_ramp_is_read_exactly_through_uneven_slices():
    positions = np.concatenate([[0], np.cumsum([4.22] * 5 + [1.14] + [7.38] * 5)])
    outputs = np.linspace(positions[0], positions[-1], 33)
    read = resampling_weights(positions, outputs, 0.1) @ (7 - 3 * positions)
    assert read == pytest.approx(7 - 3 * outputs, abs=1e-9)


def test_what_is_missing_takes_the_pad_value():
    volume = np.full((2, 2, 3), 40.0, np.float32)
    weights = resampling_weights([0, 1], [0.0, 1.5, 9.0], [1.0, 2.0, 1.0])
    read = resample_axis(volume, weights, 1, -1024.0)
    assert read.dtype == np.float32 and read.shape == (2, 3, 3)
    assert read[0, :, 0].tolist() == [40.0, 0.5 * 40 - 0.5 * 1024, -1024.0]


@pytest.mark.parametrize("positions", [[0.0], [0.0, 2.0, 2.0], [3.0, 1.0], [0.0, float("nan")]])
def test_one_slice_doubled_or_unsorted_slices_are_refused(positions):
    with pytest.raises(ValueError, match="at least two|increasing"):
        resampling_weights(positions, [1.0], 1.0)
