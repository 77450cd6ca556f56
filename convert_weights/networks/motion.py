"""The key map of M, the motion extractor."""

from collections.abc import Mapping
from typing import Any

from convert_weights.networks.base import KeyMap, Table, TensorShapes, fixed
from jaxportrait.models.motion import MotionConfig

LAYERS: Table = (
    ("detector.downsample_layers.0.0",  "backbone.stages.0.embed",                "conv2d"),
    ("detector.downsample_layers.0.1",  "backbone.stages.0.norm",                 "layer_norm"),
    ("detector.downsample_layers.1.0",  "backbone.stages.1.norm",                 "layer_norm"),
    ("detector.downsample_layers.1.1",  "backbone.stages.1.embed",                "conv2d"),
    ("detector.downsample_layers.2.0",  "backbone.stages.2.norm",                 "layer_norm"),
    ("detector.downsample_layers.2.1",  "backbone.stages.2.embed",                "conv2d"),
    ("detector.downsample_layers.3.0",  "backbone.stages.3.norm",                 "layer_norm"),
    ("detector.downsample_layers.3.1",  "backbone.stages.3.embed",                "conv2d"),
    ("detector.stages.{s}.{i}.dwconv",  "backbone.stages.{s}.blocks.{i}.depthwise", "conv2d"),
    ("detector.stages.{s}.{i}.norm",    "backbone.stages.{s}.blocks.{i}.norm",    "layer_norm"),
    ("detector.stages.{s}.{i}.pwconv1", "backbone.stages.{s}.blocks.{i}.expand",  "linear"),
    ("detector.stages.{s}.{i}.grn",     "backbone.stages.{s}.blocks.{i}.response", "response_norm"),
    ("detector.stages.{s}.{i}.pwconv2", "backbone.stages.{s}.blocks.{i}.project", "linear"),
    ("detector.norm",                   "backbone.norm",                          "layer_norm"),
    ("detector.fc_kp",                  "keypoints",                              "linear"),
    ("detector.fc_exp",                 "expression",                             "linear"),
    ("detector.fc_pitch",               "pitch",                                  "linear"),
    ("detector.fc_yaw",                 "yaw",                                    "linear"),
    ("detector.fc_roll",                "roll",                                   "linear"),
    ("detector.fc_t",                   "translation",                            "linear"),
    ("detector.fc_scale",               "scale",                                  "linear"),
)  # fmt: skip


def read_size(shapes: TensorShapes, metadata: Mapping[str, Any]) -> MotionConfig:
    """Return the size that the tensors show."""
    stages = range(shapes.count("detector.stages.{i}"))
    return MotionConfig(
        depths=tuple(
            shapes.count(f"detector.stages.{stage}.{{i}}") for stage in stages
        ),
        widths=tuple(
            shapes[f"detector.stages.{stage}.0.norm.weight"][0] for stage in stages
        ),
        # x, y and z of each.
        keypoints=shapes["detector.fc_kp.weight"][0] // 3,
        pose_bins=shapes["detector.fc_pitch.weight"][0],
    )


KEY_MAP = KeyMap(read_size, fixed(LAYERS))
