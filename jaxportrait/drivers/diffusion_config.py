"""The diffusion transformer's driver as a checkpoint describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxportrait.checkpoint import CheckpointError
from jaxportrait.drivers.fit import (
    check_encoder,
    check_rate,
    check_space,
    require_statistics,
    statistics_widths,
)
from jaxportrait.models.hubert import HubertConfig
from jaxportrait.models.motion_diffusion import MotionDiffusionConfig
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from jaxportrait.ranges import FrameRate, Guidance, check_ranges


@dataclass(frozen=True)
class DiffusionDriverConfig:
    """A driver that samples motion from sound with a denoiser.

    Attributes:
      features: the part that encodes sound; another checkpoint may hold it.
      denoiser: the part that makes the motion.
      space: name of the motion space (`MOTION_SPACES`) of the denoiser's first values;
        it may make more, which are not used.
      fps: frames of motion a second.
      cfg_scale: default scale of classifier-free guidance.
    """

    features: str = "hubert"
    denoiser: str = "motion_diffusion"
    space: str = "joyvasa"
    fps: FrameRate = 25.0
    cfg_scale: Guidance = 2.0

    @property
    def moves_head(self) -> bool:
        return MOTION_SPACES[self.space].has_pose

    @property
    def composition(self) -> str:
        """The composition of the driver's original."""
        return "joyvasa"

    @property
    def motion_part(self) -> str:
        """Name of the part that makes the motion."""
        return self.denoiser

    def __post_init__(self) -> None:
        check_ranges(self)
        check_space(self.space)

    def check(
        self, parts: Mapping[str, Any], statistics: MotionStatistics | None
    ) -> None:
        """Raise a CheckpointError unless the driver fits its parts and statistics."""
        denoiser = parts.get(self.denoiser)
        if not isinstance(denoiser, MotionDiffusionConfig):
            raise CheckpointError(
                f"it names the denoiser {self.denoiser}, which is not among the parts: add it"
            )
        statistics = require_statistics(statistics)
        # Statistics are those of the motion space.
        width = MOTION_SPACES[self.space].width
        if statistics_widths(statistics) != {width}:
            raise CheckpointError(
                f"its motion space {self.space} has {width} values and the statistics {len(statistics.mean)}: "
                "they must be equal"
            )
        if denoiser.motion_width < width:
            raise CheckpointError(
                f"its denoiser makes {denoiser.motion_width} values a frame, and the motion space {self.space} has "
                f"{width}: it must make as many or more"
            )
        # The motion before a window lies within the window before.
        if 2 * denoiser.earlier_frames > denoiser.motion_frames:
            raise CheckpointError(
                f"its denoiser has {denoiser.earlier_frames} earlier frames, and {denoiser.motion_frames} in a window: "
                "it must have half as many or fewer"
            )
        check_rate(self.fps, denoiser)
        check_encoder(parts, self.features, denoiser.audio_width, "denoiser")
        _check_context(parts.get(self.features), denoiser)


def _check_context(encoder: Any, denoiser: MotionDiffusionConfig) -> None:
    """Raise a CheckpointError where an encoder of windows has others."""
    if not isinstance(encoder, HubertConfig):
        return
    if encoder.context != denoiser.audio_frames:
        raise CheckpointError(
            f"its audio encoder reads windows of {encoder.context} features and the denoiser windows of "
            f"{denoiser.audio_frames}: they must be equal"
        )
