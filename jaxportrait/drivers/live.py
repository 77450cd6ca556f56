"""The flow transformer as a driver of live sound."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, PRNGKeyArray

from jaxportrait.drivers.base import frame_count
from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.flow_program import transformer_velocity
from jaxportrait.drivers.live_windows import (
    Live,
    LiveWindows,
    plan_live_windows,
    prefix_weights,
    sample_window,
)
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.drivers.windows import frame_noise
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MotionStatistics, denormalize
from jaxportrait.types import pytree


@pytree
@dataclass(frozen=True)
class LiveState:
    """State of a live driver between two chunks.

    Attributes:
      key: decides the noise of every frame.
      motion: normalised motion of the last window.
      window: how many windows have been sampled.
      features: features that windows to come will read, on the host.
      encoder: state of the audio features.
      samples: length of the sound so far.
    """

    key: PRNGKeyArray
    motion: Float[Array, "t d"]
    window: int
    features: Float32[np.ndarray, "n a"]
    encoder: Any
    samples: int


@dataclass(frozen=True)
class LiveFlowDriver:
    """The flow transformer over live sound.

    A frame has the noise that it has in a whole clip of the same seed. Silence precedes
    the sound and follows it.

    Attributes:
      driver: network, features and sampling; its mode of windows has no effect.
      live: lengths of the windows' parts.

    Raises:
      ValueError: `live` does not fit the transformer's windows.
    """

    driver: FlowDriver
    live: Live = Live()

    def __post_init__(self):
        # A `Live` that does not fit is refused here, not at the first chunk.
        _ = self.windows

    @property
    def fps(self) -> float:
        return self.driver.fps

    @property
    def latency(self) -> float:
        # A window's first new frame waits for the window's end.
        frames = self.windows.stride + self.windows.lookahead
        return frames / self.fps + self.driver.features.latency

    @property
    def moves_head(self) -> bool:
        return self.driver.moves_head

    @property
    def windows(self) -> LiveWindows:
        """The windows, in frames and features."""
        return plan_live_windows(self.live, self.driver.network.config, self.fps)

    def make(self, input: Audio, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a whole clip of sound, made as if it were live."""
        state = self.start(seed)
        pieces = []
        # Chunk by chunk, as a live sound arrives.
        for chunk in input.stream():
            motion, state = self._advance(state, chunk)
            pieces.append(motion)
        if frames is None:
            frames = self._length(state)
        pieces.append(self._complete(state, frames))
        return self._clip(np.concatenate(pieces)[:frames])

    def start(self, seed: int) -> LiveState:
        """Return the state before the first sample."""
        # The first window reads silence before the sound.
        config = self.driver.network.config
        features = self.driver.features
        silence = round(self.windows.lead / features.rate * SAMPLE_RATE)
        with self.driver.products():
            lead, encoder = features.step(
                features.start(), np.zeros(silence, np.float32)
            )
        motion = jnp.zeros((config.motion_frames, config.motion_width))
        return LiveState(jax.random.key(seed), motion, 0, lead, encoder, 0)

    def step(
        self, state: LiveState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[MotionClip, LiveState]:
        """Return the frames that a chunk completes, and the next state."""
        motion, state = self._advance(state, samples)
        return self._clip(motion), state

    def finish(self, state: LiveState) -> MotionClip:
        """Return the remaining frames of a sound that has ended."""
        return self._clip(self._complete(state, self._length(state)))

    def with_sampling(self, sampling: MotionSampling) -> "LiveFlowDriver":
        return replace(self, driver=self.driver.with_sampling(sampling))

    def warm_up(self, frames: int) -> None:
        """Compile what live sound needs, which is the same for every length."""
        self._complete(self.start(0), 1)

    def _advance(
        self, state: LiveState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "frames d"], LiveState]:
        """Return the frames that a chunk completes, packed, and the next state."""
        with self.driver.products():
            features, encoder = self.driver.features.step(state.encoder, samples)
        # Samples are counted for the length of the motion at the end.
        length = state.samples + len(samples)
        state = replace(state, encoder=encoder, samples=length)
        return self._sample(state, features)

    def _complete(
        self, state: LiveState, total: int
    ) -> Float32[np.ndarray, "frames d"]:
        """Return what is missing to the first `total` frames, packed."""
        windows = self.windows
        # Silence completes the windows that the last frames are in.
        last = -(-total // windows.stride) - 1
        stop = windows.feature_stop(last)
        with self.driver.products():
            features = self.driver.features.finish(state.encoder, stop)
        motion, _ = self._sample(state, features)
        # The last window may reach beyond the end of the sound.
        emitted = state.window * windows.stride
        return motion[: max(0, total - emitted)]

    def _sample(
        self, state: LiveState, features: Float32[np.ndarray, "n a"]
    ) -> tuple[Float32[np.ndarray, "frames d"], LiveState]:
        """Sample every window whose features are complete."""
        windows = self.windows
        driver = self.driver
        pending = np.concatenate([state.features, features])
        pieces = [np.zeros((0, driver.space.width), np.float32)]
        # A long chunk may complete several windows, a short one none.
        while len(pending) >= windows.plan.audio_frames:
            with driver.products():
                motion, frames = sample_live_window(
                    driver.network,
                    driver.statistics,
                    jnp.asarray(pending[: windows.plan.audio_frames]),
                    state.key,
                    state.motion,
                    jnp.asarray(state.window, jnp.int32),
                    jnp.asarray(driver.guidance, jnp.float32),
                    windows=windows,
                    steps=driver.steps,
                    guided=driver.guidance > 1,
                )
            pieces.append(np.asarray(frames))
            # Windows overlap: the next one reads most features again.
            start = windows.feature_start(state.window)
            pending = pending[windows.feature_start(state.window + 1) - start :]
            state = replace(state, motion=motion, window=state.window + 1)
        return np.concatenate(pieces), replace(state, features=pending)

    def _length(self, state: LiveState) -> int:
        """Return how many frames the sound so far has."""
        return frame_count(state.samples / SAMPLE_RATE, self.fps)

    def _clip(self, motion: Float32[np.ndarray, "frames d"]) -> MotionClip:
        return MotionClip.from_values(motion, self.driver.space, self.fps)


@partial(jax.jit, static_argnames=("windows", "steps", "guided"))
def sample_live_window(
    network: FlowTransformer,
    statistics: MotionStatistics,
    features: Float[Array, "s a"],
    key: PRNGKeyArray,
    last_motion: Float[Array, "t d"],
    window: Int[Array, ""],
    guidance: Float[Array, ""],
    *,
    windows: LiveWindows,
    steps: int,
    guided: bool,
) -> tuple[Float[Array, "t d"], Float[Array, "stride d"]]:
    """Return a window's normalised motion, and the frames that it emits, in their units.

    Args:
      network: the flow transformer.
      statistics: normalisation of its motion.
      features: audio features of the window.
      key: decides the noise.
      last_motion: normalised motion of the window before.
      window: index of the window; the first one continues nothing.
      guidance: scale of classifier-free guidance.
      windows: the windows.
      steps: Euler steps.
      guided: False evaluates the conditional velocity only.
    """
    config = network.config
    # Noise belongs to frames of the clip, so that windows share it.
    start = window * windows.stride - windows.held
    noise = frame_noise(key, config.motion_frames, config.motion_width, start=start)
    # The frames that roll around have weight 0.
    earlier = jnp.roll(last_motion, -windows.stride, axis=0)
    weights = jnp.where(window > 0, jnp.asarray(prefix_weights(windows)), 0.0)
    motion = sample_window(
        transformer_velocity,
        network,
        noise,
        network.encode_audio(features[None]),
        network.encode_null(),
        earlier,
        weights,
        guidance,
        plan=windows.plan,
        steps=steps,
        guided=guided,
    )
    # The frames of the lookahead are made again by the next window.
    emitted = motion[windows.held : windows.held + windows.stride]
    return motion, denormalize(emitted, statistics)
