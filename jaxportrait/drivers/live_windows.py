"""Windows over live sound, and the flow of a window that continues earlier motion.

A window starts with frames that have been emitted already. They are held while the
window is sampled. The frames that the last window made and did not emit pull on the new
ones, less and less.

Source: Black et al., "Real-time execution of action chunking flow policies", 2025, for
the weights of the earlier motion. There they weight a guidance term. Here they blend the
path to the earlier motion into the state, which needs no gradient.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxportrait.drivers.integrate import Further, Velocity, integrate
from jaxportrait.drivers.windows import WindowPlan, WindowSizes
from jaxportrait.ops.flow import interpolate

SHORTEST_LOOKAHEAD = 2
"""Frames over which motion must turn from one window's to the next one's. Bends at joins
of windows that disagree are 1.22 times those elsewhere with 2, 1.37 times with 1."""


@dataclass(frozen=True)
class Live:
    """Lengths of the parts of live windows, in seconds.

    Attributes:
      held: emitted motion at the start of a window. With more of it, frames follow their
        sound sooner, and more windows are sampled a second.
      lookahead: sound after the frames that a window emits. In the same time, motion
        turns from what the last window expected to what the new one makes.
    """

    held: float = 0.5
    lookahead: float = 0.2

    def __post_init__(self):
        for name, seconds in (("held", self.held), ("lookahead", self.lookahead)):
            if not 0 < seconds < np.inf:
                raise ValueError(f"{name} is {seconds} s: it must be more than 0")


@dataclass(frozen=True)
class LiveWindows:
    """Windows over a live sound, in frames and features.

    The first window starts before the sound, so that frame 0 waits no longer than the
    others. The features before the sound are those of silence, the lead.

    Attributes:
      plan: a plan of one window; its stride is the number of frames that it emits.
      held: frames that have been emitted before.
      lookahead: frames at the end that are not emitted.
      hop: features that the sound completes at once; it starts at a whole number of
        them, so that they are cut as those of a whole clip.
    """

    plan: WindowPlan
    held: int
    lookahead: int
    hop: int = 1

    @property
    def stride(self) -> int:
        """The frames that a window emits."""
        return self.plan.stride

    @property
    def lead(self) -> int:
        """The features before the sound; the first window reads the last of them."""
        features = -self._feature_of(-self.held)
        # -(-a // b) rounds up.
        return -(-features // self.hop) * self.hop

    def start(self, window: int) -> int:
        """Return the first frame of a window; it is negative before the sound."""
        return window * self.stride - self.held

    def feature_start(self, window: int) -> int:
        """Return the first feature of a window, counted from the start of the lead."""
        return self.lead + self._feature_of(self.start(window))

    def feature_stop(self, window: int) -> int:
        """Return the feature after a window's last one."""
        return self.feature_start(window) + self.plan.audio_frames

    # Rounds down also below 0.
    def _feature_of(self, frame: int) -> int:
        return frame * self.plan.audio_frames // self.plan.motion_frames


def plan_live_windows(
    live: Live, sizes: WindowSizes, fps: float, hop: int = 1
) -> LiveWindows:
    """Return the windows of a live sound.

    Args:
      live: lengths of the windows' parts.
      sizes: sizes of the network's windows.
      fps: frames of motion a second.
      hop: features that the sound completes at once.

    Raises:
      ValueError: no frame is held, the lookahead is too short, or no frame remains to
        be emitted.
    """
    # held | emitted (the stride) | lookahead
    held = round(live.held * fps)
    lookahead = round(live.lookahead * fps)
    length = sizes.motion_frames
    stride = length - held - lookahead
    if held < 1:
        raise ValueError(f"held is {live.held} s: hold a frame, {1 / fps:.3f} s")
    if lookahead < SHORTEST_LOOKAHEAD:
        shortest = SHORTEST_LOOKAHEAD / fps
        raise ValueError(
            f"lookahead is {live.lookahead} s: look at least {shortest:.3f} s ahead"
        )
    if stride < 1:
        raise ValueError(
            f"held and lookahead are {held} and {lookahead} of a window's {length} "
            "frames: leave at least one to emit"
        )
    # One window at a time: frames are needed as soon as they can be made.
    plan = WindowPlan(1, length, sizes.audio_frames, stride, group=1)
    return LiveWindows(plan, held, lookahead, hop)


def prefix_weights(windows: LiveWindows) -> Float32[np.ndarray, " t"]:
    """Return the weight of the earlier motion at each frame of a window.

    It is 1 over the held frames, falls over those that the last window made and did not
    emit, and is 0 after them.

    Source: Black et al. 2025, equation 5.
    """
    share = prefix_shares(windows)
    # Soft decay: c (e^c - 1) / (e - 1) falls faster than the share c itself.
    weights = share * np.expm1(share) / np.expm1(1)
    return weights.astype(np.float32)


def prefix_shares(windows: LiveWindows) -> Float[np.ndarray, " t"]:
    """Return the weight of the earlier motion where it falls evenly."""
    # Frames that the last window has made, counted from the end of its motion.
    index = np.arange(windows.plan.motion_frames)
    end = windows.held + windows.lookahead
    return np.clip((end - index) / (windows.lookahead + 1), 0, 1)


def sample_window(
    velocity: Velocity,
    params: Any,
    noise: Float[Array, "t d"],
    condition: Any,
    null_condition: Any,
    earlier: Float[Array, "t d"],
    weights: Float[Array, " t"],
    guidance: Float[Array, ""] | float,
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
    further: Further | None = None,
) -> Float[Array, "t d"]:
    """Integrate one window that continues earlier motion.

    At every step the straight path from the noise to the earlier motion is blended into
    the state. Held frames are on that path, and end at the earlier motion.

    Args:
      velocity: see `integrate`, also for `params`, the conditions and `guidance`.
      noise: the state at time 0.
      earlier: motion that there is already; any values where there is none.
      weights: weight of the earlier motion, from 0 to 1.
      plan: a plan of one window.
      steps: Euler steps.
      guided: False evaluates the conditional velocity only.
      further: a second condition, or None.
    """
    # t -> t 1
    share = weights[:, None]

    # At time 1 the path is at the earlier motion itself.
    def hold(state: Array, time: Array) -> Array:
        path = interpolate(noise, earlier, time[None])
        return share * path + (1 - share) * state

    return integrate(
        velocity,
        params,
        noise,
        condition,
        null_condition,
        jnp.asarray(1),
        guidance,
        plan=plan,
        steps=steps,
        guided=guided,
        constraint=hold,
        further=further,
    )
