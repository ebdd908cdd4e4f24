"""Times the graph of a run in ONNX Runtime: `python3 -m hemocast_training.onnx_timing RUN JSON`.

Every provider that is there, CUDA and CPU.

The graph is uncalibrated and is thrown away; only its speed is looked at.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from .checkpoint import load_network
from .deployed import DeployedNetwork, FeatureCloud
from .network.config import MATRIX, SLICES
from .onnx_model import export_onnx

WANTED = ("CUDAExecutionProvider", "CPUExecutionProvider")
REPETITIONS = 20


def time_providers(run_folder: Path) -> dict:
    """Milliseconds per volume (median and range of 20 after two warm-up runs) by the provider that really ran."""
    import onnxruntime

    network, _ = load_network(run_folder)
    image = np.random.default_rng(0).normal(36, 10, (1, SLICES, MATRIX, MATRIX)).astype(np.float32)
    with torch.no_grad():
        width = network(torch.from_numpy(image)).pooled.shape[1]
    deployed = DeployedNetwork(network, 1.0, FeatureCloud(np.random.default_rng(1).normal(size=(2 * width, width))))
    found = {"onnxruntime": onnxruntime.__version__, "network": network.config.name, "providers": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        found["bytes"] = export_onnx(deployed, path)
        for provider in (name for name in WANTED if name in onnxruntime.get_available_providers()):
            session = onnxruntime.InferenceSession(str(path), providers=[provider])
            seconds = []
            for _ in range(REPETITIONS + 2):
                started = time.perf_counter()
                session.run(None, {"image": image})
                seconds.append(time.perf_counter() - started)
            times = 1000 * np.array(seconds[2:])
            # A provider that failed to start is replaced silently by the CPU: name what ran.
            ran = session.get_providers()[0]
            found["providers"][ran] = [round(float(t), 1) for t in (np.median(times), times.min(), times.max())]
    return found


if __name__ == "__main__":
    figures = time_providers(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
