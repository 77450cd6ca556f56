"""An avatar: a portrait, and the networks that make it follow a live sound."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from infer.serve.session import Session
from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.drivers.base import FaceDriver, LiveDriver
from jaxportrait.drivers.live import make_live
from jaxportrait.media.audio import SAMPLE_RATE
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.portrait import Portrait
from jaxportrait.ranges import FrameRate, OptionError, check_ranges

LIVE_FPS = 25.0
"""Frames a second that video calls have, and fewer to render than the flow
transformer's 30."""


@dataclass(frozen=True)
class LiveOptions:
    """Options of live motion.

    Attributes:
      fps: frames a second.
      held: emitted motion at the start of a window in seconds; by default the driver's.
      lookahead: sound after the frames of a window in seconds; by default the driver's.
    """

    fps: FrameRate = LIVE_FPS
    held: float | None = None
    lookahead: float | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Avatar:
    """A portrait that any number of sessions move at once.

    Attributes:
      animator: renderer, detector and driver.
      portrait: the portrait of sessions that bring none.
      driver: makes motion of live sound.
      sampling: options of the driver; sessions choose their seeds.
      retargeting: options of the portrait's motion.
      live: options of live motion.
    """

    animator: Animator
    portrait: Portrait
    driver: LiveDriver
    sampling: Sampling = field(default_factory=Sampling)
    retargeting: Retargeting = field(default_factory=Retargeting)
    live: LiveOptions = field(default_factory=LiveOptions)

    @classmethod
    def open(
        cls,
        animator: Animator,
        portrait: Portrait,
        sampling: Sampling | None = None,
        retargeting: Retargeting | None = None,
        live: LiveOptions | None = None,
    ) -> "Avatar":
        """Make an avatar, and add natural motion to a driver that moves only lips.

        Raises:
          ValueError: the driver needs whole clips, or options do not fit it.
        """
        sampling = sampling or Sampling()
        live = live or LiveOptions()
        retargeting = animator.check_retargeting(retargeting or Retargeting())
        driver = animator.sound_driver()
        check_windows(driver, sampling)
        if not driver.moves_head:
            # A face that moves only its lips stands still in silence.
            sampling = replace(sampling, natural_motion=True)
        sampling.check_clip(
            driver, head=False, retargeting=retargeting, is_video=False, lip_sync=None
        )
        driver = live_driver(driver.with_sampling(sampling), live)
        return cls(animator, portrait, driver, sampling, retargeting, live)

    @property
    def latency(self) -> float:
        """Seconds of sound that a frame waits for."""
        # Between two frames of the driver lies a frame of another rate.
        is_resampled = self.live.fps != self.driver.fps
        return self.driver.latency + is_resampled / self.driver.fps

    def start(
        self, seed: int | None = None, portrait: Portrait | None = None
    ) -> Session:
        """Return a new session.

        Args:
          seed: decides the motion; by default that of the options.
          portrait: by default the avatar's own.

        Raises:
          ValueError: the driver is to read the portrait's eyes, and sees none.
        """
        portrait = portrait or self.portrait
        return Session(
            self.animator.renderer,
            self._driver_of(portrait),
            portrait,
            fps=self.live.fps,
            seed=self.sampling.seed if seed is None else seed,
            retargeting=self.retargeting,
            natural_motion=self.sampling.natural_motion,
        )

    def warm_up(self) -> None:
        """Compile all that sessions need, by a short one."""
        session = self.start()
        # The second window continues the first, by the same program.
        silence = np.zeros(round(2 * self.latency * SAMPLE_RATE), np.float32)
        for frames in (session.feed(silence), session.finish()):
            for _ in frames:
                pass

    def _driver_of(self, portrait: Portrait) -> LiveDriver:
        if self.sampling.condition != "source":
            return self.driver
        # `check_clip` has let only such drivers pass.
        driver = cast(FaceDriver, self.animator.sound_driver())
        driver = cast(FaceDriver, driver.with_sampling(self.sampling))
        face = self.animator.source_face(portrait)
        return live_driver(driver.with_source(face), self.live)


def check_windows(driver: Any, sampling: Sampling) -> None:
    """Raise an OptionError for windows that live sound does not have."""
    windows = sampling.windows
    is_published = windows == "original" and hasattr(driver, "published_live")
    if windows != "fused" and not is_published:
        raise OptionError(
            f"windows is {windows!r}, and live windows have a form of their own: leave it out"
        )


def live_driver(driver: Any, options: LiveOptions) -> LiveDriver:
    """Return a driver in its live form.

    Raises:
      ValueError: it makes motion of whole clips only, or has no such windows.
    """
    lengths = {"held": options.held, "lookahead": options.lookahead}
    chosen = {name: value for name, value in lengths.items() if value is not None}
    if hasattr(driver, "sample_window"):
        return make_live(driver, replace(driver.default_live, **chosen))
    if not hasattr(driver, "step"):
        raise ValueError(
            f"{type(driver).__name__} makes motion of whole clips, and a live sound has no end: choose another driver"
        )
    if chosen:
        names = " and ".join(chosen)
        raise OptionError(f"this driver has no live windows: leave out {names}")
    return driver
