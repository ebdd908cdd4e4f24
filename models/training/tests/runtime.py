"""Components that a test may lack: skipped by name on a developer's machine, a failure in CI."""

import importlib.util
import os

import pytest


def need_onnxruntime() -> None:
    """Skips the calling test where onnxruntime is missing; fails it when CI=true."""
    if importlib.util.find_spec("onnxruntime"):
        return
    message = "onnxruntime is missing: pip install -r models/training/requirements-test.txt into models/training/.venv"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
