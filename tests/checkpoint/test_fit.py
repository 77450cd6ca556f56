"""Parts that do not work together, and statistics that normalise nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    Crop,
    DriverEntry,
    check_statistics,
)
from jaxportrait.checkpoint.fit import check_arrays, check_parts
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.models.vgg import VGGConfig
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.motion.space import MotionStatistics

PARTS = Contents.tiny().parts
ONES = np.ones(18, np.float32)


def changed(part: str, **sizes: Any) -> dict[str, Any]:
    """Return the tiny portrait's parts with other sizes of one."""
    return {**PARTS, part: replace(PARTS[part], **sizes)}


@pytest.mark.parametrize("contents", [Contents.tiny(), Contents.full()])
def test_the_presets_fit(contents):
    check_parts(contents.parts, contents.crop.image_size)
    # Multiples of 32: the networks halve a picture five times.
    for image_size in (32, 96, 160):
        check_parts(PARTS, image_size)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (changed("appearance", volume_channels=8), "volume_channels is 8 in part app"),
        (changed("warping", volume_depth=4), "volume_depth is 8 .* and 4 in part warp"),
        (changed("warping", keypoints=5), "keypoints is 21 in part motion and 5 in"),
        (changed("generator", features=64), "features is 32 in part warping and 64 in"),
        (changed("stitching", outputs=63), "part stitching turns 126 values into 63"),
        ({"perceptual": PARTS["warping"]}, "perceptual is of kind warping.* kind vgg"),
        ({"lip_retargeting": VGGConfig.tiny()}, "lip_retargeting is of kind vgg"),
    ],
)
def test_parts_that_do_not_fit_are_named(parts, message):
    with pytest.raises(CheckpointError, match=message):
        Contents(Crop(64), parts)


@pytest.mark.parametrize(
    ("parts", "image_size", "multiple"),
    [
        (PARTS, 48, 32),
        (Contents.full().parts, 192, 128),
        ({"appearance": PARTS["appearance"]}, 66, 4),
    ],
)
def test_pictures_that_networks_cannot_halve_are_named(parts, image_size, multiple):
    message = f"image_size is {image_size}, .* it must be a multiple of {multiple}"
    with pytest.raises(CheckpointError, match=message):
        check_parts(parts, image_size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WhisperConfig(80, 1500, 384, 7, 4), "heads is 7: it must divide"),
        (lambda: WhisperConfig(80, 1500, 384, -1, 4), "heads is -1: it must be from 1"),
        (lambda: WhisperConfig(80, 1500, 3, 1, 4), "width is 3: it must be even"),
        (lambda: MotionConfig((1, 1), (8,)), r"depths are \(1, 1\) and widths \(8,\)"),
        (lambda: MotionConfig((), ()), "each stage has one of both"),
        (lambda: MotionConfig((1,), (8,), keypoints=5), "keypoints is 5: .* has 21"),
        (lambda: VGGConfig((1, 2, 3, 4)), "VGG-19 has five stages"),  # pyright: ignore
        (lambda: replace(PARTS["warping"], mask_kernel=4), "mask_kernel is 4: .* odd"),
        (lambda: replace(PARTS["warping"], heat_depth=0.0), "heat_depth is 0.0: it"),
        (lambda: replace(PARTS["generator"], upscale=0), "upscale is 0: it must be"),
        (lambda: StitchingConfig(1, (0,), 1), "hidden is 0: it must be from 1"),
    ],
)
def test_sizes_that_make_no_network_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_arrays_of_other_sizes_are_named():
    parts = {"stitching": StitchingConfig(2, (), 3)}
    kernel = np.zeros((2, 3), np.float32)
    # Weights may be stored in half precision.
    arrays = {"layers.0.kernel": kernel, "layers.0.bias": np.zeros(3, np.float16)}
    check_arrays(parts, {"stitching": arrays})
    for change, message in (
        ({}, "part stitching has no array layers.0.bias"),
        ({"layers.0.bias": np.zeros(4)}, r"shape \(4,\), and its sizes need \(3,\)"),
        ({"layers.0.bias": np.zeros(3, np.int32)}, "stored in int32, not in floats"),
        ({**arrays, "gain": kernel}, "has an array gain, and its sizes have none"),
    ):
        with pytest.raises(CheckpointError, match=message):
            check_arrays(parts, {"stitching": {"layers.0.kernel": kernel, **change}})
    with pytest.raises(CheckpointError, match="part stitching has no array"):
        check_arrays(parts, {})


@pytest.mark.parametrize(
    ("mean", "deviation", "message"),
    [
        (np.full(18, np.nan, np.float32), ONES, "the mean of its motion is not finite"),
        (ONES, np.where(np.arange(18) == 3, np.inf, ONES), "deviation .* not finite"),
        (ONES, np.where(np.arange(18) == 3, 0, ONES), "is 0 at its least.* above 0"),
        (ONES, -ONES, "the deviation of its motion is -1 at its least"),
        (ONES[None], ONES, r"the mean .* an array \(1, 18\) of float32: .* one row"),
        (ONES, np.ones(18, np.int32), "of int32: it must be one row of floats"),
    ],
)
def test_statistics_that_normalise_nothing_are_named(mean, deviation, message):
    with pytest.raises(CheckpointError, match=message):
        check_statistics(MotionStatistics(mean, deviation))
    driver = replace(
        Contents.tiny().drivers["flow"], statistics=MotionStatistics(mean, deviation)
    )
    assert isinstance(driver, DriverEntry)
    with pytest.raises(CheckpointError, match=f"driver flow: .*{message}"):
        Contents(Crop(64), PARTS, {"flow": driver})
