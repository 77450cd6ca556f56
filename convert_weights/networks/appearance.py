"""The key map of F, the appearance extractor."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import (
    TRAINING_COUNTS,
    KeyMap,
    Table,
    TensorShapes,
    fixed,
)
from jaxportrait.models.appearance import AppearanceConfig

LAYERS: Table = (
    ("first.conv",                    "stem.conv",               "conv2d"),
    ("first.norm",                    "stem.norm",               "batch_norm"),
    ("down_blocks.{i}.conv",          "downs.{i}.conv",          "conv2d"),
    ("down_blocks.{i}.norm",          "downs.{i}.norm",          "batch_norm"),
    ("second",                        "lift",                    "conv2d"),
    ("resblocks_3d.3dr{i}.norm1",     "residuals.{i}.norm1",     "batch_norm"),
    ("resblocks_3d.3dr{i}.conv1",     "residuals.{i}.conv1.conv", "conv3d"),
    ("resblocks_3d.3dr{i}.norm2",     "residuals.{i}.conv1.norm", "batch_norm"),
    ("resblocks_3d.3dr{i}.conv2",     "residuals.{i}.conv2",     "conv3d"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> AppearanceConfig:
    """Return the size that the tensors show."""
    # A 3-D block keeps the channels of the volume.
    volume_channels = shapes["resblocks_3d.3dr0.conv1.weight"][0]
    return AppearanceConfig(
        base_channels=shapes["first.conv.weight"][0],
        max_channels=shapes["second.weight"][0],
        down_blocks=shapes.count("down_blocks.{i}"),
        volume_channels=volume_channels,
        volume_depth=shapes["second.weight"][0] // volume_channels,
        residual_blocks=shapes.count("resblocks_3d.3dr{i}"),
    )


KEY_MAP = KeyMap(read_size, fixed(LAYERS), (TRAINING_COUNTS,))
