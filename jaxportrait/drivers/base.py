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
    """

    @property
    def fps(self) -> float: ...

    @property
    def latency(self) -> float: ...

    def make(self, input: Any, *, seed: int) -> MotionClip:
        """Return the motion of a whole input."""
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
