"""A checkpoint of networks so small that their programs compile in seconds, from a
seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxportrait.checkpoint import (
    DRIVER,
    Contents,
    Crop,
    DriverEntry,
    save_checkpoint,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.warping import WarpingConfig
from jaxportrait.motion.space import MOTION_WIDTH, MotionStatistics
from tests.train.videos import draw_leaves

IMAGE_SIZE = 48
"""Side of the pictures that F and M read; G makes pictures of twice that side."""
SMALL = {
    "appearance": AppearanceConfig(8, 16, 2, 4, 4, 1),
    "motion": MotionConfig((1,), (8,)),
    "warping": WarpingConfig(21, 4, 4, 8, 1, 4, 8, 1, mask_kernel=3),
    "generator": GeneratorConfig(8, hidden=8, output_channels=8, middle_blocks=1),
    "log_mel": LogMelConfig(20),
    "flow_transformer": replace(
        FlowTransformerConfig.tiny(), motion_width=MOTION_WIDTH, audio_width=40
    ),
}


def save_small_checkpoint(path: Path) -> Path:
    """Save all parts that make a picture speak, untrained, with all of the face's
    motion."""
    leaves = {part: draw_leaves(config) for part, config in SMALL.items()}
    statistics = MotionStatistics(
        np.zeros(MOTION_WIDTH, np.float32), np.full(MOTION_WIDTH, 0.01, np.float32)
    )
    config = FlowDriverConfig(features="log_mel", space="face")
    drivers = {DRIVER: DriverEntry(config, statistics)}
    save_checkpoint(path, Contents(Crop(IMAGE_SIZE), SMALL, drivers), leaves)
    return path
