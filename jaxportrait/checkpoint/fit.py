"""Checks that span several values of a checkpoint: parts that work together, the
arrays that are stored for their sizes, and statistics.

A config checks its own values when it is made; see `jaxportrait.ranges`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxportrait.checkpoint.arrays import ArrayShapes, shapes_of_config
from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.models.parts import RENDERER, kind_of
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.motion.space import MotionStatistics

STITCHING = {
    "stitching": StitchingConfig.stitching(),
    "lip_retargeting": StitchingConfig.lips(),
    "eye_retargeting": StitchingConfig.eyes(),
}
"""Part -> a config with the inputs and outputs that its caller has."""
FIXED_KINDS = {
    **{name: name for name in RENDERER},
    **dict.fromkeys(STITCHING, "stitching"),
    "perceptual": "vgg",
}
"""Part that is loaded by its name -> its kind."""
EQUAL_SIZES = (
    ("appearance", "warping", "volume_channels"),
    ("appearance", "warping", "volume_depth"),
    ("motion", "warping", "keypoints"),
    ("warping", "generator", "features"),
)
"""(part, part, size that both have)."""


def check_parts(parts: Mapping[str, Any], image_size: int) -> None:
    """Raise a CheckpointError unless parts fit each other and their pictures.

    Args:
      parts: name -> config; any of them may be absent.
      image_size: side in pixels of the pictures that F and M read.
    """
    for name, kind in FIXED_KINDS.items():
        if name in parts and kind_of(parts[name]) != kind:
            raise CheckpointError(
                f"part {name} is of kind {kind_of(parts[name])}: it must be of kind {kind}"
            )
    for first, second, size in EQUAL_SIZES:
        if first in parts and second in parts:
            _check_equal(parts, first, second, size)
    for name, expected in STITCHING.items():
        if name in parts:
            _check_stitching(name, parts[name], expected)
    if "appearance" in parts:
        _check_picture(parts, image_size)


def check_arrays(parts: Mapping[str, Any], stored: Mapping[str, ArrayShapes]) -> None:
    """Raise a CheckpointError unless the stored arrays are those of the parts' sizes.

    Args:
      parts: name -> config.
      stored: name -> dotted path -> shape and dtype.
    """
    for name, config in parts.items():
        expected = shapes_of_config(config)
        arrays = stored.get(name, {})
        for path in expected.keys() - arrays.keys():
            raise CheckpointError(f"part {name} has no array {path}")
        for path in arrays.keys() - expected.keys():
            raise CheckpointError(
                f"part {name} has an array {path}, and its sizes have none"
            )
        for path, shape in expected.items():
            _check_array(f"part {name}: {path}", shape.shape, arrays[path])


def check_statistics(statistics: MotionStatistics) -> None:
    """Raise a CheckpointError unless motion can be normalised by statistics."""
    mean = np.asarray(statistics.mean)
    deviation = np.asarray(statistics.std)
    for name, values in (("mean", mean), ("deviation", deviation)):
        if values.ndim != 1 or values.dtype.kind != "f":
            raise CheckpointError(
                f"the {name} of its motion is an array {values.shape} of {values.dtype}: "
                "it must be one row of floats"
            )
        if not np.isfinite(values).all():
            raise CheckpointError(f"the {name} of its motion is not finite")
    if np.any(deviation <= 0):
        raise CheckpointError(
            f"the deviation of its motion is {deviation.min():g} at its least: "
            "it must be above 0"
        )


def _check_equal(parts: Mapping[str, Any], first: str, second: str, size: str) -> None:
    one = getattr(parts[first], size)
    other = getattr(parts[second], size)
    if one != other:
        raise CheckpointError(
            f"{size} is {one} in part {first} and {other} in part {second}: "
            "they must be equal"
        )


def _check_stitching(
    name: str, config: StitchingConfig, expected: StitchingConfig
) -> None:
    if (config.inputs, config.outputs) != (expected.inputs, expected.outputs):
        raise CheckpointError(
            f"part {name} turns {config.inputs} values into {config.outputs}: "
            f"it must turn {expected.inputs} into {expected.outputs}"
        )


def _check_picture(parts: Mapping[str, Any], image_size: int) -> None:
    halvings = parts["appearance"].down_blocks
    # The hourglass halves what the appearance extractor has halved.
    if "warping" in parts:
        halvings += parts["warping"].hourglass_blocks
    if image_size % 2**halvings:
        raise CheckpointError(
            f"image_size is {image_size}, and its networks halve it {halvings} times: "
            f"it must be a multiple of {2**halvings}"
        )


def _check_array(name: str, shape: tuple[int, ...], stored: Any) -> None:
    if stored.shape != shape:
        raise CheckpointError(
            f"{name} is stored with shape {stored.shape}, and its sizes need {shape}"
        )
    if stored.dtype not in (np.float16, np.float32):
        raise CheckpointError(f"{name} is stored in {stored.dtype}, not in floats")
