"""The golden figures' stand-in for HuBERT-large, as an ONNX graph that the real runtime
runs.

It is described in `tests/golden/ditto/README.md`.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxportrait.features.onnx import WIDTH

HOP = 320
FIELD = 400
"""Samples from one row to the next, and those that a row sees."""
MARGIN = FIELD - HOP


def write_stub(path: Path, samples: int) -> Path:
    """Write the graph for chunks of so many samples, and return its path.

    Raises:
      ModuleNotFoundError: the package onnx is not installed.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rows = (samples - MARGIN) // HOP
    channel = np.arange(WIDTH)
    # Weights in float64, as the golden stand-in computes.
    constants = {
        "windows": _windows(samples, rows).T,
        "ramp": ((1 + np.arange(samples) / samples) / samples)[:, None],
        "cosine": 8 * np.cos(0.05 * channel)[None],
        "sine": 8 * np.sin(0.05 * channel)[None],
        "offset": 0.1 * np.cos(0.3 * np.arange(rows)[:, None] + 0.01 * channel),
        "column": np.array([rows, 1], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["input_values"], ["x"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["x", "windows"], ["flat_means"]),
        helper.make_node("Reshape", ["flat_means", "column"], ["means"]),
        helper.make_node("MatMul", ["x", "ramp"], ["loudness"]),
        helper.make_node("MatMul", ["means", "cosine"], ["waves"]),
        helper.make_node("MatMul", ["loudness", "sine"], ["shift"]),
        helper.make_node("Sum", ["waves", "shift", "offset"], ["total"]),
        helper.make_node("Cast", ["total"], ["encoding_out"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "stub",
        [
            helper.make_tensor_value_info(
                "input_values", TensorProto.FLOAT, [1, samples]
            )
        ],
        [
            helper.make_tensor_value_info(
                "encoding_out", TensorProto.FLOAT, [rows, WIDTH]
            )
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    # The newest format that older runtimes read.
    model.ir_version = 8
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def _windows(samples: int, rows: int) -> Float[np.ndarray, "rows samples"]:
    """Return the weights by which each row averages the samples that it sees."""
    weights = np.zeros((rows, samples))
    for row in range(rows):
        weights[row, HOP * row : HOP * row + FIELD] = 1 / FIELD
    return weights
