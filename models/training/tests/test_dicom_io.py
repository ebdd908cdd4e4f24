"""CT series in DICOM: what is written is read back voxel by voxel, through gantry tilt and flipped storage."""

import numpy as np
import pytest
from pydicom.uid import generate_uid

from hemocast_training.dicom_io import ct_slice, read_series, write_series
from hemocast_training.native_series import plane_axes

from runtime import need_dcmtk, need_test_data

ROWS, COLUMNS, ROW_MM, COLUMN_MM = 24, 16, 0.75, 0.5
# The gantry tilts of the public head series lie between these.
TILTS_DEG = [0.0, 18.5, -25.0]


def stored_slices(tilt_deg=0.0, count=5, uneven=False, **changes):
    """Slices along the table's axis, each with pixels of its own; `changes` replace attributes of all of them."""
    right, down, _ = plane_axes(tilt_deg)
    random, series = np.random.default_rng(7), generate_uid(entropy_srcs=["series"])
    found = []
    for i in range(count):
        position = np.array([-4.0, -9.0, i * 5.0 + (1.3 if uneven and i > 2 else 0.0)])
        attributes = {
            "SOPInstanceUID": generate_uid(entropy_srcs=["slice", str(i)]),
            "SeriesInstanceUID": series,
            "PatientID": "T", "Modality": "CT",
            "ImageOrientationPatient": [float(v) for v in (*right, *down)],
            "ImagePositionPatient": [float(v) for v in position],
            "PixelSpacing": [ROW_MM, COLUMN_MM],
            "RescaleSlope": 1, "RescaleIntercept": -1024,
            **changes,
        }
        found.append(ct_slice(random.integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16), attributes))
    return found


def hounsfield(data):
    return np.frombuffer(data.PixelData, "<u2").reshape(ROWS, COLUMNS).astype(np.float32) - 1024


@pytest.mark.parametrize("tilt_deg", TILTS_DEG)
def test_a_series_comes_back_with_its_pixels_and_every_voxel_where_the_scanner_put_it(tmp_path, tilt_deg):
    slices = stored_slices(tilt_deg, uneven=True)
    write_series(slices, tmp_path, compress=False)
    volume = read_series(tmp_path).volume
    assert (volume.hu == np.stack([hounsfield(data) for data in slices])).all()
    assert (volume.dy, volume.dx) == (ROW_MM, COLUMN_MM)
    right, down, normal = plane_axes(tilt_deg)
    # PS3.3 C.7.6.2.1.1: position of the voxel in column 3, row 10, from the attributes, against the volume's own axes.
    for i, data in enumerate(slices):
        expected = np.array(data.ImagePositionPatient, float) + 3 * COLUMN_MM * right + 10 * ROW_MM * down
        found = (volume.x[i] + 3 * COLUMN_MM) * right + (volume.y[i] + 10 * ROW_MM) * down + volume.z[i] * normal
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("tilt_deg", TILTS_DEG[1:])
def test_tilt_shifts_the_rows_of_each_slice_and_narrows_the_distance_between_planes(tmp_path, tilt_deg):
    write_series(stored_slices(tilt_deg), tmp_path, compress=False)
    volume = read_series(tmp_path).volume
    angle = np.deg2rad(tilt_deg)
    assert np.diff(volume.z) == pytest.approx(5.0 * np.cos(angle), abs=1e-6)
    assert np.diff(volume.y) == pytest.approx(-5.0 * np.sin(angle), abs=1e-6)


def test_a_real_tilted_series_has_its_slices_along_the_normal_and_its_shear_in_the_rows():
    # GE HiSpeed, tilted by 18.5 degrees; table steps from its headers.
    volume = read_series(need_test_data("ge_hispeed_head_tilt")).volume
    table = np.array([4.22] * 13 + [1.14] + [7.38] * 13)
    assert volume.hu.shape == (28, 512, 512)
    assert np.diff(volume.z) == pytest.approx(table * np.cos(np.deg2rad(18.5)), abs=0.01)
    assert np.diff(volume.y) == pytest.approx(-table * np.sin(np.deg2rad(18.5)), abs=0.01)


