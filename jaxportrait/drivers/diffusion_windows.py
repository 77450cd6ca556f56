"""The windows of JoyVASA: end to end over a sound between stretches of silence."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from jaxportrait.drivers.diffusion_program import sample_next
from jaxportrait.drivers.diffusion_sample import Earlier
from jaxportrait.features.base import Stream
from jaxportrait.media.audio import SAMPLE_RATE
from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig


@dataclass(frozen=True)
class Silence:
    """Samples of silence before and after a sound."""

    before: int
    after: int = 0

    def around(self, stream: Stream) -> Stream:
        """Return the stream of a sound with this silence around it."""

        def padded() -> Iterator[Float32[np.ndarray, " n"]]:
            yield np.zeros(self.before, np.float32)
            yield from stream()
            if self.after:
                yield np.zeros(self.after, np.float32)

        return padded


class Noise(Protocol):
    """The noise of windows that lie end to end."""

    def initial(self) -> Float[Array, "t d"]:
        """Return the noise before the first step, the same in all windows."""
        ...

    def fresh(self, window: int) -> Float[Array, "steps_and_one t d"]:
        """Return the noise of a window's steps, by their numbers."""
        ...


@dataclass(frozen=True)
class SeededNoise:
    """Noise that a seed decides.

    Attributes:
      key: random key of the seed.
      sizes: those of the denoiser.
    """

    key: PRNGKeyArray
    sizes: MotionDiffusionConfig

    @property
    def shape(self) -> tuple[int, int]:
        return self.sizes.motion_frames, self.sizes.motion_width

    def initial(self) -> Float[Array, "t d"]:
        return jax.random.normal(self.key, self.shape)

    def fresh(self, window: int) -> Float[Array, "steps_and_one t d"]:
        # Folding in sets these keys apart from that of the initial noise.
        key = jax.random.fold_in(self.key, window)
        return jax.random.normal(key, (self.sizes.steps + 1, *self.shape))


def sample_in_turn(
    network: MotionDiffusion,
    audio: Iterable[Float[Array, "t c"]],
    noise: Noise,
    guidance: float,
    steps: int,
) -> Float32[np.ndarray, "frames d"]:
    """Return the normalised motion of windows that lie end to end, each of which
    continues the one before.

    Args:
      network: the denoiser.
      audio: frames of audio of each window.
      noise: noise of the windows.
      guidance: scale of classifier-free guidance.
      steps: steps of the diffusion.
    """
    # Learned frames stand before the first window.
    motion = network.start_motion[...].astype(jnp.float32)
    earlier = Earlier(motion, network.start_audio[...])
    initial = noise.initial()
    pieces = []
    for window, frames in enumerate(audio):
        motion, earlier = sample_next(
            network,
            frames,
            earlier,
            initial,
            noise.fresh(window),
            jnp.asarray(guidance, jnp.float32),
            steps=steps,
            guided=guidance > 1,
        )
        pieces.append(np.asarray(motion))
    return np.concatenate(pieces)


def count_windows(samples: int, length: int, fps: float) -> tuple[int, int]:
    """Return how many windows a sound has, and how many frames they keep.

    Args:
      samples: length of the sound with its silence.
      length: frames of a window.
      fps: frames a second.

    Source: JoyVASA, whose rounding is kept: near a whole number of windows, its floats
    count a window less than whole numbers would.
    """
    frames = int(samples / SAMPLE_RATE * fps)
    windows = max(1, ceil(frames / length))
    # Frames beyond the sound are cut from the last window.
    samples_of_frame = round(SAMPLE_RATE / fps)
    missing = samples_of_frame * length * windows - samples
    # Rounded up: a frame that ends beyond the sound is cut, too.
    surplus = max(0, ceil(missing / samples_of_frame))
    return windows, windows * length - surplus
