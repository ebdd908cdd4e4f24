"""From PyTorch to model.onnx, and the proof that both compute the same."""

import os
import sys
import warnings
from pathlib import Path
from typing import Dict, List

import numpy as np
import torch

from .deployed import OUTPUTS, DeployedNetwork
from .network.config import MATRIX, SLICES

OPSET = 15
LEAST_HALF_SIZE = 256
"""Smaller tensors would gain nothing."""

PARITY_RELATIVE = 1e-3
PARITY_ABSOLUTE = {"logit": 1e-4, "probability": 1e-5, "follow_up": 0.01, "attention": 1e-6, "ood_score": 1e-4}


class OnnxRuntimeMissing(ImportError):
    """onnxruntime is not importable; the message says how to install it."""


def export_onnx(network: DeployedNetwork, path: Path) -> int:
    """Writes the graph with a dynamic batch axis `n`; returns its size in bytes.

    Constant folding stays off: it expands every small constant into the file. Windows, calibration and buffers are part
    of the graph, so the consumer sends plain HU.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.full((1, SLICES, MATRIX, MATRIX), 30.0)
    names = ("image",) + OUTPUTS
    options = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            opset_version=OPSET,
            do_constant_folding=False,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "n"} for name in names},
            **options,
        )
    pad_convolutions(path)
    return os.path.getsize(path)


def pad_convolutions(path: Path) -> None:
    """Gives convolutions whose input channels are a multiple of three, but not of four, empty ones up to a multiple of four. The
    numbers stay the same.

    ONNX Runtime's WebGPU provider (1.30, on Vulkan) reads such an input three channels at a time and wrongly: 75 and 78 channels
    give another result than on the CPU, 73, 76 and 77 the same (3 x 3 kernel, 32 channels out).
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(path))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            stored = weights[node.input[1]]
            values = numpy_helper.to_array(stored)
            channels, more = values.shape[1], -values.shape[1] % 4
            grouped = any(attribute.name == "group" and attribute.i != 1 for attribute in node.attribute)
            if channels > 3 and channels % 3 == 0 and more and not grouped:
                wider = np.pad(values, [(0, 0), (0, more), (0, 0), (0, 0)])
                stored.CopyFrom(numpy_helper.from_array(wider, stored.name))
                pads = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, more, 0, 0], np.int64), node.name + ".pads")
                model.graph.initializer.append(pads)
                nodes.append(helper.make_node("Pad", [node.input[0], pads.name], [node.name + ".padded"], node.name + ".pad"))
                node.input[0] = node.name + ".padded"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def store_half(path: Path) -> int:
    """Stores what float16 holds exactly (`checkpoint.round_to_half`) as float16, cast to float32 in the graph; the same
    numbers in half of the bytes. Returns the new size."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < LEAST_HALF_SIZE or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        stored = numpy_helper.from_array(half, name + ".half")
        model.graph.initializer[index].CopyFrom(stored)
        casts.append(helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))
    return os.path.getsize(path)


def open_session(path: Path, threads: int = 1):
    """An onnxruntime CPU session on a model file; OnnxRuntimeMissing with the install command where it is absent."""
    try:
        import onnxruntime
    except ImportError as error:
        raise OnnxRuntimeMissing(
            f"onnxruntime is not installed for {sys.executable}: python3 -m venv --system-site-packages .venv && "
            ".venv/bin/pip install -r requirements-test.txt"
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def infer(session, images: np.ndarray) -> Dict[str, np.ndarray]:
    """Named outputs for float32 HU [n, 24, 128, 128]."""
    return dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"image": np.asarray(images, np.float32)})))


@torch.no_grad()
def check_parity(network: DeployedNetwork, session, batches: List[np.ndarray]) -> Dict[str, float]:
    """Largest absolute difference of each output over batches of any size; ValueError beyond the tolerance.

    Batches of different sizes prove that the batch axis is dynamic.
    """
    largest = {name: 0.0 for name in OUTPUTS}
    for images in batches:
        expected = network(torch.from_numpy(np.asarray(images, np.float32)))
        found = infer(session, images)
        for name, tensor in zip(OUTPUTS, expected):
            actual, wanted = found[name], tensor.numpy()
            allowed = PARITY_ABSOLUTE[name] + PARITY_RELATIVE * np.abs(wanted)
            difference = np.abs(actual - wanted)
            if actual.shape != wanted.shape or not (difference <= allowed).all():
                raise ValueError(f"{name} differs between PyTorch and ONNX Runtime by up to {difference.max():.3g}.")
            largest[name] = max(largest[name], float(difference.max()))
    return largest
