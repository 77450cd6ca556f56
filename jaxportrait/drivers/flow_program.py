"""The compiled programs by which the flow transformer samples motion."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxportrait.drivers.integrate import Further, integrate
from jaxportrait.drivers.live_windows import (
    LiveWindows,
    prefix_weights,
    sample_window,
)
from jaxportrait.drivers.windows import WindowPlan, frame_noise, group_of, map_groups
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.motion.space import (
    MotionStatistics,
    denormalize,
)
from jaxportrait.types import AudioCondition, pytree


@pytree
@dataclass(frozen=True)
class EmotionGuidance:
    """An emotion as the input of a program: another one needs no other program.

    Attributes:
      emotion: 1 at the emotion, 0 at the others.
      strength: scale of its guidance: 0 is none, 1 the emotion as it was trained.
    """

    emotion: Float[Array, " e"]
    strength: Float[Array, ""]


def transformer_velocity(
    network: FlowTransformer, motion: Array, time: Array, condition: Any
) -> Array:
    """Return the flow transformer's velocity, in the form that `integrate` takes."""
    return network.velocity(motion, time, condition)


@partial(jax.jit, static_argnames=("plan", "steps", "guided"))
def sample_motion(
    network: FlowTransformer,
    statistics: MotionStatistics,
    features: Float[Array, "features a"],
    key: PRNGKeyArray,
    count: Int[Array, ""],
    guidance: Float[Array, ""],
    emotion: EmotionGuidance | None = None,
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
) -> Float[Array, "frames d"]:
    """Return the motion of a clip, in its own units.

    Args:
      network: the flow transformer.
      statistics: normalisation of its motion.
      features: audio features, padded to `plan.features`.
      key: decides the noise.
      count: windows in use.
      guidance: scale of classifier-free guidance.
      emotion: emotion of the clip; None has a program of its own, without its rows.
      plan: the windows.
      steps: Euler steps.
      guided: False evaluates the conditional velocity only.
    """
    # The condition does not depend on the state: it is encoded before the loop.
    null = network.encode_null()
    noise = frame_noise(key, plan.frames, network.config.motion_width)
    conditions = _encode_windows(network, features, count, plan)
    motion = integrate(
        transformer_velocity,
        network,
        noise,
        conditions,
        null,
        count,
        guidance,
        plan=plan,
        steps=steps,
        guided=guided,
        further=_further(network, conditions, emotion),
    )
    return denormalize(motion, statistics)


def _further(
    network: FlowTransformer,
    conditions: AudioCondition,
    emotion: EmotionGuidance | None,
) -> Further | None:
    """Return the windows' conditions with an emotion, and its scale."""
    if emotion is None:
        return None
    conditions = network.add_emotion(conditions, emotion.emotion[None])
    return Further(conditions, emotion.strength)


def _encode_windows(
    network: FlowTransformer,
    features: Float[Array, "features a"],
    count: Int[Array, ""],
    plan: WindowPlan,
) -> Any:
    """Return the conditions of the plan's windows; those that are not in use are 0."""
    index = jnp.asarray(plan.feature_index)

    def encode_group(g: Array) -> Any:
        return network.encode_audio(features[group_of(index, g, plan.group)])

    return map_groups(encode_group, count, plan)


@partial(jax.jit, static_argnames=("windows", "steps", "guided"))
def sample_live_window(
    network: FlowTransformer,
    statistics: MotionStatistics,
    features: Float[Array, "s a"],
    key: PRNGKeyArray,
    last_motion: Float[Array, "t d"],
    window: Int[Array, ""],
    guidance: Float[Array, ""],
    emotion: EmotionGuidance | None = None,
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
      emotion: emotion of the window; see `sample_motion`.
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
    condition = network.encode_audio(features[None])
    motion = sample_window(
        transformer_velocity,
        network,
        noise,
        condition,
        network.encode_null(),
        earlier,
        weights,
        guidance,
        plan=windows.plan,
        steps=steps,
        guided=guided,
        further=_further(network, condition, emotion),
    )
    # The frames of the lookahead are made again by the next window.
    emitted = motion[windows.held : windows.held + windows.stride]
    return motion, denormalize(emitted, statistics)
