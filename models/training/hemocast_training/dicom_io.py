"""CT series in DICOM: read a folder into a PlaneVolume, write a PlaneVolume as a CT Image Storage series.

Reading follows PS3.3 C.7.6.2 (Image Position and Orientation), C.11.1 (rescale) and docs/bundle.md ("Axes"), and refuses
what training cannot use by the codes of the service: mixed series, missing geometry, colour. Pixel data that pydicom cannot decode by itself (JPEG
Lossless) is decompressed by `dcmdjpeg` of DCMTK, writing by `dcmcjpeg`; both are in the Debian package `dcmtk`.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from .head_grid import PAD_HU, PlaneVolume
from .refusal import MissingTool, Refused
from .series_choice import is_dicom

SAME_POSITION_MM = 0.05  # no CT table moves in smaller steps
UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True)
class Series:
    """A CT series as read: the volume, and the native arrangement needed to write something back.

    first: the dataset of the lowest slice without its pixels; paths: files in slice order; axes: [3, 3], the rows are the
    unit vectors X, Y, Z of the image planes in patient coordinates (LPS).
    """

    volume: PlaneVolume
    first: Dataset
    paths: tuple[Path, ...]
    axes: np.ndarray


def read_series(folder: Path) -> Series:
    """Read every DICOM file of a folder as one CT series.

    Raises ValueError that names the file and what is wrong: not CT, more than one series, missing or inconsistent
    geometry, fewer than two slices.
    """
    return read_files(sorted(path for path in Path(folder).iterdir() if path.is_file() and is_dicom(path)), folder)


def read_files(files: list[Path], folder: Path) -> Series:
    """The same for chosen files; `folder` names them in messages."""
    if len(files) < 2:
        raise Refused("too-few-slices", "%s holds %d DICOM files; a series needs at least two slices" % (folder, len(files)))
    datasets = [_read_decoded(path) for path in files]
    if len({str(d.get("SeriesInstanceUID", "")) for d in datasets}) != 1:
        raise Refused("geometry-inconsistent", "%s mixes several series; give one folder per series" % folder)
    for path, data in zip(files, datasets):
        _require(path, data)
    right, down, normal, swap = _axes(files[0], datasets[0])
    slices = []
    for path, data in zip(files, datasets):
        if not np.allclose(data.ImageOrientationPatient, datasets[0].ImageOrientationPatient, atol=1e-4):
            raise Refused("geometry-inconsistent", "%s: its orientation differs from the other slices" % path)
        if not np.allclose(np.array(data.PixelSpacing, float), np.array(datasets[0].PixelSpacing, float), rtol=1e-4):
            raise Refused("geometry-inconsistent", "%s: its pixel spacing differs from the other slices" % path)
        slices.append(_slice(data, right, down, normal, swap))
    order = np.argsort([s[3] for s in slices], kind="stable")
    if len({s[0].shape for s in slices}) != 1:
        raise Refused("geometry-inconsistent", "%s: slices differ in size" % folder)
    row_mm, column_mm = (float(v) for v in datasets[0].PixelSpacing)
    dy, dx = (column_mm, row_mm) if swap else (row_mm, column_mm)
    z = np.array([slices[i][3] for i in order])
    if (np.diff(z) < SAME_POSITION_MM).any():
        raise Refused("duplicate-slices", "%s: two slices share a position; give one reconstruction" % folder)
    volume = PlaneVolume(
        hu=np.stack([slices[i][0] for i in order]),
        x=np.array([slices[i][1] for i in order]),
        y=np.array([slices[i][2] for i in order]),
        z=z,
        dx=dx,
        dy=dy,
    )
    first = datasets[order[0]]
    del first.PixelData
    return Series(volume, first, tuple(files[i] for i in order), np.stack([right, down, normal]))


def write_series(datasets: list[FileDataset], folder: Path, compress: bool = True) -> None:
    """Write slices as 001.dcm, 002.dcm, ...; JPEG Lossless SV1 (1.2.840.10008.1.2.4.70) unless compress is False."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(datasets, 1):
        path = folder / ("%03d.dcm" % number)
        data.save_as(path, write_like_original=False)
        if compress:
            # +e1: JPEG Lossless, first-order prediction; the pixels survive bit by bit. +un keeps the instance UID.
            _dcmtk("dcmcjpeg", "+e1", "+un", str(path), str(path))


