"""The compiled programs by which a denoiser samples motion from sound."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxportrait.drivers.denoise import Draw, hold_earlier
from jaxportrait.drivers.diffusion_sample import (
    Earlier,
    Guided,
    sample_window,
    sample_windows,
)
from jaxportrait.drivers.live_windows import LiveWindows, prefix_weights
from jaxportrait.drivers.windows import WindowPlan, frame_noise, plan_windows
from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig
from jaxportrait.ops.diffusion import DEFAULT_STEPS, reverse_steps


def default_steps(config: MotionDiffusionConfig) -> int:
    """Return the steps of sampling, where windows are not the published ones."""
    return min(DEFAULT_STEPS, config.steps)


@jax.jit
def encode_window(
    network: MotionDiffusion, features: Float[Array, "s a"]
) -> Float[Array, "t c"]:
    """Return the frames of audio of a window's features."""
    return network.encode_audio(features[None])[0]


@partial(jax.jit, static_argnames=("plan", "steps", "guided"))
def sample_fused(
    network: MotionDiffusion,
    audio: Float[Array, "capacity t c"],
    key: PRNGKeyArray,
    count: Int[Array, ""],
    guidance: Float[Array, ""],
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
) -> Float[Array, "frames d"]:
    """Return the normalised motion of overlapping windows, which are made together.

    Args:
      network: the denoiser.
      audio: frames of audio of each window.
      key: decides the noise of every frame.
      count: windows in use.
      guidance: scale of classifier-free guidance.
      plan: the windows.
      steps: steps of the diffusion.
      guided: False evaluates only the prediction with sound.
    """
    width = network.config.motion_width
    return sample_windows(
        Guided(network, guidance, guided),
        audio,
        reverse_steps(network.config.steps, steps),
        frame_noise(key, plan.frames, width),
        _frame_draw(key, plan.frames, width),
        count,
        plan,
    )


def sample_features(
    network: MotionDiffusion,
    features: Float[Array, "capacity s a"],
    frames: int,
    key: PRNGKeyArray,
    guidance: float,
    steps: int | None = None,
) -> Float[Array, "frames d"]:
    """Return the normalised motion of overlapping windows of features.

    Args:
      network: the denoiser.
      features: audio features of each window of the clip's plan.
      frames: length of the clip.
      key: decides the noise.
      guidance: scale of classifier-free guidance.
      steps: steps of sampling; see `default_steps`.
    """
    config = network.config
    plan, count = plan_windows(frames, config)

    motion = sample_fused(
        network,
        network.encode_audio(features),
        key,
        jnp.asarray(count),
        jnp.asarray(guidance, jnp.float32),
        plan=plan,
        steps=steps or default_steps(config),
        guided=guidance > 1,
    )
    return motion[:frames]


@partial(jax.jit, static_argnames=("steps", "guided"))
def sample_next(
    network: MotionDiffusion,
    audio: Float[Array, "t c"],
    earlier: Earlier,
    initial: Float[Array, "t d"],
    fresh: Float[Array, "steps_and_one t d"],
    guidance: Float[Array, ""],
    *,
    steps: int,
    guided: bool,
) -> tuple[Float[Array, "t d"], Earlier]:
    """Return a window's normalised motion, and its last frames.

    Args:
      network: the denoiser.
      audio: frames of audio of the window.
      earlier: the frames before the window.
      initial: noise before the first step.
      fresh: noise of each step, by its number.
      guidance: see `sample_fused`, also for `steps` and `guided`.

    Source: JoyVASA, whose windows lie end to end.
    """

    motion = sample_window(
        Guided(network, guidance, guided),
        network.audio_terms(earlier.audio[None], audio[None]),
        earlier.motion,
        reverse_steps(network.config.steps, steps),
        initial,
        lambda step: fresh[step],
    )
    count = network.config.earlier_frames
    return motion, Earlier(motion[-count:], audio[-count:])


@partial(jax.jit, static_argnames=("windows", "steps", "guided"))
def sample_live(
    network: MotionDiffusion,
    features: Float[Array, "s a"],
    key: PRNGKeyArray,
    history: Earlier,
    window: Int[Array, ""],
    guidance: Float[Array, ""],
    *,
    windows: LiveWindows,
    steps: int,
    guided: bool,
) -> tuple[Float[Array, "stride d"], Earlier]:
    """Return the normalised frames that a live window emits, and the history after it.

    Args:
      network: the denoiser.
      features: audio features of the window.
      key: decides the noise of every frame.
      history: motion and audio of the window before, and of the frames before that.
      window: index of the window; the first one continues nothing.
      guidance: see `sample_fused`, also for `steps` and `guided`.
      windows: the windows.
    """
    config = network.config
    count = config.earlier_frames
    # Frames roll out at the start. Those that roll around have weight 0.
    moved = jax.tree.map(lambda leaf: jnp.roll(leaf, -windows.stride, axis=0), history)
    is_first = window == 0
    before = jax.tree.map(
        lambda old, new: jnp.where(is_first, old[:count], new[:count]), history, moved
    )
    weights = jnp.where(is_first, 0.0, jnp.asarray(prefix_weights(windows)))[:, None]
    # Noise belongs to frames of the sound, so that windows share it.
    start = window * windows.stride - windows.held
    noise = frame_noise(key, config.motion_frames, config.motion_width, start=start)
    audio = network.encode_audio(features[None])
    motion = sample_window(
        Guided(network, guidance, guided),
        network.audio_terms(before.audio[None], audio),
        before.motion,
        reverse_steps(config.steps, steps),
        noise,
        _frame_draw(key, config.motion_frames, config.motion_width, start),
        hold_earlier(noise, moved.motion[count:], weights),
    )
    history = Earlier(
        jnp.concatenate([before.motion, motion]),
        jnp.concatenate([before.audio, audio[0]]),
    )
    # The frames of the lookahead are made again by the next window.
    return motion[windows.held : windows.held + windows.stride], history


def _frame_draw(
    key: PRNGKeyArray, frames: int, width: int, start: Int[Array, ""] | int = 0
) -> Draw:
    """Return the fresh noise of a step; a frame has its own, whatever window holds it."""

    def draw(step: Array) -> Array:
        # A key of its own for the steps, beside those of the frames.
        steps_key = jax.random.fold_in(jax.random.split(key)[1], step)
        return frame_noise(steps_key, frames, width, start=start)

    return draw
