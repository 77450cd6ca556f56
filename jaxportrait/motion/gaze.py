"""Gaze that follows the head: eyes look a little further to where the head turns.

Source: Ditto, which moves two keypoints of eyes by the change of yaw and pitch.
"""

from dataclasses import dataclass
from typing import Any, Self

from jaxtyping import Float, Float32

from jaxportrait.motion.sliders import PUBLISHED_SLIDERS, Slider, Sliders
from jaxportrait.types import AnyArray

YAW_SHARE = 0.26
PITCH_SHARE = 0.28
"""Numbers of the sliders of gaze for one degree of the head. Source: Ditto."""


@dataclass(frozen=True)
class Gaze:
    """Offsets of the expression by which eyes follow the head.

    Attributes:
      across: slider for the change of yaw.
      up: slider for the change of pitch.
    """

    across: Slider
    up: Slider

    @classmethod
    def of_sliders(cls, sliders: Sliders) -> Self:
        """Return the gaze of networks with these sliders; lids follow it as well."""
        return cls(sliders["gaze_x"], sliders["gaze_y"])

    def offsets(self, turn: Float[AnyArray, "n 3"]) -> Float32[AnyArray, "n k 3"]:
        """Return the offsets for changes of pitch, yaw and roll in degrees."""
        # Sliders compute with arrays of either kind.
        yaw: Any = turn[:, 1]
        pitch: Any = turn[:, 0]
        across = self.across.offsets(YAW_SHARE * yaw)
        return across + self.up.offsets(PITCH_SHARE * pitch)


PUBLISHED_GAZE = Gaze(
    PUBLISHED_SLIDERS["gaze_x"],
    # Twice as far as LivePortrait's slider, and without the lids.
    Slider.of_entries({"11 y": -0.001, "15 y": -0.001}),
)
"""Gaze of networks with LivePortrait's keypoints, as Ditto has it."""
