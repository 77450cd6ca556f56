"""A small denoiser, one that copies its sound, and features of loudness, for tests."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxportrait.drivers.diffusion import DiffusionDriver
from jaxportrait.features.base import AudioFeatures
from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from jaxportrait.types import pytree

CONFIG = MotionDiffusionConfig.tiny()
SPACE = MOTION_SPACES["joyvasa"]
FEATURE_SAMPLES = 320


def small_denoiser(config: MotionDiffusionConfig = CONFIG) -> MotionDiffusion:
    # A fresh denoiser is not silent, unlike a fresh flow transformer.
    return build(config, rngs=nnx.Rngs(1))


def statistics() -> MotionStatistics:
    mean = np.linspace(-0.5, 0.5, SPACE.width, dtype=np.float32)
    return MotionStatistics(mean, np.full(SPACE.width, 0.1, np.float32))


def driver_of(network: MotionDiffusion, features: AudioFeatures) -> DiffusionDriver:
    """Return a driver whose products are exact."""
    return DiffusionDriver(
        network, SPACE, statistics(), features, cfg_scale=2.0, full_precision=True
    )


@pytree
@dataclass(frozen=True)
class CopyingDenoiser:
    """A denoiser that predicts the loudness of each frame of audio, in every value.

    Attributes:
      start_motion: motion before the first window, silence.
      start_audio: audio before the first window, silence.
    """

    start_motion: jax.Array
    start_audio: jax.Array

    @classmethod
    def of_silence(cls) -> "CopyingDenoiser":
        config = CONFIG
        silence = jnp.zeros((config.earlier_frames, config.motion_width))
        return cls(silence, silence[:, :1])

    @property
    def config(self) -> MotionDiffusionConfig:
        return CONFIG

    # Two features are one frame.
    def encode_audio(self, features):
        n, count, _ = features.shape
        return features.reshape(n, count // 2, 2, 1).mean(axis=2)

    def encode_null(self):
        return jnp.zeros((1, CONFIG.motion_frames, 1))

    def start(self, n):
        assert n == 1
        return self.start_motion[None], self.start_audio[None]

    # One block.
    def audio_terms(self, earlier_audio, audio):
        return jnp.concatenate([earlier_audio, audio], axis=1)[:, None]

    # Neither motion nor step matters.
    def denoise(self, motion, earlier_motion, step, audio_terms):
        return jnp.repeat(audio_terms[:, 0], CONFIG.motion_width, axis=-1)


@dataclass(frozen=True)
class LoudnessFeatures:
    """Audio features of one value, the loudness; the state keeps an unfinished one."""

    rate: float = 50
    width: int = 1
    context: float = 0.02
    hop: int = 1
    latency: float = 0.02

    def encode(self, stream, count):
        samples = np.concatenate([*stream(), np.zeros(0, np.float32)])
        length = count * FEATURE_SAMPLES
        padded = np.pad(samples, (0, max(0, length - samples.size)))
        return loudness(padded[:length], FEATURE_SAMPLES)[:, None]

    def start(self):
        return np.zeros(0, np.float32), 0

    def step(self, state, samples):
        rest, emitted = state
        samples = np.concatenate([rest, samples])
        whole = samples.size // FEATURE_SAMPLES
        length = whole * FEATURE_SAMPLES
        features = loudness(samples[:length], FEATURE_SAMPLES)[:, None]
        return features, (samples[length:], emitted + whole)

    # Silence follows.
    def finish(self, state, count):
        rest, emitted = state
        return self.encode(lambda: [rest], max(0, count - emitted))


def loudness(samples: np.ndarray, size: int) -> np.ndarray:
    """Return the root mean square of every `size` samples."""
    blocks = samples[: samples.size // size * size].reshape(-1, size)
    return np.sqrt(np.square(blocks).mean(axis=1)).astype(np.float32)
