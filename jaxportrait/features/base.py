"""`AudioFeatures`: what turns sound into the features that a driver reads."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32

Chunks = Iterable[Float32[np.ndarray, " n"]]
"""Consecutive 16 kHz mono samples, in chunks of any size."""


class AudioFeatures(Protocol):
    """An encoder of sound, for whole clips and chunk by chunk.

    Attributes:
      rate: features a second.
      width: values a feature.
      context: seconds of sound that a feature may depend on.
    """

    @property
    def rate(self) -> float: ...

    @property
    def width(self) -> int: ...

    @property
    def context(self) -> float: ...

    def encode(
        self, stream: Callable[[], Chunks], count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return the first `count` features of a whole clip.

        Args:
          stream: starts the clip's samples from the beginning, each time it is called.
        """
        ...

    def start(self) -> Any:
        """Return the state before the first chunk of a live sound."""
        ...

    def step(
        self, state: Any, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "features width"], Any]:
        """Return the features that a chunk completes, and the next state."""
        ...
