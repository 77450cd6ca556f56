"""Features from the log-mel spectrogram: the spectrogram itself, or Whisper's encoder.

A whole clip is floored at its own maximum and encoded in blocks that lie end to end. A
live sound is floored at the maximum so far, and encoded hop by hop in a sliding block.
"""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Float32, Int

from jaxportrait.features.base import Stream
from jaxportrait.features.blocks import samples_of, spectrogram_blocks
from jaxportrait.models.log_mel import LogMelEncoder
from jaxportrait.models.whisper import WhisperEncoder
from jaxportrait.ops.spectrogram import (
    FEATURES_PER_SECOND,
    HOP,
    MARGIN,
    SAMPLE_RATE,
    WINDOW,
    log_mel,
    scale_log_mel,
)
from jaxportrait.types import pytree

SAMPLES_PER_FEATURE = 2 * HOP
QUIET_MAXIMUM = 0.0
"""The running maximum before any sound: that of speech whose peak is about 0.15 of full
scale, so that the noise before the first word isn't taken for speech."""


@pytree
@dataclass(frozen=True)
class SlidingBlock:
    """The last spectrogram frames of a live sound, before floor and scale.

    Attributes:
      values: log-mel frames, the oldest first.
      count: how many of them are filled.
      maximum: largest value of all frames so far.
    """

    values: Float[Array, "frames mel_bins"]
    count: Int[Array, ""]
    maximum: Float[Array, ""]


@pytree
@dataclass(frozen=True)
class SpectrogramState:
    """State of live features between two chunks.

    Attributes:
      block: the spectrogram that the network reads.
      samples: on the host, that no complete hop has read yet.
      hops: encoded so far.
    """

    block: SlidingBlock
    samples: Float32[np.ndarray, " n"]
    hops: int


