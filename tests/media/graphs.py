"""Small ONNX graphs with the published inputs and outputs of face networks, that really
look at their picture."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Results of the graphs below for a face around a red spot, in strides from the spot's
# cell or in sides of a crop.
SCRFD_DISTANCES = (2.0, 3.0, 4.0, 5.0)
# Centre of the box, and logarithms of its width and height.
YUNET_BOX = (0.5, 0.5, np.log(4), np.log(5))


class Graph:
    """Collects nodes, constants and outputs, and writes them as a model.

    Values are named by the nodes that compute them.
    """

    def __init__(self, name: str, shape: list):
        info = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        self.inputs = [info]
        self.nodes = []
        self.constants = []
        self.outputs = []

    def constant(self, values) -> str:
        """Add a constant, and return its name."""
        name = f"constant{len(self.constants)}"
        tensor = numpy_helper.from_array(np.asarray(values), name)
        self.constants.append(tensor)
        return name

    def floats(self, values: np.ndarray) -> str:
        """Add a float32 constant."""
        return self.constant(values.astype(np.float32))

    def reshape(self, value: str, *shape: int, output: str | None = None) -> str:
        """Add a node that gives a value another shape."""
        return self.add("Reshape", value, self.constant(shape), output=output)

    def add(
        self, kind: str, *inputs: str, output: str | None = None, **attributes
    ) -> str:
        """Add a node, and return the name of its output."""
        output = output or f"value{len(self.nodes)}"
        node = helper.make_node(kind, inputs, [output], **attributes)
        self.nodes.append(node)
        return output

    def declare(self, name: str, shape: list):
        """Make a value an output of the network."""
        self.outputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        )

    def save(self, path: Path) -> Path:
        graph = helper.make_graph(
            self.nodes, "faces", self.inputs, self.outputs, self.constants
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6
        )
        onnx.save(model, str(path))
        return path


def pointwise(
    graph: Graph, source: str, weights: np.ndarray, biases: np.ndarray
) -> str:
    """Add a 1x1 convolution."""
    kernel = graph.floats(weights[:, :, None, None])
    return graph.add("Conv", source, kernel, graph.floats(biases), kernel_shape=[1, 1])


def save_scrfd(path: Path) -> Path:
    """`det_10g.onnx`: the score of a cell of stride 16 is its mean red; the second
    anchor is a little less sure."""
    graph = Graph("input.1", [1, 3, "height", "width"])
    names = {
        "score": ("448", "471", "494"),
        "box": ("451", "474", "497"),
        "points": ("454", "477", "500"),
    }
    widths = {"score": 1, "box": 4, "points": 10}
    for level, stride in enumerate((8, 16, 32)):
        cells = graph.add(
            "AveragePool",
            "input.1",
            kernel_shape=[stride, stride],
            strides=[stride, stride],
        )
        for kind, width in widths.items():
            weights = np.zeros((2 * width, 3))
            biases = np.zeros(2 * width)
            if kind == "score" and stride == 16:
                weights[:, 0] = 1.0, 0.9
            if kind == "box":
                distances = np.array(SCRFD_DISTANCES)
                biases[:] = np.concatenate([distances, 1.1 * distances])
            values = pointwise(graph, cells, weights, biases)
            # channels last, a row for each anchor
            rows = graph.add("Transpose", values, perm=[0, 2, 3, 1])
            name = names[kind][level]
            graph.reshape(rows, -1, width, output=name)
            graph.declare(name, ["n", width])
    # all scores come first, then all boxes, then all points
    order = [*names["score"], *names["box"], *names["points"]]
    graph.outputs.sort(key=lambda output: order.index(output.name))
    return graph.save(path)


def middle_of_red(
    graph: Graph, source: str, side: int, full: float, low: float, high: float
) -> str:
    """(1, 2): where the middle of all red lies, the picture's edges being `low` and
    `high`.

    Red counts only between 0.4 and 1.2 of `full`, so that pixels in another scale
    leave nothing to divide by.
    """
    red_channel = np.array([[1.0, 0, 0]])
    # positive between the two bounds, zero outside of them
    excess = pointwise(graph, source, red_channel, np.array([-0.4 * full]))
    reserve = pointwise(graph, source, -red_channel, np.array([1.2 * full]))
    above = graph.add("Relu", excess)
    below = graph.add("Relu", reserve)
    red = graph.add("Mul", above, below)
    # the mean place of red, along x and along y
    shares = np.arange(side) / side
    places = low + (high - low) * shares
    total = graph.add("ReduceSum", red, axes=[1, 2, 3], keepdims=0)
    middles = []
    for grid in (places[None, None, None, :], places[None, None, :, None]):
        weighted = graph.add("Mul", red, graph.floats(grid))
        summed = graph.add("ReduceSum", weighted, axes=[1, 2, 3], keepdims=0)
        middle = graph.add("Div", summed, total)
        middles.append(graph.reshape(middle, 1, 1))
    return graph.add("Concat", *middles, axis=1)


def declare_points(
    graph: Graph, middle: str, offsets: np.ndarray, follow: np.ndarray, output: str
):
    """Declare (1, 2k): offsets, from the middle where `follow` is one, from the
    picture's corner where it is zero."""
    base = graph.add("Mul", middle, graph.floats(follow[:, None]))
    points = graph.add("Add", base, graph.floats(offsets))
    graph.reshape(points, 1, -1, output=output)
    graph.declare(output, [1, 2 * len(offsets)])


