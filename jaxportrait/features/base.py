"""`AudioFeatures`: what turns sound into the features that a driver reads."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

Chunks = Iterable[Float32[np.ndarray, " n"]]
"""Consecutive 16 kHz mono samples, in chunks of any size."""

# A function, not an iterator: an encoder may need two passes over a clip.
Stream = Callable[[], Chunks]
"""Starts a clip's samples from the beginning, each time it is called."""


class AudioFeatures(Protocol):
    """An encoder of sound, for whole clips and chunk by chunk.

    It computes in float32 on every platform.

    A live sound has the same features however it is cut into chunks. They may differ
    from those of the whole clip, whose features can read all of the sound.

    Attributes:
      rate: features a second.
      width: values a feature.
      context: seconds of sound that a feature may depend on.
      hop: features that a live sound completes at once.
      latency: seconds from the start of a hop to the sample that completes its features,
        when the sound is live.
    """

    @property
    def rate(self) -> float: ...

    @property
    def width(self) -> int: ...

    @property
    def context(self) -> float: ...

    @property
    def hop(self) -> int: ...

    @property
    def latency(self) -> float: ...

    def encode(
        self, stream: Stream, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return the first `count` features of a whole clip, which silence follows."""
        ...

    def start(self) -> Any:
        """Return the state before the first chunk of a live sound, a pytree."""
        ...

    def step(
        self, state: Any, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "features width"], Any]:
        """Return the features that a chunk completes, and the next state."""
        ...

    def finish(self, state: Any, count: int) -> Float32[np.ndarray, "features width"]:
        """Return what is missing to the first `count` features of a live sound that
        has ended, and that silence follows."""
        ...


@runtime_checkable
class WindowFeatures(Protocol):
    """An encoder that reads windows, each by itself.

    Attributes:
      window: features of a window.
    """

    @property
    def window(self) -> int: ...

    def encode_windows(
        self, stream: Stream, hop: int, count: int
    ) -> Iterator[Float32[np.ndarray, "window width"]]:
        """Yield the features of `count` windows of a clip, which silence follows.

        Args:
          hop: features from the start of a window to that of the next.
        """
        ...


def encode_windows(
    features: AudioFeatures, stream: Stream, window: int, hop: int, count: int
) -> Iterator[Float32[np.ndarray, "window width"]]:
    """Yield the features of `count` windows of a clip, which silence follows.

    An encoder of windows encodes each by itself; another one encodes the clip as a
    whole, and windows are parts of it.

    Args:
      window: features of a window.
      hop: features from the start of a window to that of the next.
    """
    if isinstance(features, WindowFeatures):
        yield from features.encode_windows(stream, hop, count)
        return
    whole = features.encode(stream, hop * (count - 1) + window)
    for start in range(0, hop * count, hop):
        yield whole[start : start + window]