def test_slices_are_ordered_by_position_whatever_their_file_names(tmp_path):
    slices = stored_slices()
    write_series(slices[::-1], tmp_path, compress=False)
    series = read_series(tmp_path)
    assert (series.volume.hu == np.stack([hounsfield(data) for data in slices])).all()
    assert series.first.SOPInstanceUID == slices[0].SOPInstanceUID
    assert [path.name for path in series.paths] == ["005.dcm", "004.dcm", "003.dcm", "002.dcm", "001.dcm"]


def test_images_stored_upside_down_mirrored_or_transposed_are_the_same_volume(tmp_path):
    write_series(stored_slices(18.5), tmp_path / "plain", compress=False)
    plain = read_series(tmp_path / "plain").volume
    right, down, _ = plane_axes(18.5)
    arrangements = {
        "mirrored": (lambda p: p[:, ::-1], -right, down, right * COLUMN_MM * (COLUMNS - 1), (ROW_MM, COLUMN_MM)),
        "upside-down": (lambda p: p[::-1], right, -down, down * ROW_MM * (ROWS - 1), (ROW_MM, COLUMN_MM)),
        "transposed": (lambda p: p.T, down, right, 0 * right, (COLUMN_MM, ROW_MM)),
    }
    for name, (arrange, row, column, corner, spacing) in arrangements.items():
        slices = []
        for data in stored_slices(18.5):
            pixels = arrange(np.frombuffer(data.PixelData, "<u2").reshape(ROWS, COLUMNS))
            kept = {element.keyword: element.value for element in data if element.keyword in (
                "SOPInstanceUID", "SeriesInstanceUID", "RescaleSlope", "RescaleIntercept")}
            slices.append(ct_slice(pixels, {
                **kept, "ImageOrientationPatient": [float(v) for v in (*row, *column)], "PixelSpacing": list(spacing),
                "ImagePositionPatient": [float(v) for v in np.array(data.ImagePositionPatient, float) + corner],
            }))
        write_series(slices, tmp_path / name, compress=False)
        volume = read_series(tmp_path / name).volume
        assert (volume.hu == plain.hu).all(), name
        for axis in ("x", "y", "z", "dx", "dy"):
            assert getattr(volume, axis) == pytest.approx(getattr(plain, axis), abs=1e-6), (name, axis)


def test_lossless_compression_keeps_every_pixel_and_the_identity_of_every_image(tmp_path):
    need_dcmtk()
    slices = stored_slices(count=2)
    write_series(slices, tmp_path)
    series = read_series(tmp_path)
    assert (series.volume.hu == np.stack([hounsfield(data) for data in slices])).all()
    assert series.first.SOPInstanceUID == slices[0].SOPInstanceUID


class TestRefusals:
    """What would make HU or geometry a guess is refused with the file and the reason."""

    def refused(self, folder, slices, message):
        write_series(slices, folder, compress=False)
        with pytest.raises(ValueError, match=message):
            read_series(folder)

    @pytest.mark.parametrize(
        "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"]
    )
    def test_an_image_without_its_geometry_or_scale(self, tmp_path, keyword):
        slices = stored_slices()
        delattr(slices[3], keyword)
        self.refused(tmp_path, slices, "004.dcm lacks " + keyword)

    def test_another_kind_of_image(self, tmp_path):
        self.refused(tmp_path, stored_slices(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "is not a CT image")

    def test_two_series_in_one_folder(self, tmp_path):
        slices = stored_slices()
        slices[1].SeriesInstanceUID = generate_uid()
        self.refused(tmp_path, slices, "mixes several series")

    def test_an_image_in_another_orientation(self, tmp_path):
        slices = stored_slices()
        slices[2].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        self.refused(tmp_path, slices, "003.dcm: its orientation differs")

    def test_axes_that_are_not_perpendicular(self, tmp_path):
        self.refused(tmp_path, stored_slices(ImageOrientationPatient=[1, 0, 0, 0.5, 0.8, 0]), "perpendicular unit vectors")

    def test_two_images_at_one_position(self, tmp_path):
        self.refused(tmp_path, stored_slices(ImagePositionPatient=[0, 0, 0]), "share a position")

    def test_a_single_image(self, tmp_path):
        self.refused(tmp_path, stored_slices(count=1), "at least two slices")
