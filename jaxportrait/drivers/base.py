"""`Driver`: what turns an input (sound, video, template) into a `MotionClip`."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import BINS, MOTION_SPACES, neutral_frames
from jaxportrait.types import Motion

State = Any
"""A pytree: what a driver remembers between two chunks of a live input."""


@dataclass(frozen=True)
class SourceFace:
    """The source's face, for drivers that are conditioned on it; they never see the
    picture.

    Attributes:
      motion: its motion.
      openness: openness of the left and right eye; see `eye_openness`.
      eyeballs: positions of the irises; see `eyeball_offsets`.
    """

    motion: Motion
    openness: Float32[np.ndarray, "1 2"]
    eyeballs: Float32[np.ndarray, "1 6"]


class Driver(Protocol):
    """A maker of motion. It knows no source picture and no renderer.

    Attributes:
      fps: frames of motion a second.
      latency: seconds of input that a frame waits for; `inf` for a driver that needs
        the whole input at once.
      moves_head: False for a driver that moves only the lips' expression.
    """

    @property
    def fps(self) -> float: ...

    @property
    def latency(self) -> float: ...

    @property
    def moves_head(self) -> bool: ...

    # The type of the input is each driver's own: sound, a path, ...
    def make(self, input: Any, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a whole input; the same seed makes the same motion.

        Args:
          frames: length of the motion, by default `frame_count` of the input's seconds.
            A clip at another rate may need a frame after the end of the input.
        """
        ...

    def with_sampling(self, sampling: Any) -> "Driver":
        """Return this driver with other options of sampling; itself if it has none."""
        ...

    def warm_up(self, frames: int) -> None:
        """Compile what inputs of up to so many frames need."""
        ...


class FaceDriver(Driver, Protocol):
    """A driver that makes the motion of a face with eyes and emotions; see
    `has_face`."""

    def with_source(self, source: SourceFace) -> "FaceDriver":
        """Return this driver, which makes the motion of the source's own face."""
        ...


class LiveDriver(Driver, Protocol):
    """A driver that follows a sound while it arrives; its latency is finite.

    The frames are the same however the sound is cut into chunks, and `make` is
    `start`, `step` and `finish` over the whole sound. A driver of whole inputs has none
    of the three, so that no driver has methods that only raise.
    """

    def start(self, seed: int) -> State:
        """Return the state before the first chunk of a live sound."""
        ...

    def step(
        self, state: State, samples: Float32[np.ndarray, " n"]
    ) -> tuple[MotionClip, State]:
        """Return the frames that a chunk completes, which may be none, and the next
        state.

        Args:
          samples: 16 kHz mono, any number of them.
        """
        ...

    def finish(self, state: State) -> MotionClip:
        """Return the remaining frames of a sound that has ended."""
        ...


def original_composition(driver: Any) -> Any:
    """Return the composition that "original" is for a driver or the config of one.

    A driver whose original composes otherwise than the flow transformer's names it, by
    an attribute `composition`.
    """
    return getattr(driver, "composition", "original")


def makes_logits(driver: Any) -> bool:
    """Return whether a driver or the config of one makes the logits of angles, which
    the composition "ditto" adds."""
    return original_composition(driver) == "ditto"


def still_motion(driver: Driver, fps: float) -> MotionClip:
    """Return a frame of a neutral face with all that the driver's motion has."""
    space = MOTION_SPACES["face" if driver.moves_head else "lip"]
    neutral = np.asarray(space.select(neutral_frames(1)))
    motion = MotionClip.from_values(neutral, space, fps)
    if not makes_logits(driver):
        return motion
    return replace(motion, logits=np.zeros((1, 3, BINS), np.float32))


def has_face(driver: Any) -> bool:
    """Return whether a driver or the config of one makes the motion of a face with eyes
    and emotions, and so has the options of one; it says so by an attribute of that
    name."""
    return getattr(driver, "has_face", False)


def emotion_names(driver: Any) -> tuple[str, ...]:
    """Return the emotions that a driver or the config of one can have; it names them by
    an attribute of that name."""
    return getattr(driver, "emotion_names", ())


def frame_count(seconds: float, fps: float) -> int:
    """Return how many frames an input of so many seconds has; one at least.

    The last frame may lie partly after the end, so that none of the input is cut off.
    """
    # a thousandth of a frame is rounding of the seconds
    return max(1, ceil(seconds * fps - 1e-3))
