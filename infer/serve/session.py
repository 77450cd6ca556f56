"""A session: a live sound in pieces of any length in, frames of a portrait out.

It knows no transport and no clock: the service feeds it from a socket, and tests feed
it from arrays.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Float32

from infer.serve.rate import LiveRate
from jaxportrait.drivers.base import LiveDriver, frame_count
from jaxportrait.media.audio import SAMPLE_RATE
from jaxportrait.motion.clip import MotionClip, concatenate
from jaxportrait.motion.layers import smooth_head
from jaxportrait.motion.natural import add_natural_motion
from jaxportrait.motion.sliders import BLINK
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.sliders import choose_sliders
from jaxportrait.portrait import Frame, Portrait
from jaxportrait.renderer import Renderer

T = TypeVar("T")


@dataclass(frozen=True)
class TimedFrame(Generic[T]):
    """A frame of a session.

    Attributes:
      index: number of the frame, from 0.
      time: seconds of sound before the frame.
      picture: the picture, or what was made of it.
    """

    index: int
    time: float
    picture: T


class Session:
    """A portrait that follows one live sound.

    The frames are the same however the sound is cut into pieces. Motion counts from the
    first frame, without its emotion, which leaves the portrait as it is.

    Args:
      renderer: shared by all sessions.
      driver: shared by all sessions; what it remembers of a sound is in the session.
      portrait: the portrait that moves.
      fps: frames a second; the driver's motion is resampled.
      seed: decides the motion.
      retargeting: options of the portrait's motion.
      natural_motion: add blinks and turns of the head, for a driver of lips.
    """

    def __init__(
        self,
        renderer: Renderer,
        driver: LiveDriver,
        portrait: Portrait,
        *,
        fps: float,
        seed: int,
        retargeting: Retargeting,
        natural_motion: bool = False,
    ):
        self.fps = fps
        self.samples = 0
        self.frames = 0
        self._renderer = renderer
        self._driver = driver
        self._portrait = portrait
        self._seed = seed
        self._natural_motion = natural_motion
        self._smoothing = retargeting.head_smoothing
        # The head is smoothed here, where the frame before is known.
        self._retargeting = replace(retargeting, head_smoothing=0.0)
        self._state = driver.start(seed)
        self._rate = LiveRate(driver.fps, fps)
        self._rest: MotionClip | None = None
        self._last: MotionClip | None = None

    @property
    def seconds(self) -> float:
        """Seconds of sound so far."""
        return self.samples / SAMPLE_RATE

    def feed(
        self,
        samples: Float32[np.ndarray, " n"],
        complete: Callable[[Frame], T] = lambda frame: frame,
    ) -> Iterator[TimedFrame[T]]:
        """Return the frames that a piece of sound completes, which may be none.

        Motion is made here, and frames while they are iterated over.

        Args:
          samples: 16 kHz mono, any number of them.
          complete: applied to every frame, in threads.
        """
        # Motion now: a session that is left behind has heard its sound.
        self.samples += len(samples)
        motion, self._state = self._driver.step(self._state, samples)
        return self._render(self._rate.push(motion), complete)

    def finish(
        self, complete: Callable[[Frame], T] = lambda frame: frame
    ) -> Iterator[TimedFrame[T]]:
        """Return the remaining frames of a sound that has ended."""
        motion = self._driver.finish(self._state)
        total = frame_count(self.seconds, self.fps)
        return self._render(self._rate.finish(motion, total), complete)

    def _render(
        self, motion: MotionClip, complete: Callable[[Frame], T]
    ) -> Iterator[TimedFrame[T]]:
        if len(motion) == 0:
            return iter(())
        first = self.frames
        self.frames += len(motion)
        keypoints = self._keypoints(motion, first)
        pictures = self._portrait.frames(self._renderer, keypoints, complete)
        return (
            TimedFrame(index, index / self.fps, picture)
            for index, picture in enumerate(pictures, first)
        )

    def _keypoints(
        self, motion: MotionClip, first: int
    ) -> Float32[np.ndarray, "n k 3"]:
        if self._natural_motion:
            sliders = choose_sliders(
                self._portrait.source, self._renderer.keypoint_groups
            )
            blink = sliders[BLINK].above
            add_natural = partial(
                add_natural_motion, blink=blink, seed=self._seed, first=first
            )
            motion = motion.transform(add_natural)
        motion = self._smooth(motion)
        if self._rest is None:
            self._rest = replace(motion[:1], rest=None)
        # Behind the session's first frame, as within one long clip.
        clip = concatenate([self._rest, motion])
        keypoints = self._portrait.keypoints(
            self._renderer, clip, "first", self._retargeting
        )
        return keypoints[1:]

    def _smooth(self, motion: MotionClip) -> MotionClip:
        if self._smoothing == 0:
            return motion
        # The frame before is where the head comes from.
        last = motion[:1] if self._last is None else self._last
        smooth = smooth_head(concatenate([last, motion]), self._smoothing)
        self._last = smooth[-1:]
        return smooth[1:]
