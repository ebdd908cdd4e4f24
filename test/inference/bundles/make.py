"""Writes the two bundles of this folder: networks small enough for a software GPU (0.01 GFLOP) that show nothing medical.

`small`: convolutions, a softmax and elementwise work, so that an execution provider has something of every kind to get right.
`endless`: the same, but for an image with a voxel above 3000 HU it counts and never comes to an end.
The golden outputs are those of the reference implementation of ONNX, not of ONNX Runtime.
Run: python make.py (onnx >= 1.14).
"""
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SHAPE = (24, 32, 32)
COARSE = (24, 8, 8)
HERE = Path(__file__).parent


def constant(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def weights(name, shape, random):
    return constant(name, random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape))


def initializers(channels):
    random = np.random.default_rng(7)
    return [
        constant("low", -50), constant("high", 200), constant("hundred", 100), constant("washout", 8),
        constant("flat", [0, -1], np.int64), constant("volume", [0, *COARSE], np.int64),
        weights("w1", (channels, 24, 3, 3), random), weights("w2", (24, channels, 3, 3), random), constant("squeeze", [1], np.int64),
    ]


PAD = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
NODES = [
    helper.make_node("Clip", ["image", "low", "high"], ["windowed"]),
    helper.make_node("Div", ["windowed", "hundred"], ["scaled"]),
    helper.make_node("Conv", ["scaled", "w1"], ["c1"], **PAD),
    helper.make_node("Relu", ["c1"], ["r1"]),
    helper.make_node("Conv", ["r1", "w2"], ["c2"], **PAD),
    helper.make_node("Sigmoid", ["c2"], ["gate"]),
    helper.make_node("Mul", ["gate", "washout"], ["change"]),
    helper.make_node("Sub", ["image", "change"], ["follow_up"]),
    helper.make_node("AveragePool", ["c2"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
    helper.make_node("Reshape", ["pooled", "flat"], ["flattened"]),
    helper.make_node("Softmax", ["flattened"], ["weights"], axis=1),
    helper.make_node("Reshape", ["weights", "volume"], ["attention"]),
    helper.make_node("ReduceMean", ["flattened"], ["mean"], axes=[1], keepdims=0),
]
#: counts to 1 for a head, and to 9e18 where there is something as dense as metal
LOOP_INITIALIZERS = [constant("metal", 3000), constant("very_often", 9e18, np.int64), constant("once", 1, np.int64),
                     constant("yes", True, bool), constant("zero", 0), constant("next", 1e-9)]
LOOP_BODY = helper.make_graph(
    [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node("Add", ["sum_in", "next"], ["sum_out"])],
    "count",
    [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
     helper.make_tensor_value_info("sum_in", TensorProto.FLOAT, [])],
    [helper.make_tensor_value_info("go_out", TensorProto.BOOL, []), helper.make_tensor_value_info("sum_out", TensorProto.FLOAT, [])],
)
LOOP_NODES = [
    helper.make_node("ReduceMax", ["image"], ["densest"], keepdims=0),
    helper.make_node("Greater", ["densest", "metal"], ["is_metal"]),
    helper.make_node("Where", ["is_metal", "very_often", "once"], ["times"]),
    helper.make_node("Loop", ["times", "yes", "zero"], ["counted"], body=LOOP_BODY),
    helper.make_node("Mul", ["counted", "zero"], ["nothing"]),
    helper.make_node("Add", ["mean", "nothing"], ["logit"]),
]
END = [
    helper.make_node("Sigmoid", ["logit"], ["probability"]),
    helper.make_node("Abs", ["logit"], ["ood_score"]),
]


def network(endless, channels):
    middle = LOOP_NODES if endless else [helper.make_node("Identity", ["mean"], ["logit"])]
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
    graph = helper.make_graph(
        NODES + middle + END, "small", [value("image", *SHAPE)],
        [value("logit"), value("probability"), value("follow_up", *SHAPE), value("attention", *COARSE), value("ood_score")],
        initializers(channels) + (LOOP_INITIALIZERS if endless else []),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model


def summarize(volume):
    at = np.linspace(0, volume.size - 1, 64).astype(int)
    return {"mean": float(volume.mean()), "sd": float(volume.std()), "samples": [[int(i), float(volume.flat[i])] for i in at]}


def write(name, endless=False, channels=32):
    folder = HERE / name
    for part in ("configs", "models", "golden", "docs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    model = network(endless, channels)
    serialized = model.SerializeToString()
    (folder / "models/model.onnx").write_bytes(serialized)
    disclaimer = "Research use only, trained on simulated data, not a medical device."
    (folder / "docs/README.md").write_text(f"# hemocast-{name}\n\nA network for tests: it knows nothing. {disclaimer}\n")
    sha256 = hashlib.sha256(serialized).hexdigest()
    output = lambda shape, unit, range_: {"dtype": "float32", "shape": [1, *shape], "unit": unit, "range": range_}
    metadata = {
        "name": f"hemocast-{name}", "version": "0.0.1", "created": "2026-11-26", "disclaimer": disclaimer,
        "description": "A network for tests.", "intended_use": "Tests.", "training_data": "None.", "license": "Apache-2.0",
        "files": {"models/model.onnx": {"sha256": sha256, "bytes": len(serialized)}},
        "network_data_format": {
            "inputs": {"image": {"dtype": "float32", "shape": [1, *SHAPE], "unit": "HU", "spacing_mm": [5, 6, 6],
                                 "pad_hu": -1024, "centering": "calvarium-v1", "axes": "SPL"}},
            "outputs": {"logit": output([], "1", None), "probability": output([], "1", [0, 1]),
                        "follow_up": output(SHAPE, "HU", [-1040, 4000]), "attention": output(COARSE, "1", [0, 1]),
                        "ood_score": output([], "1", [0, None])},
        },
        "calibration": {"method": "none", "temperature": 1, "prevalence": 0.5, "interval": None,
                        "interval_absent_reason": "A network for tests."},
        "ood": {"threshold": 1000, "quantile": 0.99, "action": "flag"},
        "follow_up_range_hu": [-1040, 4000],
    }
    (folder / "configs/metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")

    slices, rows, columns = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    image = (40 + 30 * np.sin(columns / 3) + 20 * np.cos(rows / 5) + slices).round().astype("<i2")
    names = ["logit", "probability", "ood_score", "follow_up", "attention"]
    logit, probability, ood_score, *volumes = ReferenceEvaluator(model).run(names, {"image": image[None].astype(np.float32)})
    follow_up, attention = map(summarize, volumes)
    golden = {
        "tolerance": {"weight": 1e-12, "resampled_hu": 0.02, "logit": 1e-3, "probability": 1e-4, "ood_score": 1e-3,
                      "follow_up_hu": 0.05, "attention": 1e-5},
        "weights": [],
        "start_check": {
            "input": "input-00.i16.gz", "logit": float(logit[0]), "probability": float(probability[0]),
            "ood_score": float(ood_score[0]), "follow_up": follow_up, "attention": attention,
        },
        "dicom": [],
    }
    (folder / "golden/golden.json").write_text(json.dumps(golden, indent=2) + "\n")
    with open(folder / "golden/input-00.i16.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(image.tobytes())


if __name__ == "__main__":
    write("small")
    write("endless", endless=True)
    #: ONNX Runtime's WebGPU (1.30) computes a convolution of 75 input channels wrongly
    write("other-on-webgpu", channels=75)
