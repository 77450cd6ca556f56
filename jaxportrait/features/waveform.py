"""Features from the waveform itself: HuBERT's, and wav2vec 2.0's.

The network reads windows of a fixed length, each encoded by itself: every feature
depends on its whole window. A whole clip is cut into windows that lie end to end, or
overlap. A live sound is encoded hop by hop in a window that slides.

Source: JoyVASA, whose windows are of 4 s.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxportrait.features.base import Stream
from jaxportrait.models.hubert import STRIDES, HubertEncoder
from jaxportrait.ops.spectrogram import SAMPLE_RATE
from jaxportrait.types import pytree

SAMPLES_PER_FEATURE = prod(STRIDES)
REACH = 80
"""Samples that the last feature of a window reads beyond its own 320."""


@pytree
@dataclass(frozen=True)
class WaveformState:
    """State of live features between two chunks, on the host.

    Attributes:
      window: the last samples that were encoded; as many as the window has, at most.
      samples: no complete hop has read them yet.
      hops: encoded so far.
    """

    window: Float32[np.ndarray, " w"]
    samples: Float32[np.ndarray, " n"]
    hops: int


@dataclass(frozen=True)
class WaveformFeatures:
    """A network over windows of the waveform, as `AudioFeatures`.

    Attributes:
      network: the audio encoder.
      hop: features that a live sound completes at once.
      lookahead: features that must follow a live feature before it is complete.
    """

    network: HubertEncoder
    hop: int = 10
    lookahead: int = 10

    @property
    def rate(self) -> float:
        return SAMPLE_RATE / SAMPLES_PER_FEATURE

    @property
    def width(self) -> int:
        return self.network.config.width

    @property
    def window(self) -> int:
        """Features of a window."""
        return self.network.config.context

    @property
    def context(self) -> float:
        return self.window / self.rate

    @property
    def latency(self) -> float:
        return (self.hop + self.lookahead) / self.rate

    def encode(
        self, stream: Stream, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return the first `count` features of a whole clip, in flat memory.

        Windows lie end to end, and silence fills the last one.
        """
        # So that no features have their width, too.
        encoded = [np.zeros((0, self.width), np.float32)]
        windows = -(-count // self.window)
        encoded += self.encode_windows(stream, self.window, windows)
        return np.concatenate(encoded)[:count]

    def encode_windows(
        self, stream: Stream, hop: int, count: int
    ) -> Iterator[Float32[np.ndarray, "window width"]]:
        """Yield the features of each of `count` windows, which may overlap.

        Args:
          hop: features from the start of a window to that of the next, at most a
            window.
        """
        size = self.window * SAMPLES_PER_FEATURE
        chunks = iter(stream())
        buffer = np.zeros(0, np.float32)
        for _ in range(count):
            pieces = [buffer]
            missing = size - buffer.size
            while missing > 0:
                chunk = next(chunks, None)
                # Silence follows the clip.
                chunk = np.zeros(missing, np.float32) if chunk is None else chunk
                pieces.append(chunk)
                missing -= chunk.size
            buffer = np.concatenate(pieces)
            yield self.encode_window(buffer[:size])
            # The next window may read the rest again.
            buffer = buffer[hop * SAMPLES_PER_FEATURE :]

    def encode_window(
        self, samples: Float32[np.ndarray, " s"]
    ) -> Float32[np.ndarray, "window width"]:
        """Return the features of one window, from exactly its samples."""
        return np.asarray(_encode(self.network, samples[None]))[0]

    def start(self) -> WaveformState:
        """Return the state before the first sample."""
        nothing = np.zeros(0, np.float32)
        return WaveformState(nothing, nothing, 0)

    def step(
        self, state: WaveformState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "features width"], WaveformState]:
        """Return the features that a chunk completes, and the next state."""
        size = self.hop * SAMPLES_PER_FEATURE
        window = state.window
        hops = state.hops
        buffer = np.concatenate([state.samples, samples])
        encoded = [np.zeros((0, self.width), np.float32)]
        while buffer.size >= size:
            window = np.concatenate([window, buffer[:size]])
            # A full window slides.
            window = window[-self.window * SAMPLES_PER_FEATURE :]
            buffer = buffer[size:]
            hops += 1
            encoded.append(self._newest(window, hops))
        return np.concatenate(encoded), WaveformState(window, buffer, hops)

    def finish(
        self, state: WaveformState, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return what is missing to the first `count` features; silence follows."""
        # Features that earlier chunks completed.
        emitted = max(0, state.hops * self.hop - self.lookahead)
        missing = max(0, count - emitted)
        # Rounded up to whole hops.
        hops = -(-(count + self.lookahead) // self.hop) - state.hops
        length = max(0, hops) * self.hop * SAMPLES_PER_FEATURE
        features, _ = self.step(state, np.zeros(length, np.float32))
        return features[:missing]

    def _newest(
        self, window: Float32[np.ndarray, " w"], hops: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return the features that a hop completes, of the window that it ends."""
        missing = self.window * SAMPLES_PER_FEATURE - window.size
        # Samples to come are silent, as those after a clip's end are.
        features = self.encode_window(np.pad(window, (0, missing)))
        last = window.size // SAMPLES_PER_FEATURE - self.lookahead
        first = max(0, last - self.hop)
        # The first hops complete features that would lie before the sound.
        return features[first : max(0, last)]


def hubert_features(network: HubertEncoder) -> WaveformFeatures:
    """Return HuBERT's features of windows."""
    return WaveformFeatures(network)


def pad_window(samples: Float[Array, "n s"]) -> Float[Array, "n S"]:
    """Pad windows so that their features begin and end with them.

    The ends are mirrored twice, the second time with what the first has added. A window
    of 320 samples a feature gets the 80 that its last feature reads beyond them. One
    that is nearly a feature longer is left as it is.

    Source: JoyVASA.
    """
    count = samples.shape[1]
    features = count // SAMPLES_PER_FEATURE
    missing = SAMPLES_PER_FEATURE * features + REACH - count
    side = -(-missing // 2)
    if side < 0:
        return samples
    mirrored = ((0, 0), (side // 2, side // 2))
    padded = jnp.pad(samples, mirrored, mode="reflect")
    padded = jnp.pad(padded, mirrored, mode="reflect")
    # An odd sample is the edge's repetition.
    odd = side % 2
    return jnp.pad(padded, ((0, 0), (odd, odd)), mode="edge")


@jax.jit
def _encode(network: Any, samples: Float[Array, "n s"]) -> Float[Array, "n t width"]:
    """Return the features of windows, by full float32 products on every platform."""
    # Accelerators round the factors of float32 products by default.
    with jax.default_matmul_precision("highest"):
        return network(pad_window(samples))