def ct_slice(pixels: np.ndarray, attributes: dict) -> FileDataset:
    """One CT Image Storage instance, Explicit VR Little Endian, with `attributes` by DICOM keyword.

    pixels: uint16 [rows, columns], stored values; attributes must hold SOPInstanceUID and the geometry.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = attributes["SOPInstanceUID"]
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "2.25.250178236415347129741862190312463017233"
    meta.ImplementationVersionName = "HEMOCAST"
    data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data.is_little_endian, data.is_implicit_VR = True, False
    data.SOPClassUID = CTImageStorage
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    data.Rows, data.Columns = (int(n) for n in pixels.shape)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    return data


def _dcmtk(tool: str, *arguments: str) -> None:
    if shutil.which(tool) is None:
        raise MissingTool("%s is missing: install DCMTK (Debian package dcmtk) and run the command again" % tool)
    done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        reason = "%s failed on %s: %s" % (tool, arguments[-2], done.stderr.strip().splitlines()[-1:])
        raise Refused("transfer-syntax-unsupported", reason)


def _read_decoded(path: Path) -> Dataset:
    data = pydicom.dcmread(path)
    syntax = data.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise Refused("dicom-malformed", "%s does not say how it is encoded (Transfer Syntax UID)" % path)
    if syntax in UNCOMPRESSED:
        return data
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain.dcm"
        _dcmtk("dcmdjpeg", str(path), str(plain))
        return pydicom.dcmread(io.BytesIO(plain.read_bytes()))


def _require(path: Path, data: Dataset) -> None:
    if data.get("SOPClassUID") != CTImageStorage:
        raise Refused("sop-class-not-supported", "%s is not a CT image (SOP class %s)" % (path, data.get("SOPClassUID")))
    needed = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
    for keyword in (*needed, "PixelData"):
        if data.get(keyword) in (None, ""):
            code = "rescale-missing" if keyword.startswith("Rescale") else "geometry-missing"
            code = "dicom-malformed" if keyword == "PixelData" else code
            raise Refused(code, "%s lacks %s, without which its HU or geometry would be a guess" % (path, keyword))
    if data.SamplesPerPixel != 1:
        raise Refused("photometric-interpretation-unsupported", "%s is a colour image" % path)


def _axes(path: Path, data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Unit vectors X (+L), Y (+P), Z (+S) of the image planes, and whether rows run along Y."""
    row = np.array(data.ImageOrientationPatient[:3], dtype=float)
    column = np.array(data.ImageOrientationPatient[3:], dtype=float)
    if abs(row @ column) > 1e-3 or abs(row @ row - 1) > 1e-2 or abs(column @ column - 1) > 1e-2:
        reason = "%s: image orientation is not a pair of perpendicular unit vectors" % path
        raise Refused("geometry-inconsistent", reason)
    swap = abs(column[0]) > abs(row[0])
    right, down = (column, row) if swap else (row, column)
    right = right if right[0] > 0 else -right
    down = down if down[1] > 0 else -down
    normal = np.cross(right, down)
    return right, down, normal if normal[2] > 0 else -normal, swap


def _slice(data: Dataset, right, down, normal, swap) -> tuple[np.ndarray, float, float, float]:
    """HU float32 with rows to +P and columns to +L, and the position (x, y, z) of its first voxel."""
    stored = data.pixel_array
    hu = stored.astype(np.float32) * np.float32(data.RescaleSlope) + np.float32(data.RescaleIntercept)
    # As the service: padding, and whatever would attenuate less than vacuum, is -1024.
    hu = np.maximum(np.where(_padding(data, stored), np.float32(PAD_HU), hu), np.float32(PAD_HU))
    corner = np.array(data.ImagePositionPatient, dtype=float)
    row_mm, column_mm = (float(v) for v in data.PixelSpacing)
    # Step from one column, and one row, of the stored image to the next.
    steps = [np.array(data.ImageOrientationPatient[:3], dtype=float) * column_mm,
             np.array(data.ImageOrientationPatient[3:], dtype=float) * row_mm]
    if swap:
        hu, steps = hu.T, steps[::-1]
    rows, columns = hu.shape
    if steps[0] @ right < 0:
        hu, corner = hu[:, ::-1], corner + steps[0] * (columns - 1)
    if steps[1] @ down < 0:
        hu, corner = hu[::-1], corner + steps[1] * (rows - 1)
    return np.ascontiguousarray(hu), float(corner @ right), float(corner @ down), float(corner @ normal)


def _padding(data: Dataset, stored: np.ndarray) -> np.ndarray:
    """Where stored values are padding (PS3.3 C.7.5.1.1.2): the value, and all up to the range limit where one is stated."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, bool)
    ends = sorted(_with_sign(int(end), stored.dtype) for end in (value, data.get("PixelPaddingRangeLimit", value)))
    return (stored >= ends[0]) & (stored <= ends[1])


def _with_sign(value: int, dtype: np.dtype) -> int:
    """Some senders encode the padding value with the wrong sign: the same 16 bits, read with the sign of the pixels."""
    if dtype.kind == "i" and value > 32767:
        return value - 65536
    return value + 65536 if dtype.kind == "u" and value < 0 else value
