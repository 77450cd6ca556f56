"""The contents of a checkpoint, apart from the arrays of its networks."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.parts import NETWORKS, Role, kind_of
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.models.warping import WarpingConfig
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    KeypointGroups,
    MotionStatistics,
)

DRIVER = "flow"
"""Name of the driver in a checkpoint that `convert_weights` or `train.export` writes."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written, or lacks a part or a driver."""


@dataclass(frozen=True)
class Crop:
    """The crops of faces that the renderer was trained on.

    Attributes:
      image_size: side in pixels of the square picture that F and M read.
      zoom: how many times tighter than LivePortrait's the crops are.
      detector: name of the face detector that they were made with, where it is known.
    """

    image_size: int = 256
    zoom: float = 1.0
    detector: str | None = None

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size}: it must be 1 or more")
        if not (math.isfinite(self.zoom) and self.zoom > 0):
            raise ValueError(f"zoom is {self.zoom}: it must be a positive number")


@dataclass(frozen=True)
class FlowDriverConfig:
    """A driver that samples motion from sound with a flow transformer.

    Attributes:
      features: the part that encodes sound; another checkpoint may hold it.
      transformer: the part that makes the motion.
      space: name of the motion space (`MOTION_SPACES`) that the transformer makes.
      fps: frames of motion a second.
      cfg_scale: default scale of classifier-free guidance.
    """

    features: str = "whisper"
    transformer: str = "flow_transformer"
    space: str = "lip"
    fps: float = float(MOTION_FPS)
    cfg_scale: float = 4.5

    def __post_init__(self) -> None:
        if self.space not in MOTION_SPACES:
            raise ValueError(
                f"there is no motion space {self.space!r}: choose one of {', '.join(MOTION_SPACES)}"
            )
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps is {self.fps}: it must be a positive number")
        if not math.isfinite(self.cfg_scale):
            raise ValueError(f"cfg_scale is {self.cfg_scale}: it must be finite")

    def check(
        self, parts: Mapping[str, Any], statistics: MotionStatistics | None
    ) -> None:
        """Raise a CheckpointError unless the driver fits its parts and statistics."""
        transformer = parts.get(self.transformer)
        if not isinstance(transformer, FlowTransformerConfig):
            raise CheckpointError(
                f"it names the flow transformer {self.transformer}, which is not among the parts: add it"
            )
        if statistics is None:
            raise CheckpointError(
                "it needs the mean and deviation of its motion: pass statistics"
            )
        widths = {
            transformer.motion_width,
            MOTION_SPACES[self.space].width,
            *np.shape(statistics.mean),
            *np.shape(statistics.std),
        }
        if len(widths) > 1:
            raise CheckpointError(
                f"its transformer makes {transformer.motion_width} values a frame, the motion space {self.space} has "
                f"{MOTION_SPACES[self.space].width} and the statistics {len(statistics.mean)}: they must be equal"
            )
        encoder = parts.get(self.features)
        if encoder is not None and encoder.width != transformer.audio_width:
            raise CheckpointError(
                f"its audio encoder {self.features} makes features of {encoder.width} values and the flow transformer "
                f"reads {transformer.audio_width}: choose the encoder that the transformer was trained with"
            )


DRIVERS: dict[str, type[FlowDriverConfig]] = {"flow": FlowDriverConfig}
"""Kind -> config of the drivers that a checkpoint describes."""


@dataclass(frozen=True)
class DriverEntry:
    """A driver of a checkpoint.

    Attributes:
      statistics: mean and deviation of its motion, on the host; None for a driver that
        normalises nothing.
    """

    config: FlowDriverConfig
    statistics: MotionStatistics | None = None

    @property
    def kind(self) -> str:
        """The row of `DRIVERS` that the config belongs to."""
        kinds = {config: kind for kind, config in DRIVERS.items()}
        return kinds[type(self.config)]


@dataclass(frozen=True)
class Contents:
    """The contents of a checkpoint, apart from the arrays of its networks.

    Attributes:
      parts: name -> config of a network.
      drivers: name -> driver.
      keypoints: the keypoints of eyes, brows and lips, as the motion extractor has them.
    """

    crop: Crop = field(default_factory=Crop)
    parts: Mapping[str, Any] = field(default_factory=dict)
    drivers: Mapping[str, DriverEntry] = field(default_factory=dict)
    keypoints: KeypointGroups = field(default_factory=KeypointGroups)

    def __post_init__(self) -> None:
        for name, driver in self.drivers.items():
            try:
                driver.config.check(self.parts, driver.statistics)
            except CheckpointError as error:
                raise CheckpointError(f"driver {name}: {error}") from error

    def with_role(self, role: Role) -> list[str]:
        """Return the names of the parts with this role."""
        return [
            name
            for name, config in self.parts.items()
            if NETWORKS[kind_of(config)].role == role
        ]

    @classmethod
    def full(cls) -> Self:
        """Return the portrait of the published sizes."""
        return cls._portrait("full", image_size=256)

    @classmethod
    def tiny(cls) -> Self:
        """Return a portrait that runs in seconds on a CPU."""
        return cls._portrait("tiny", image_size=64)

    @classmethod
    def _portrait(cls, size: str, image_size: int) -> Self:
        """Return the published parts and driver at the size that a config method has."""

        def sized(configs: Mapping[str, type[Any]]) -> dict[str, Any]:
            return {part: getattr(config, size)() for part, config in configs.items()}

        renderer = {
            "appearance": AppearanceConfig,
            "motion": MotionConfig,
            "warping": WarpingConfig,
            "generator": GeneratorConfig,
        }
        # The published corrections of keypoints have one size.
        retargeting = {
            "stitching": StitchingConfig.stitching(),
            "lip_retargeting": StitchingConfig.lips(),
            "eye_retargeting": StitchingConfig.eyes(),
        }
        speech = {"whisper": WhisperConfig, "flow_transformer": FlowTransformerConfig}
        parts = {**sized(renderer), **retargeting, **sized(speech)}
        driver = DriverEntry(FlowDriverConfig(), untrained_statistics("lip"))
        return cls(Crop(image_size), parts, {DRIVER: driver})


UNTRAINED_DEVIATION = 0.02
"""Deviation of motion whose statistics have not been measured."""


def untrained_statistics(space: str) -> MotionStatistics:
    """Return statistics of a motion space for a transformer that was never trained."""
    width = MOTION_SPACES[space].width
    return MotionStatistics(
        np.zeros(width, np.float32), np.full(width, UNTRAINED_DEVIATION, np.float32)
    )


def listed(names: Iterable[str]) -> str:
    """Return names as a message lists them."""
    return ", ".join(names) or "nothing"
