"""Ditto's own live windows as a driver of live sound, defects included.

Source: Ditto. Its live features are 5 ms off, the motion is counted from a frame of
silence, and there are more frames than the sound has, or none of a short one.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, PRNGKeyArray

from jaxportrait.drivers.ditto_program import sample_window
from jaxportrait.drivers.ditto_windows import (
    Progress,
    PublishedStream,
    PublishedWindows,
    Sample,
    StreamState,
    make_offline,
)
from jaxportrait.drivers.live_windows import Live, plan_live_windows
from jaxportrait.features.chunks import (
    CutState,
    Cutting,
    published_count,
    published_live_count,
)
from jaxportrait.features.onnx import ChunkFeatures
from jaxportrait.media.audio import Audio
from jaxportrait.motion.binned import BINNED_EXPRESSION
from jaxportrait.motion.clip import MotionClip
from jaxportrait.types import pytree

if TYPE_CHECKING:
    from jaxportrait.drivers.ditto import DittoDriver

OVERLAP = 10
"""Frames that two published windows of a whole clip share."""
LEAD = 1920
"""Zeros before a live sound, as published; the network was trained with 2000."""


def published_sampler(driver: "DittoDriver", key: PRNGKeyArray, steps: int) -> Sample:
    """Return the function that samples a published window.

    As published, the noise of the steps is the same in every window.
    """
    shape = (driver.sizes.frames, driver.width)
    fresh = jax.random.normal(key, (steps, *shape))

    def sample(progress: Progress, values: np.ndarray, _: int) -> np.ndarray:
        window_key = jax.random.fold_in(key, progress.windows)
        with driver.products():
            motion = sample_window(
                driver.model(),
                jnp.asarray(values),
                jnp.asarray(progress.earlier),
                jax.random.normal(window_key, shape),
                fresh,
                steps=steps,
                guided=driver.guidance > 1,
            )
        return np.asarray(motion)

    return sample


def sample_whole(
    driver: "DittoDriver", audio: Audio, key: PRNGKeyArray
) -> Float32[np.ndarray, "frames 265"]:
    """Return the motion of the published windows of a whole clip."""
    windows = PublishedWindows(driver.sizes.frames, OVERLAP)
    sample = published_sampler(driver, key, driver.steps)
    frames = published_count(audio.sample_count)
    values = driver.condition(audio, frames)
    # Smoothed once more, as published.
    _, motion = make_offline(windows, values, driver.reference, sample)
    return motion


@pytree
@dataclass(frozen=True)
class PublishedState:
    """State of the published windows between two chunks of sound.

    Attributes:
      key: decides the noise.
      encoder: state of the audio features.
      stream: state of the windows.
      samples: length of the sound so far.
      frames: frames that were emitted.
    """

    key: PRNGKeyArray
    encoder: CutState
    stream: StreamState
    samples: int
    frames: int


@dataclass(frozen=True)
class PublishedLive:
    """Ditto's network over live sound, in its own windows.

    Attributes:
      driver: the network, what it reads beside the sound, and options of sampling.
      live: lengths of the windows' parts.

    Raises:
      ValueError: the parts do not fit the network's windows, or are none that could be
        published.
    """

    driver: "DittoDriver"
    live: Live

    def __post_init__(self):
        _ = self.windows

    @property
    def fps(self) -> float:
        return self.driver.fps

    @property
    def moves_head(self) -> bool:
        return self.driver.moves_head

    @property
    def windows(self) -> PublishedWindows:
        sizes = self.driver.sizes
        parts = plan_live_windows(self.live, sizes, self.fps)
        if parts.lookahead != parts.stride:
            raise ValueError(
                f"lookahead is {parts.lookahead} frames, and a published window adds {parts.stride}: "
                "choose as many of both"
            )
        # Expression starts from the reference in every window.
        return PublishedWindows(
            sizes.frames,
            parts.held + parts.lookahead,
            live=True,
            reset_every=1,
            continued=(0, BINNED_EXPRESSION.start),
        )

    @property
    def features(self) -> ChunkFeatures:
        """The driver's features with the published lead."""
        features: Any = self.driver.features
        return replace(features, cutting=Cutting(lead=LEAD))

    @property
    def latency(self) -> float:
        # A frame is shown when the window after its own is complete.
        features = self.features
        fresh = self.windows.fresh
        waits = []
        for window in range(features.hop):
            last = (window + 2) * fresh - 1
            hop = last // features.hop * features.hop
            waits.append((hop - window * fresh) / self.fps)
        return max(waits) + features.latency

    def make(self, input: Audio, *, seed: int, frames: int | None = None) -> MotionClip:
        """Return the motion of a whole clip of sound, made as if it were live.

        Args:
          frames: length of the motion, by default the published one. The last frame is
            repeated; there are none of a sound that is too short for a window.
        """
        state = self.start(seed)
        pieces = []
        for chunk in input.stream():
            motion, state = self._advance(state, chunk)
            pieces.append(motion)
        motion, state = self._complete(state)
        pieces.append(motion)
        clip = self._clip(np.concatenate(pieces), state)
        return clip if frames is None else clip[:frames].pad(frames)

    def start(self, seed: int) -> PublishedState:
        """Return the state before the first sample."""
        # Silence of the windows' overlap is encoded as in a whole clip.
        count = self.windows.overlap
        silence = self.driver.features.encode(lambda: iter(()), count)
        key = jax.random.key(seed)
        stream = self._stream(key).begin(silence)
        return PublishedState(key, self.features.start(), stream, 0, 0)

    def step(
        self, state: PublishedState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[MotionClip, PublishedState]:
        """Return the frames that a chunk completes, and the next state."""
        motion, state = self._advance(state, samples)
        return self._clip(motion, state), state

    def finish(self, state: PublishedState) -> MotionClip:
        """Return the remaining frames of a sound that has ended."""
        motion, state = self._complete(state)
        return self._clip(motion, state)

    def with_sampling(self, sampling: Any) -> "PublishedLive":
        return replace(self, driver=self.driver.with_sampling(sampling))

    def warm_up(self, frames: int) -> None:
        """Compile what live sound needs, which is the same for every length."""
        self._complete(self.start(0))

    def _advance(
        self, state: PublishedState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[Float32[np.ndarray, "frames d"], PublishedState]:
        """Return the frames that a chunk completes, and the next state."""
        features, encoder = self.features.step(state.encoder, samples)
        length = state.samples + len(samples)
        state = replace(state, encoder=encoder, samples=length)
        return self._push(state, features)

    def _complete(
        self, state: PublishedState
    ) -> tuple[Float32[np.ndarray, "frames d"], PublishedState]:
        """Return the remaining frames, and the last state."""
        features = self.features
        count = published_live_count(state.samples, features.cutting)
        rest = features.finish(state.encoder, count)
        motion, state = self._push(state, rest)
        last, stream = self._stream(state.key).finish(state.stream)
        frames = state.frames + len(last)
        state = replace(state, stream=stream, frames=frames)
        return np.concatenate([motion, last]), state

    def _push(
        self, state: PublishedState, features: Float32[np.ndarray, "n a"]
    ) -> tuple[Float32[np.ndarray, "frames d"], PublishedState]:
        """Return the frames that features complete, and the next state."""
        windows = self._stream(state.key)
        stream = state.stream
        pieces = [stream.progress.motion[:0]]
        hop = self.features.hop
        # Chunk by chunk, so that any cutting of the sound runs the same windows.
        for first in range(0, len(features), hop):
            frames, stream = windows.push(stream, features[first : first + hop])
            pieces.append(frames)
        motion = np.concatenate(pieces)
        count = state.frames + len(motion)
        return motion, replace(state, stream=stream, frames=count)

    def _stream(self, key: PRNGKeyArray) -> PublishedStream:
        """Return the windows, whose noise a key decides."""
        sample = published_sampler(self.driver, key, self.driver.live_steps)

        def sample_features(
            progress: Progress, features: np.ndarray, start: int
        ) -> np.ndarray:
            values = self.driver.complete(features, start)
            return sample(progress, values, start)

        return PublishedStream(self.windows, self.driver.reference, sample_features)

    def _clip(
        self, motion: Float32[np.ndarray, "frames d"], state: PublishedState
    ) -> MotionClip:
        """Return frames as a clip that is counted from the frame of silence."""
        clip = self.driver.clip_of(motion)
        anchor = state.stream.anchor
        if len(anchor) == 0:
            return clip
        rest = self.driver.clip_of(anchor)
        first = state.frames - len(motion)
        clip = self.driver.add_blinks(clip, rest, state.key, first)
        return replace(clip, rest=rest)
