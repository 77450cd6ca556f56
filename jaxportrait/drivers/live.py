"""A driver of windows as a driver of live sound."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import jax
import numpy as np
from jaxtyping import Float32, PRNGKeyArray

from jaxportrait.drivers.base import Driver, LiveDriver, frame_count
from jaxportrait.drivers.live_windows import Live, LiveWindows, plan_live_windows
from jaxportrait.drivers.windows import WindowSizes
from jaxportrait.features.base import AudioFeatures
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.motion.clip import MotionClip
from jaxportrait.types import pytree


class WindowDriver(Driver, Protocol):
    """A driver of whole clips whose network can also continue window by window.

    Attributes:
      features: the audio features that the network reads.
      width: values of a frame of its motion.
      sizes: lengths of its windows.
      default_live: parts of its live windows, unless others are chosen.
    """

    @property
    def features(self) -> AudioFeatures: ...

    @property
    def width(self) -> int: ...

    @property
    def sizes(self) -> WindowSizes: ...

    @property
    def default_live(self) -> Live: ...

    def products(self) -> AbstractContextManager[object]:
        """Return the context in which its programs are traced."""
        ...

    def with_sampling(self, sampling: Any) -> Self: ...

    def clip_of(self, motion: Float32[np.ndarray, "n d"]) -> MotionClip:
        """Return the clip of frames that live windows emit."""
        ...

    def start_window(self) -> Any:
        """Return what the first live window continues, a pytree."""
        ...

    def sample_window(
        self,
        windows: LiveWindows,
        features: Float32[np.ndarray, "s a"],
        key: PRNGKeyArray,
        continued: Any,
        window: int,
    ) -> tuple[Float32[np.ndarray, "stride d"], Any]:
        """Return the frames that a live window emits, and what the next window
        continues.

        Args:
          windows: the windows.
          features: audio features of the window.
          key: decides the noise of every frame.
          continued: the second result for the window before.
          window: index of the window.
        """
        ...


@pytree
@dataclass(frozen=True)
class LiveState:
    """State of a live driver between two chunks.

    Attributes:
      key: decides the noise of every frame.
      continued: the driver's own pytree, which the next window continues.
      window: how many windows have been sampled.
      features: features that windows to come will read, on the host.
      encoder: state of the audio features.
      samples: length of the sound so far.
      rest: the first frame, without an emotion, from which motion is counted; none
        before it is made.
    """

    key: PRNGKeyArray
    continued: Any
    window: int
    features: Float32[np.ndarray, "n a"]
    encoder: Any
    samples: int
    rest: Float32[np.ndarray, "m d"]


@dataclass(frozen=True)
class LiveWindowDriver:
    """A driver of windows over live sound.

    A frame has the noise that it has in a whole clip of the same seed. Silence precedes
    the sound and follows it.

    Attributes:
      driver: network, features and sampling; its mode of windows has no effect.
      live: lengths of the windows' parts; by default what suits the driver.

    Raises:
      ValueError: `live` does not fit the network's windows.
    """

    driver: WindowDriver
    live: Live | None = None

    def __post_init__(self):
        # A `Live` that does not fit is refused here, not at the first chunk.
        _ = self.windows

    @property
    def fps(self) -> float:
        return self.driver.fps

    @property
    def latency(self) -> float:
        # Windows start anywhere within a hop of features.
        plan = self.windows.plan
        places = range(plan.motion_frames * self.windows.hop)
        return max(self._wait(window) for window in places)

    @property
    def moves_head(self) -> bool:
        return self.driver.moves_head

    @property
    def windows(self) -> LiveWindows:
        """The windows, in frames and features."""
        live = self.live or self.driver.default_live
        hop = self.driver.features.hop
        return plan_live_windows(live, self.driver.sizes, self.fps, hop)

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
        motion, state = self._complete(state, frames)
        pieces.append(motion)
        # Chunks may have completed more frames than were asked for.
        return self._clip(np.concatenate(pieces)[:frames], state, 0)

    def start(self, seed: int) -> LiveState:
        """Return the state before the first sample."""
        # The first window reads silence before the sound.
        features = self.driver.features
        silence = round(self.windows.lead / features.rate * SAMPLE_RATE)
        with self.driver.products():
            lead, encoder = features.step(
                features.start(), np.zeros(silence, np.float32)
            )
        key = jax.random.key(seed)
        nothing = np.zeros((0, self.driver.width), np.float32)
        return LiveState(key, self.driver.start_window(), 0, lead, encoder, 0, nothing)

    def step(
        self, state: LiveState, samples: Float32[np.ndarray, " n"]
    ) -> tuple[MotionClip, LiveState]:
        """Return the frames that a chunk completes, and the next state."""
        first = state.window * self.windows.stride
        motion, state = self._advance(state, samples)
        return self._clip(motion, state, first), state

    def finish(self, state: LiveState) -> MotionClip:
        """Return the remaining frames of a sound that has ended."""
        first = state.window * self.windows.stride
        motion, state = self._complete(state, self._length(state))
        return self._clip(motion, state, first)

    def with_sampling(self, sampling: Any) -> "LiveWindowDriver":
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
    ) -> tuple[Float32[np.ndarray, "frames d"], LiveState]:
        """Return what is missing to the first `total` frames, packed, and the last
        state."""
        windows = self.windows
        # Silence completes the windows that the last frames are in.
        last = -(-total // windows.stride) - 1
        stop = windows.feature_stop(last)
        with self.driver.products():
            features = self.driver.features.finish(state.encoder, stop)
        # The last window may reach beyond the end of the sound.
        missing = max(0, total - state.window * windows.stride)
        motion, state = self._sample(state, features)
        return motion[:missing], state

    def _sample(
        self, state: LiveState, features: Float32[np.ndarray, "n a"]
    ) -> tuple[Float32[np.ndarray, "frames d"], LiveState]:
        """Sample every window whose features are complete."""
        windows = self.windows
        driver = self.driver
        pending = np.concatenate([state.features, features])
        # Without a complete window, there is a result of the right width.
        pieces = [state.rest[:0]]
        # The first window may start after the first features.
        start = windows.feature_start(0) if state.window == 0 else 0
        # A long chunk may complete several windows, a short one none.
        while len(pending) >= start + windows.plan.audio_frames:
            sound = pending[start : start + windows.plan.audio_frames]
            frames, continued = driver.sample_window(
                windows, sound, state.key, state.continued, state.window
            )
            pieces.append(frames)
            if state.window == 0:
                rest = self._rest(frames, sound, state)
                state = replace(state, rest=rest)
            # Windows overlap: the next one reads most features again.
            hop = windows.feature_start(state.window + 1)
            hop -= windows.feature_start(state.window)
            pending = pending[start + hop :]
            start = 0
            state = replace(state, continued=continued, window=state.window + 1)
        return np.concatenate(pieces), replace(state, features=pending)

    def _rest(
        self,
        frames: Float32[np.ndarray, "stride d"],
        sound: Float32[np.ndarray, "s a"],
        state: LiveState,
    ) -> Float32[np.ndarray, "1 d"]:
        """Return the first frame of all, without an emotion.

        Args:
          frames: those that the first window emits.
          sound: features of the first window.
          state: the state before it.
        """
        if self._neutral is not None:
            frames, _ = self._neutral.sample_window(
                self.windows, sound, state.key, state.continued, state.window
            )
        return frames[:1]

    @property
    def _neutral(self) -> WindowDriver | None:
        """The driver without its emotion; None where it has none in use."""
        # Drivers that know no emotions have no such attribute.
        return getattr(self.driver, "neutral", None)

    def _length(self, state: LiveState) -> int:
        """Return how many frames the sound so far has."""
        return frame_count(state.samples / SAMPLE_RATE, self.fps)

    def _wait(self, window: int) -> float:
        """Return the seconds from the first frame of a window to the sample that
        completes it."""
        windows = self.windows
        features = self.driver.features
        last = windows.feature_stop(window) - 1 - windows.lead
        # The last feature comes with all of its hop.
        complete = last // windows.hop * windows.hop / features.rate + features.latency
        return complete - window * windows.stride / self.fps

    def _clip(
        self, motion: Float32[np.ndarray, "frames d"], state: LiveState, first: int
    ) -> MotionClip:
        """Return frames as a clip that knows the first frame of all.

        Args:
          first: number of its first frame.
        """
        clip = self.driver.clip_of(motion)
        if len(state.rest) == 0:
            return clip
        rest = self.driver.clip_of(state.rest)
        # Only drivers of a whole face have blinks of their own.
        add_blinks = getattr(self.driver, "add_blinks", None)
        if add_blinks is not None:
            clip = add_blinks(clip, rest, state.key, first)
        neutral = None if self._neutral is None else rest
        return replace(clip, rest=rest, neutral=neutral)


def make_live(driver: Any, live: Live | None = None) -> LiveDriver:
    """Return a driver of windows as a driver of live sound.

    Args:
      driver: a `WindowDriver`. One whose original follows live sound has its windows
        where those of its sampling are "original".
      live: lengths of the windows' parts; by default what suits the driver.

    Raises:
      ValueError: `live` does not fit the network's windows.
    """
    published = getattr(driver, "published_live", None)
    if published is not None and driver.sampling.windows == "original":
        return published(live)
    return LiveWindowDriver(driver, live)
