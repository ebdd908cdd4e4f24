"""The model grid: the centring rule on blocks of bone whose middle is known, and the way there and back."""

import numpy as np
import pytest

from hemocast_training.head_grid import (
    GRID_SHAPE, NotAHead, PlaneVolume, add_to_native, calvarium_center, cell_thickness, grid_positions, slice_spacing, to_model_grid,
)

BLOCK_CENTER = (-100 + 24.5, -50 + 34.5)


def blocks(areas, gap_mm=10.0, shear_mm=0.0) -> PlaneVolume:
    """1 mm pixels; slice i holds `areas[i]` mm2 of bone, 10 columns wide, from column 20 and row 5 on."""
    hu = np.full((len(areas), 80, 60), -1000.0, np.float32)
    for plane, area in zip(hu, areas):
        plane[5 : 5 + area // 10, 20:30] = 1000.0
    index = np.arange(len(areas))
    return PlaneVolume(hu, np.full(len(areas), -100.0), -50.0 + shear_mm * index, index * gap_mm, 1.0, 1.0)


def ramp(tilt_shear_mm: float) -> tuple[PlaneVolume, callable]:
    """A volume with HU linear in position, and that function of (x, y, z)."""
    at = lambda x, y, z: 0.5 * x - 0.8 * y + 1.25 * z + 3
    z = np.concatenate([[0], np.cumsum([4.22] * 13 + [1.14] + [7.38] * 13)])
    y = -120 + tilt_shear_mm * z
    columns, rows = np.arange(96) * 2.5, np.arange(96) * 2.5
    hu = at(-120 + columns[None, None], y[:, None, None] + rows[None, :, None], z[:, None, None])
    return PlaneVolume(hu.astype(np.float32), np.full(z.size, -120.0), y, z, 2.5, 2.5), at


def test_the_vertex_lies_where_the_bone_area_reaches_300_mm2():
    # 400 mm2 at 100 mm, 100 mm2 at 110 mm: 300 mm2 lie a third of the way up.
    center = calvarium_center(blocks([600] * 10 + [400, 100]))
    assert center[2] == pytest.approx(100 + 10 / 3 - 56, abs=1e-9)


def test_above_a_scan_that_ends_in_bone_half_a_gap_is_added():
    assert calvarium_center(blocks([600] * 12))[2] == pytest.approx(115 - 56)


def test_the_grid_is_centred_on_the_bone_between_20_and_100_mm_below_the_vertex():
    center = calvarium_center(blocks([600] * 12))
    assert center[:2] == pytest.approx(BLOCK_CENTER)


def test_each_slice_counts_with_its_own_position_when_the_gantry_is_tilted():
    # Vertex 115: slices at 20..90 mm count, each for 10 mm; 2 mm of shear a slice puts their mean row 5.5 slices on.
    assert calvarium_center(blocks([600] * 12, shear_mm=2.0))[1] == pytest.approx(BLOCK_CENTER[1] + 2.0 * 5.5)


@pytest.mark.parametrize("areas", [[200] * 12, [0] * 11 + [600]])
def test_without_a_calvarium_it_is_not_a_head(areas):
    with pytest.raises(NotAHead):
        calvarium_center(blocks(areas))


def test_slices_stand_for_half_of_each_gap():
    assert cell_thickness(np.array([0.0, 4.0, 10.0])).tolist() == [2.0, 5.0, 3.0]
    assert slice_spacing(np.array([0.0, 4.0, 10.0])).tolist() == [4.0, 5.0, 6.0]


@pytest.mark.parametrize("tilt_shear_mm", [0.0, np.tan(np.deg2rad(18.5)), -0.4])
def test_a_ramp_is_read_exactly_through_tilt_and_uneven_slices(tilt_shear_mm):
    volume, at = ramp(tilt_shear_mm)
    center = (0.0, 0.0, 60.0)
    read = to_model_grid(volume, center)
    x, y, z = grid_positions(center)
    # Inside the stack; 5 mm voxels over slices 4.22 and 7.38 mm apart average a bend only beside the one odd gap.
    wanted = at(x[None, None], y[None, :, None], z[:, None, None])
    rows = np.abs(y) < 50
    part = np.ix_([4, 5, 20, 21], rows, np.abs(x) < 100)
    assert read.shape == GRID_SHAPE and read.dtype == np.float32
    assert np.abs(read - wanted)[part].max() < 2e-3


def test_outside_the_scan_the_grid_is_padded():
    volume, _ = ramp(0.0)
    assert (to_model_grid(volume, (0.0, 0.0, 900.0)) == -1024.0).all()


def test_the_way_back_changes_soft_tissue_in_full_and_keeps_bone_air_and_what_lies_outside_exactly():
    volume = blocks([600] * 30, gap_mm=5.0)
    volume.hu[:, 40:60, 30:50] = 35.0
    center = calvarium_center(volume)
    result = add_to_native(volume, np.full(GRID_SHAPE, 10.0, np.float32), center)
    soft = volume.hu == 35.0
    assert np.array_equal(result[~soft], volume.hu[~soft])
    inside = np.abs(volume.z - center[2]) < 55
    assert result[inside][soft[inside]] == pytest.approx(45.0, abs=1e-4)
    below = volume.z < center[2] - 65
    assert below.any() and np.array_equal(result[below], volume.hu[below])


def test_a_volume_of_one_slice_or_with_doubled_slices_is_refused():
    hu = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(ValueError, match="two slices"):
        PlaneVolume(hu[:1], np.zeros(1), np.zeros(1), np.zeros(1), 1.0, 1.0)
    with pytest.raises(ValueError, match="increase"):
        PlaneVolume(hu, np.zeros(2), np.zeros(2), np.zeros(2), 1.0, 1.0)
