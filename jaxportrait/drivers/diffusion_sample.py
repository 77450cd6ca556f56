"""Sampling JoyVASA's motion: its guided denoiser over windows of motion."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxportrait.drivers.denoise import Draw, denoise
from jaxportrait.drivers.integrate import Constraint, unconstrained
from jaxportrait.drivers.windows import (
    WindowPlan,
    blend_weights,
    blend_windows,
    group_of,
    map_groups,
)
from jaxportrait.models.motion_diffusion import MotionDiffusion
from jaxportrait.ops.diffusion import ReverseSteps
from jaxportrait.ops.flow import guide
from jaxportrait.types import pytree


@pytree
@dataclass(frozen=True)
class Earlier:
    """Frames before a window, which it continues.

    Attributes:
      motion: normalised motion.
      audio: frames of audio of the same time.
    """

    motion: Float[Array, "p d"]
    audio: Float[Array, "p c"]


@dataclass(frozen=True)
class Guided:
    """A denoiser with classifier-free guidance.

    Attributes:
      network: the denoiser.
      guidance: scale of the guidance.
      used: False evaluates only the prediction with sound.
    """

    network: MotionDiffusion
    guidance: Float[Array, ""] | float
    used: bool

    def __call__(
        self,
        motion: Float[Array, "n t d"],
        earlier: Float[Array, "n p d"],
        step: Int[Array, ""],
        terms: Float[Array, "n blocks p+t c"],
    ) -> Float[Array, "n t d"]:
        """Return the clean motion of windows.

        Args:
          motion: noisy motion of the windows.
          earlier: clean motion before them.
          step: step of the diffusion.
          terms: result of `MotionDiffusion.audio_terms`.
        """
        n = len(motion)
        if self.used:
            # Both branches are one batch. Earlier audio is heard in both.
            terms = jnp.concatenate([terms, self.without_audio(terms)])
        steps = jnp.broadcast_to(step, (len(motion),))
        clean = self.network.denoise(motion, earlier, steps, terms)
        clean = clean[:, self.network.config.earlier_frames :]
        if not self.used:
            return clean
        return guide(clean[:n], clean[n:], self.guidance)

    def without_audio(
        self, terms: Float[Array, "n blocks p+t c"]
    ) -> Float[Array, "n blocks p+t c"]:
        """Return the terms of the same windows without their own audio."""
        network = self.network
        count = network.config.earlier_frames
        _, start_audio = network.start(1)
        null = network.audio_terms(start_audio, network.encode_null())[:, :, count:]
        null = jnp.broadcast_to(null, (len(terms), *null.shape[1:]))
        return jnp.concatenate([terms[:, :, :count], null], axis=2)


def sample_window(
    guided: Guided,
    terms: Float[Array, "1 blocks p+t c"],
    earlier: Float[Array, "p d"],
    steps: ReverseSteps,
    noise: Float[Array, "t d"],
    draw: Draw,
    constraint: Constraint = unconstrained,
) -> Float[Array, "t d"]:
    """Return the motion of one window that continues earlier motion; see `denoise`."""

    def predict(state: Array, _: Array, number: Array) -> Array:
        return guided(state[None], earlier[None], number, terms)[0]

    return denoise(predict, steps, noise, draw, constraint=constraint)


def sample_windows(
    guided: Guided,
    audio: Float[Array, "capacity t c"],
    steps: ReverseSteps,
    noise: Float[Array, "frames d"],
    draw: Draw,
    count: Int[Array, ""],
    plan: WindowPlan,
) -> Float[Array, "frames d"]:
    """Return the motion of overlapping windows, which are made together.

    The motion before a window is what the last step has predicted for those frames.

    Args:
      guided: the denoiser.
      audio: frames of audio of each window.
      steps: the reverse steps.
      noise: the state before the first step.
      draw: fresh noise of a step.
      count: windows in use.
      plan: the windows.
    """
    terms = window_terms(guided.network, audio, count, plan)
    weights = blend_weights(plan, count)
    start_motion = guided.network.start_motion[...].astype(noise.dtype)
    before = jnp.asarray(earlier_index(plan, len(start_motion)))
    rows = jnp.asarray(plan.frame_index)

    def predict(state: Array, clean: Array, number: Array) -> Array:
        # Start tokens stand before the first window.
        padded = jnp.concatenate([start_motion, clean])

        def predict_group(g: Array) -> Array:
            motion = state[group_of(rows, g, plan.group)]
            earlier = padded[group_of(before, g, plan.group)]
            return guided(motion, earlier, number, group_of(terms, g, plan.group))

        return blend_windows(predict_group, state, weights, count, plan)

    # Nothing is predicted yet: start tokens stand before every window.
    padded = jnp.zeros((len(start_motion) + len(noise), noise.shape[1]))
    estimate = padded.at[before].set(start_motion[None])[len(start_motion) :]
    return denoise(predict, steps, noise, draw, estimate=estimate)


def earlier_index(plan: WindowPlan, earlier: int) -> Int[np.ndarray, "capacity p"]:
    """Return the frames before each window, counted from the start tokens."""
    starts = np.arange(plan.capacity) * plan.stride
    return starts[:, None] + np.arange(earlier)[None, :]


def window_terms(
    network: MotionDiffusion,
    audio: Float[Array, "capacity t c"],
    count: Int[Array, ""],
    plan: WindowPlan,
) -> Float[Array, "capacity blocks p+t c"]:
    """Return what audio adds in the windows of a plan, the same at every step."""
    # The frames before a window are those of the window before.
    start_audio = network.start_audio[...].astype(audio.dtype)
    length = len(start_audio)
    earlier = audio[:-1, plan.stride - length : plan.stride]
    earlier = jnp.concatenate([start_audio[None], earlier])

    def group_terms(g: Array) -> Array:
        return network.audio_terms(
            group_of(earlier, g, plan.group), group_of(audio, g, plan.group)
        )

    return map_groups(group_terms, count, plan)
