"""The key map of W, the warping network."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import (
    TRAINING_COUNTS,
    KeyMap,
    Table,
    TensorShapes,
    fixed,
)
from jaxportrait.models.warping import WarpingConfig

LAYERS: Table = (
    ("dense_motion_network.compress",                             "dense_motion.compress.conv",              "conv3d"),
    ("dense_motion_network.norm",                                 "dense_motion.compress.norm",              "batch_norm"),
    ("dense_motion_network.hourglass.encoder.down_blocks.{i}.conv", "dense_motion.hourglass.downs.{i}.conv", "conv3d"),
    ("dense_motion_network.hourglass.encoder.down_blocks.{i}.norm", "dense_motion.hourglass.downs.{i}.norm", "batch_norm"),
    ("dense_motion_network.hourglass.decoder.up_blocks.{i}.conv", "dense_motion.hourglass.ups.{i}.conv",     "conv3d"),
    ("dense_motion_network.hourglass.decoder.up_blocks.{i}.norm", "dense_motion.hourglass.ups.{i}.norm",     "batch_norm"),
    ("dense_motion_network.hourglass.decoder.conv",               "dense_motion.hourglass.last.conv",        "conv3d"),
    ("dense_motion_network.hourglass.decoder.norm",               "dense_motion.hourglass.last.norm",        "batch_norm"),
    ("dense_motion_network.mask",                                 "dense_motion.mask",                       "conv3d"),
    ("dense_motion_network.occlusion",                            "dense_motion.occlusion",                  "conv2d"),
    ("third.conv",                                                "flatten.conv",                            "conv2d"),
    ("third.norm",                                                "flatten.norm",                            "batch_norm"),
    ("fourth",                                                    "project",                                 "conv2d"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> WarpingConfig:
    """Return the size that the tensors show."""
    # The last block up has the base width, the last one down the largest.
    dense, hourglass = "dense_motion_network", "dense_motion_network.hourglass"
    blocks = shapes.count(f"{hourglass}.encoder.down_blocks.{{i}}")
    compressed, volume_channels = shapes[f"{dense}.compress.weight"][:2]
    return WarpingConfig(
        # One mask is the background's.
        keypoints=shapes[f"{dense}.mask.weight"][0] - 1,
        volume_channels=volume_channels,
        volume_depth=shapes["third.conv.weight"][1] // volume_channels,
        features=shapes["fourth.weight"][0],
        compressed_channels=compressed,
        hourglass_channels=shapes[
            f"{hourglass}.decoder.up_blocks.{blocks - 1}.conv.weight"
        ][0],
        hourglass_max_channels=shapes[
            f"{hourglass}.encoder.down_blocks.{blocks - 1}.conv.weight"
        ][0],
        hourglass_blocks=blocks,
    )


KEY_MAP = KeyMap(read_size, fixed(LAYERS), (TRAINING_COUNTS,))
