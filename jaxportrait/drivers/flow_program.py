"""The compiled program by which the flow transformer samples motion."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxportrait.drivers.windows import (
    WindowPlan,
    frame_noise,
    group_of,
    integrate,
    map_groups,
)
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.motion.space import (
    MotionStatistics,
    denormalize,
)


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
      plan: the windows.
      steps: Euler steps.
      guided: False evaluates the conditional velocity only.
    """
    # The condition does not depend on the state: it is encoded before the loop.
    null = network.encode_null()
    noise = frame_noise(key, plan.frames, network.config.motion_width)
    motion = integrate(
        transformer_velocity,
        network,
        noise,
        _encode_windows(network, features, count, plan),
        null,
        count,
        guidance,
        plan=plan,
        steps=steps,
        guided=guided,
    )
    return denormalize(motion, statistics)


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
