"""An avatar: a portrait, and the networks that make it follow a live sound."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from infer.serve.session import Session
from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.drivers.base import LiveDriver
from jaxportrait.drivers.live import LiveWindowDriver, WindowDriver
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
      fps: frames a second.
    """

    animator: Animator
    portrait: Portrait
    driver: LiveDriver
    sampling: Sampling = field(default_factory=Sampling)
    retargeting: Retargeting = field(default_factory=Retargeting)
    fps: float = LIVE_FPS

    @classmethod
    def open(
        cls,
        animator: Animator,
        portrait: Portrait,
        sampling: Sampling = Sampling(),
        retargeting: Retargeting = Retargeting(),
        live: LiveOptions = LiveOptions(),
    ) -> "Avatar":
        """Make an avatar, and add natural motion to a driver that moves only lips.

        Raises:
          ValueError: the driver needs whole clips, or options do not fit it.
        """
        if sampling.windows != "fused":
            raise OptionError(
                f"windows is {sampling.windows!r}, and live windows have a form of their own: leave it out"
            )
        retargeting = animator.check_retargeting(retargeting)
        driver = live_driver(animator, live).with_sampling(sampling)
        if not driver.moves_head:
            # A face that moves only its lips stands still in silence.
            sampling = replace(sampling, natural_motion=True)
        sampling.check_natural(
            moves_head=driver.moves_head, head=False, retargeting=retargeting
        )
        return cls(
            animator,
            portrait,
            cast(LiveDriver, driver),
            sampling,
            retargeting,
            live.fps,
        )

    @property
    def latency(self) -> float:
        """Seconds of sound that a frame waits for."""
        # Between two frames of the driver lies a frame of another rate.
        is_resampled = self.fps != self.driver.fps
        return self.driver.latency + is_resampled / self.driver.fps

    def start(
        self, seed: int | None = None, portrait: Portrait | None = None
    ) -> Session:
        """Return a new session.

        Args:
          seed: decides the motion; by default that of the options.
          portrait: by default the avatar's own.
        """
        return Session(
            self.animator.renderer,
            self.driver,
            portrait or self.portrait,
            fps=self.fps,
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


def live_driver(animator: Animator, options: LiveOptions) -> LiveDriver:
    """Return the animator's driver in its live form.

    Raises:
      ValueError: it makes motion of whole clips only, or has no such windows.
    """
    driver: Any = animator.sound_driver()
    lengths = {"held": options.held, "lookahead": options.lookahead}
    chosen = {name: value for name, value in lengths.items() if value is not None}
    if hasattr(driver, "sample_window"):
        live = replace(driver.default_live, **chosen)
        return LiveWindowDriver(cast(WindowDriver, driver), live)
    if not hasattr(driver, "step"):
        raise ValueError(
            f"{type(driver).__name__} makes motion of whole clips, and a live sound has no end: choose another driver"
        )
    if chosen:
        names = " and ".join(chosen)
        raise OptionError(f"this driver has no live windows: leave out {names}")
    return driver
