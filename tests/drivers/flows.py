"""A small flow transformer, an analytic one, one with emotions, and features that
count, for tests."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.features.spectrogram import log_mel_features
from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from jaxportrait.types import pytree

CONFIG = FlowTransformerConfig.tiny()
FEATURE_SAMPLES = 320
EMOTIONS = ("happy", "sad")


def towards(params, motion, time, condition):
    """Return the velocity of a flow that ends at `condition`, whatever the state."""
    return (condition - motion) / (1 - time)[:, None, None]


def small_transformer(config: FlowTransformerConfig = CONFIG) -> FlowTransformer:
    """Build a transformer whose zero-initialised layers have weights too.

    The motion of a fresh one does not depend on its sound.
    """
    network = build(config, rngs=nnx.Rngs(1))
    rng = np.random.default_rng(2)

    # Layers that start at zero are the output and the modulations.
    def fill(leaf: jax.Array) -> jax.Array:
        values = leaf if np.any(leaf) else rng.normal(0, 0.05, leaf.shape)
        return jnp.asarray(values, jnp.float32)

    nnx.update(network, jax.tree.map(fill, nnx.state(network)))
    return network


def emotional_driver(statistics: MotionStatistics) -> FlowDriver:
    """Return a driver of the lips whose emotions change its motion."""
    config = replace(CONFIG, audio_width=8, emotions=len(EMOTIONS))
    features = log_mel_features(build(LogMelConfig(4), rngs=nnx.Rngs(0)))
    return FlowDriver(
        small_transformer(config),
        MOTION_SPACES["lip"],
        statistics,
        features,
        2.0,
        MotionSampling(steps=2),
        emotion_names=EMOTIONS,
    )


@pytree
@dataclass(frozen=True)
class AnalyticTransformer:
    """A transformer whose windows end at sin(2 pi f / 10) plus an offset.

    Its audio features are their own indices; see `CountingFeatures`.

    Attributes:
      offsets: by a window's first frame, repeated.
      lead: index of the feature at frame 0.
    """

    offsets: jax.Array
    lead: jax.Array

    @property
    def config(self) -> FlowTransformerConfig:
        return CONFIG

    def encode_audio(self, audio):
        # Undo the rounding of `feature_start`: five features are three frames.
        first = jnp.round(audio[:, 0, 0]).astype(int) - self.lead
        start = -(-first * 3 // 5)
        frames = start[:, None] + jnp.arange(30)[None]
        offset = self.offsets[start % len(self.offsets)]
        target = jnp.sin(2 * jnp.pi * frames.astype(jnp.float32) / 10) + offset[:, None]
        return jnp.repeat(target[..., None], CONFIG.motion_width, axis=-1)

    def encode_null(self):
        return jnp.zeros((1, 30, CONFIG.motion_width))

    def velocity(self, motion, time, condition):
        return towards(None, motion, time, condition)


@dataclass(frozen=True)
class CountingFeatures:
    """Audio features that are their own indices; the state counts samples."""

    rate: float = 50
    width: int = 1
    context: float = 0.02
    hop: int = 1
    latency: float = 0.02

    def encode(self, stream, count):
        return np.arange(count, dtype=np.float32)[:, None]

    def start(self):
        return 0

    def step(self, state, samples):
        after = state + len(samples)
        indices = np.arange(state // FEATURE_SAMPLES, after // FEATURE_SAMPLES)
        return indices.astype(np.float32)[:, None], after

    def finish(self, state, count):
        indices = np.arange(state // FEATURE_SAMPLES, count)
        return indices.astype(np.float32)[:, None]
