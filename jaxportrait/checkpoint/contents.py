"""The contents of a checkpoint, apart from the arrays of its networks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import numpy as np

from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.checkpoint.fit import check_parts, check_statistics
from jaxportrait.checkpoint.kinds import driver_config, driver_kind
from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.parts import NETWORKS, Role, kind_of
from jaxportrait.models.stitching import StitchingConfig
from jaxportrait.models.warping import WarpingConfig
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.motion.space import (
    MOTION_SPACES,
    KeypointGroups,
    MotionStatistics,
)
from jaxportrait.ranges import Range, check_ranges

CropSide = Annotated[int, Range(32, 4096)]
"""A picture that M halves five times has a pixel left."""
Zoom = Annotated[float, Range(0.1, 10)]

DRIVER = "flow"
"""Name of the flow transformer's driver in a checkpoint that `convert_weights` or
`train.export` writes."""


@dataclass(frozen=True)
class Crop:
    """The crops of faces that the renderer was trained on.

    Attributes:
      image_size: side in pixels of the square picture that F and M read.
      zoom: how many times tighter than LivePortrait's the crops are.
      detector: name of the face detector that they were made with, where it is known.
    """

    image_size: CropSide = 256
    zoom: Zoom = 1.0
    detector: str | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DriverEntry:
    """A driver of a checkpoint.

    Attributes:
      config: settings of the driver, a `DriverConfig`.
      statistics: mean and deviation of its motion, on the host; None for a driver that
        normalises nothing.
    """

    config: Any
    statistics: MotionStatistics | None = None

    @property
    def kind(self) -> str:
        """The row of `DRIVERS` that the config belongs to."""
        return driver_kind(self.config)


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
        check_parts(self.parts, self.crop.image_size)
        for name, driver in self.drivers.items():
            # The message names the driver, which the driver's config does not know.
            try:
                if driver.statistics is not None:
                    check_statistics(driver.statistics)
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
        # The default driver, and the encoder that it reads.
        speech = {"whisper": WhisperConfig, "flow_transformer": FlowTransformerConfig}
        parts = {**sized(renderer), **retargeting, **sized(speech)}
        config = driver_config(DRIVER)()
        driver = DriverEntry(config, untrained_statistics("lip"))
        return cls(Crop(image_size), parts, {DRIVER: driver})


UNTRAINED_DEVIATION = 0.02
"""Deviation of motion whose statistics have not been measured: the order of magnitude of
expressions in LivePortrait's units."""


def untrained_statistics(space: str) -> MotionStatistics:
    """Return statistics of a motion space for a transformer that was never trained."""
    width = MOTION_SPACES[space].width
    return MotionStatistics(
        np.zeros(width, np.float32), np.full(width, UNTRAINED_DEVIATION, np.float32)
    )


def listed(names: Iterable[str]) -> str:
    """Return names as a message lists them."""
    return ", ".join(names) or "nothing"
