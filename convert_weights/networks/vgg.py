"""The key map of VGG-19."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.vgg import VGGConfig

LAYERS: Table = (
    ("features.0",   "stages.0.0",  "conv2d"),
    ("features.2",   "stages.0.1",  "conv2d"),
    ("features.5",   "stages.1.0",  "conv2d"),
    ("features.7",   "stages.1.1",  "conv2d"),
    ("features.10",  "stages.2.0",  "conv2d"),
    ("features.12",  "stages.2.1",  "conv2d"),
    ("features.14",  "stages.2.2",  "conv2d"),
    ("features.16",  "stages.2.3",  "conv2d"),
    ("features.19",  "stages.3.0",  "conv2d"),
    ("features.21",  "stages.3.1",  "conv2d"),
    ("features.23",  "stages.3.2",  "conv2d"),
    ("features.25",  "stages.3.3",  "conv2d"),
    ("features.28",  "stages.4.0",  "conv2d"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> VGGConfig:
    """Return the size that the tensors show."""
    # The first convolution of each stage.
    first, second, third, fourth, fifth = (
        shapes[f"features.{i}.weight"][0] for i in (0, 5, 10, 19, 28)
    )
    return VGGConfig((first, second, third, fourth, fifth))


KEY_MAP = KeyMap(
    read_size,
    fixed(LAYERS),
    (
        ("features.3[024].*", "after the last map that the loss compares"),
        ("classifier.*", "the classifier: the loss compares feature maps"),
    ),
)
