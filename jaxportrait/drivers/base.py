"""`Driver`: what turns an input (sound, video, template) into a `MotionClip`."""

from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32

from jaxportrait.motion.clip import MotionClip

State = Any
"""A pytree: what a driver remembers between two chunks of a live input."""


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

    def make(self, input: Any, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a whole input.

        Args:
          frames: length of the motion, by default that of the input. A clip at another
            rate may need a frame after the end of the input.
        """
        ...

    def start(self, seed: int) -> State:
        """Return the state before the first chunk of a live input."""
        ...

    def step(
        self, state: State, samples: Float32[np.ndarray, " n"]
    ) -> tuple[MotionClip, State]:
        """Return the frames that a chunk completes, which may be none, and the next
        state."""
        ...

    def finish(self, state: State) -> MotionClip:
        """Return the frames that are left when the input has ended."""
        ...