@dataclass(frozen=True)
class SpectrogramFeatures:
    """A network over the log-mel spectrogram, as `AudioFeatures`.

    Attributes:
      network: the audio encoder.
      context: seconds of sound that a feature may depend on.
      hop: features that a live sound completes at once.
      lookahead: features that must follow a live feature before it is complete.
      length: features of the sliding block; it is encoded again at every hop.
    """

    network: WhisperEncoder | LogMelEncoder
    context: float
    hop: int
    lookahead: int
    length: int

    @property
    def rate(self) -> float:
        return FEATURES_PER_SECOND

    @property
    def width(self) -> int:
        return self.network.config.width

    @property
    def latency(self) -> float:
        # Frame centres stand at the start of their hop, so the last one reads on.
        reach = MARGIN - HOP
        features = self.hop + self.lookahead
        return (features * SAMPLES_PER_FEATURE + reach) / SAMPLE_RATE

    def encode(
        self, stream: Stream, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return the first `count` features of a whole clip, in flat memory.

        The clip is streamed twice, since its maximum sets the floor. It is cut into
        blocks of the network's context; the last one is padded with zeros after the
        logarithm, as Whisper's are. The clip itself has `samples // 320` features;
        silence after its end makes more.
        """
        config = self.network.config
        length = count * SAMPLES_PER_FEATURE
        hops = 2 * config.context
        # First pass: the clip's maximum.
        maximum = jnp.asarray(-jnp.inf)
        for samples, valid in spectrogram_blocks(stream(), length, hops):
            block_maximum = _block_maximum(samples, valid, config.mel_bins)
            maximum = jnp.maximum(maximum, block_maximum)
        # The second pass reads only as many blocks as it needs.
        encoded = [np.zeros((0, config.width), np.float32)]
        blocks = spectrogram_blocks(stream(), length, hops)
        for samples, valid in islice(blocks, -(-count // config.context)):
            features = _encode_block(self.network, samples, valid, maximum)
            encoded.append(np.asarray(features)[: valid // 2])
        return np.concatenate(encoded)[:count]

    def start(self) -> SpectrogramState:
        """Return the state before the first sample."""
        # Two spectrogram frames make a feature.
        values = jnp.zeros((2 * self.length, self.network.config.mel_bins))
        count = jnp.asarray(0, jnp.int32)
        maximum = jnp.asarray(QUIET_MAXIMUM, jnp.float32)
        block = SlidingBlock(values, count, maximum)
        return SpectrogramState(block, np.zeros(0, np.float32), 0)

    def step(
        self, state: SpectrogramState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "features width"], SpectrogramState]:
        """Return the features that a chunk completes, and the next state."""
        size = samples_of(2 * self.hop)
        block = state.block
        hops = state.hops
        buffer = np.concatenate([state.samples, samples])
        # The sound is mirrored at its start, as a clip is.
        if hops == 0 and buffer.size >= size - MARGIN:
            buffer = np.concatenate([buffer[MARGIN:0:-1], buffer])
        encoded = [np.zeros((0, self.width), np.float32)]
        while buffer.size >= size:
            features, block = encode_hop(
                self.network,
                block,
                buffer[None, :size],
                hop=self.hop,
                lookahead=self.lookahead,
            )
            # The first hops complete features that would lie before the sound.
            early = max(0, self.lookahead - hops * self.hop)
            encoded.append(np.asarray(features)[early:])
            buffer = buffer[self.hop * SAMPLES_PER_FEATURE :]
            hops += 1
        return np.concatenate(encoded), SpectrogramState(block, buffer, hops)

    def finish(
        self, state: SpectrogramState, count: int
    ) -> Float32[np.ndarray, "features width"]:
        """Return what is missing to the first `count` features; silence follows."""
        # Features that earlier chunks completed.
        emitted = max(0, state.hops * self.hop - self.lookahead)
        missing = max(0, count - emitted)
        hops = -(-(count + self.lookahead) // self.hop) - state.hops
        length = max(0, hops) * self.hop * SAMPLES_PER_FEATURE + MARGIN
        features, _ = self.step(state, np.zeros(length, np.float32))
        return features[:missing]


def log_mel_features(network: LogMelEncoder) -> SpectrogramFeatures:
    """Return the spectrogram itself as features.

    A feature is two frames, so that it waits for no other and a block is one hop.
    """
    # Two frames of 25 ms, 10 ms apart.
    context = (WINDOW + HOP) / SAMPLE_RATE
    return SpectrogramFeatures(network, context, hop=5, lookahead=0, length=5)


def whisper_features(network: WhisperEncoder) -> SpectrogramFeatures:
    """Return Whisper's features.

    All features of a block attend to each other. A live one has 0.2 s of sound after it,
    and the block is as long as Whisper's own.
    """
    length = network.config.context
    context = length / FEATURES_PER_SECOND
    return SpectrogramFeatures(network, context, hop=10, lookahead=10, length=length)


@partial(jax.jit, static_argnames=("hop", "lookahead"))
def encode_hop(
    network: Any,
    block: SlidingBlock,
    samples: Float[Array, "1 s"],
    *,
    hop: int,
    lookahead: int,
) -> tuple[Float[Array, "hop width"], SlidingBlock]:
    """Return the features that stand `lookahead` before the new end of the sound, and
    the block with the hop's frames."""
    frames = len(block.values)
    # The floor follows the loudest sound so far: later sound cannot be known.
    fresh = log_mel(samples, network.config.mel_bins)[0]
    maximum = jnp.maximum(block.maximum, jnp.max(fresh))
    # A full block slides: its oldest frames make room for the new ones.
    surplus = jnp.maximum(block.count + len(fresh) - frames, 0)
    start = block.count - surplus
    values = jnp.roll(block.values, -surplus, axis=0)
    values = lax.dynamic_update_slice_in_dim(values, fresh, start, axis=0)
    count = start + len(fresh)
    # Frames to come are zero, as those after a clip's end are.
    scaled = jnp.where(
        _of_the_clip(values[None], count), scale_log_mel(values, maximum)[None], 0.0
    )
    # The whole block is encoded, and only the hop's features are used.
    encoded = _encode(network, scaled)
    # Two frames make a feature.
    first = count // 2 - lookahead - hop
    features = jnp.roll(encoded, -first, axis=0)[:hop]
    return features, SlidingBlock(values, count, maximum)


@partial(jax.jit, static_argnames="mel_bins")
def _block_maximum(
    samples: Float[Array, "1 s"], valid: Int[Array, ""], mel_bins: int
) -> Float[Array, ""]:
    values = log_mel(samples, mel_bins)
    return jnp.max(values, where=_of_the_clip(values, valid), initial=-jnp.inf)


@jax.jit
def _encode_block(
    network: Any,
    samples: Float[Array, "1 s"],
    valid: Int[Array, ""],
    maximum: Float[Array, ""],
) -> Float[Array, "context width"]:
    values = log_mel(samples, network.config.mel_bins)
    scaled = jnp.where(_of_the_clip(values, valid), scale_log_mel(values, maximum), 0.0)
    return _encode(network, scaled)


def _encode(
    network: Any, log_mel: Float[Array, "1 frames mel_bins"]
) -> Float[Array, "context width"]:
    """Return the features of one block, by full float32 products on every platform."""
    # Accelerators round the factors of float32 products by default.
    with jax.default_matmul_precision("highest"):
        return network(log_mel)[0]


def _of_the_clip(
    values: Float[Array, "1 frames mel_bins"], valid: Int[Array, ""]
) -> Bool[Array, "1 frames 1"]:
    return (jnp.arange(values.shape[1]) < valid)[None, :, None]
