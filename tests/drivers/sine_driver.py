"""A scratch driver: a head that nods in a sine wave while there is sound."""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.drivers.base import frame_count
from jaxportrait.media.audio import Audio
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, POSE, neutral_frames


@dataclass(frozen=True)
class SineDriver:
    """Nods that know nothing of the sound but its length.

    Attributes:
      fps: frames of motion a second.
      degrees: amplitude of the pitch.
      hertz: nods a second.
    """

    fps: float = 24.0
    degrees: float = 8.0
    hertz: float = 1.0
    latency: float = inf
    moves_head: bool = True

    def make(self, input: Audio, *, seed: int, frames: int | None = None) -> MotionClip:
        count = frame_count(input.duration, self.fps) if frames is None else frames
        # Everything rests but the pitch.
        values = neutral_frames(count)
        phase = 2 * np.pi * self.hertz * np.arange(count) / self.fps
        values[:, POSE.start] = self.degrees * np.sin(phase)
        return MotionClip.from_values(values, MOTION_SPACES["face"], self.fps)

    def with_sampling(self, sampling: Any) -> "SineDriver":
        return self

    def warm_up(self, frames: int) -> None:
        pass


def load_sine(checkpoint: Checkpoint, **_) -> SineDriver:
    """Return the driver of any checkpoint: it has no weights."""
    return SineDriver()