def save_landmarks(path: Path, offsets: np.ndarray) -> Path:
    """`2d106det.onnx`: pixels 0 to 255 in, points in [-1, 1] around the middle of red
    out."""
    graph = Graph("data", ["None", 3, 192, 192])
    middle = middle_of_red(graph, "data", 192, 255.0, -1.0, 1.0)
    declare_points(graph, middle, offsets, np.ones(len(offsets)), "fc1")
    return graph.save(path)


def save_fine_landmarks(path: Path, offsets: np.ndarray, follow: np.ndarray) -> Path:
    """`landmark.onnx`: pixels 0 to 1 in; the third output holds points in [0, 1]."""
    graph = Graph("input", [1, 3, 224, 224])
    middle = middle_of_red(graph, "input", 224, 1.0, 0.0, 1.0)
    # the first two outputs are not read
    for name in ("output", "853"):
        declare_points(graph, middle, np.zeros((8, 2)), np.ones(8), name)
    declare_points(graph, middle, offsets, follow, "856")
    return graph.save(path)


def save_yunet(path: Path, points: np.ndarray) -> Path:
    """`face_detection_yunet_2023mar.onnx`: as `save_scrfd`, with five points in strides
    from the cell."""
    graph = Graph("input", [1, 3, 640, 640])
    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    for stride in (8, 16, 32):
        cells = graph.add(
            "AveragePool",
            "input",
            kernel_shape=[stride, stride],
            strides=[stride, stride],
        )
        for kind, width in widths.items():
            weights = np.zeros((width, 3))
            biases = np.zeros(width)
            if width == 1 and stride == 16:
                weights[0, 2] = 1 / 255  # channels are blue, green, red
            if kind == "bbox":
                biases[:] = YUNET_BOX
            if kind == "kps":
                biases[:] = points.ravel()
            values = pointwise(graph, cells, weights, biases)
            rows = graph.add("Transpose", values, perm=[0, 2, 3, 1])
            name = f"{kind}_{stride}"
            graph.reshape(rows, 1, -1, width, output=name)
            cell_count = (640 // stride) ** 2
            graph.declare(name, [1, cell_count, width])
    # outputs of one kind stand together, by ascending stride
    order = [f"{kind}_{stride}" for kind in widths for stride in (8, 16, 32)]
    graph.outputs.sort(key=lambda output: order.index(output.name))
    return graph.save(path)
