"""The key map of S and R, the stitching and retargeting MLPs."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes
from jaxportrait.models.stitching import StitchingConfig


def name_layers(config: StitchingConfig) -> Table:
    """Return the rows: a ReLU stands between two layers, so their numbers are even."""
    count = len(config.hidden) + 1
    return tuple((f"mlp.{2 * i}", f"layers.{i}", "linear") for i in range(count))


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> StitchingConfig:
    """Return the size that the tensors show."""
    # Without any layer, the first one's name is in the error.
    count = max(1, shapes.count("mlp.{i}"))
    layers = [shapes[f"mlp.{2 * i}.weight"] for i in range(count)]
    hidden = tuple(layer[0] for layer in layers[:-1])
    return StitchingConfig(layers[0][1], hidden, layers[-1][0])


KEY_MAP = KeyMap(read_size, name_layers)
