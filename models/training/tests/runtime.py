"""Components that a test may lack: skipped by name on a developer's machine, a failure in CI."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

TEST_DATA = Path(os.environ.get("HEMOCAST_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data")


def need_onnxruntime() -> None:
    """Skips the calling test where onnxruntime is missing; fails it when CI=true."""
    if not importlib.util.find_spec("onnxruntime"):
        _refuse("onnxruntime is missing: pip install -r models/training/requirements-test.txt into models/training/.venv")


def need_monai() -> None:
    """Skips the calling test where MONAI is missing; fails it when CI=true."""
    if not importlib.util.find_spec("monai"):
        _refuse("MONAI is missing: pip install -r models/training/requirements-test.txt into models/training/.venv")


def need_simpleitk() -> None:
    """Skips the calling test where SimpleITK is missing; fails it when CI=true."""
    if not importlib.util.find_spec("SimpleITK"):
        _refuse("SimpleITK is missing: pip install -r models/training/requirements-test.txt into models/training/.venv")


def need_test_data(folder: str) -> Path:
    """A folder of the public test data; without it the calling test is skipped, or fails when CI=true."""
    path = TEST_DATA / folder
    if not path.is_dir():
        _refuse(f"the public test data lacks {folder}: HEMOCAST_TEST_DATA names its folder")
    return path


def need_dcmtk() -> None:
    """Skips the calling test where DCMTK is missing; fails it when CI=true."""
    if not (shutil.which("dcmcjpeg") and shutil.which("dcmdjpeg")):
        _refuse("DCMTK is missing: install the Debian package dcmtk")


def need_node() -> str:
    """The Node.js that runs the service; without it the calling test is skipped, or fails when CI=true."""
    node = Path(__file__).resolve().parents[3] / "node_modules" / ".bin" / "node"
    if not node.exists():
        _refuse("the service is not installed: npm ci in the repository's root")
    return str(node)


def _refuse(message: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
