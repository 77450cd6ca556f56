"""Sampling motion by a flow: Euler steps over windows of motion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jaxportrait.drivers.windows import (
    WindowPlan,
    blend_weights,
    blend_windows,
    group_of,
)
from jaxportrait.ops.flow import euler_times, guide, guide_further
from jaxportrait.types import pytree

Velocity = Callable[[Any, Array, Array, Any], Array]
"""velocity(params, motion (n, t, d), time (n,), condition) -> (n, t, d)."""

Constraint = Callable[[Array, Array], Array]
"""constraint(state (frames, d), time ()) -> the state with some frames imposed."""


@pytree
@dataclass(frozen=True)
class Further:
    """A second condition beside the sound, with guidance of its own.

    Attributes:
      conditions: conditions of every window with both, as those of `integrate`.
      scale: scale of its guidance; see `guide_further`.
    """

    conditions: Any
    scale: Float[Array, ""]


def unconstrained(state: Array, time: Array) -> Array:
    """Return the state as it is: the `Constraint` that imposes nothing."""
    return state


def integrate(
    velocity: Velocity,
    params: Any,
    noise: Float[Array, "frames d"],
    conditions: Any,
    null_condition: Any,
    count: Int[Array, ""],
    guidance: Float[Array, ""] | float,
    *,
    plan: WindowPlan,
    steps: int,
    guided: bool,
    constraint: Constraint = unconstrained,
    further: Further | None = None,
) -> Float[Array, "frames d"]:
    """Integrate from noise (time 0) to motion (time 1) by Euler's method.

    It is meant to be traced inside a jitted program.

    Args:
      velocity: evaluated on groups of windows.
      params: passed on to `velocity`.
      noise: the state at time 0.
      conditions: conditions of every window of the plan, along the first axis of each
        array.
      null_condition: the condition of no audio, with a first axis of 1.
      count: windows in use; groups beyond them are skipped.
      guidance: scale of classifier-free guidance.
      plan: the windows.
      steps: Euler steps.
      guided: False evaluates the conditional velocity only.
      constraint: imposed on the state before every step and at time 1.
      further: a second condition; None evaluates nothing for it.
    """
    times = jnp.asarray(euler_times(steps))
    index = jnp.asarray(plan.frame_index)
    weights = blend_weights(plan, count)

    # Guidance adds rows to the batch only where it is used.
    def evaluate(motion: Array, time: Array, g: Array) -> Array:
        batch = [group_of(conditions, g, plan.group)]
        if guided:
            batch.append(_repeat_rows(null_condition, len(motion)))
        if further is not None:
            batch.append(group_of(further.conditions, g, plan.group))
        conditional, *others = _predict_each(velocity, params, motion, time, batch)
        total = guide(conditional, others[0], guidance) if guided else conditional
        if further is not None:
            total = guide_further(total, others[-1], conditional, further.scale)
        return total

    def step(i: Array, state: Array) -> Array:
        state = constraint(state, times[i])

        def predict(g: Array) -> Array:
            rows = group_of(index, g, plan.group)
            return evaluate(state[rows], times[i], g)

        blended = blend_windows(predict, state, weights, count, plan)
        return state + (times[i + 1] - times[i]) * blended

    # Imposed once more at time 1, after the last step.
    return constraint(lax.fori_loop(0, steps, step, noise), times[steps])


def _predict_each(
    velocity: Velocity,
    params: Any,
    motion: Float[Array, "n t d"],
    time: Float[Array, ""],
    conditions: Sequence[Any],
) -> list[Float[Array, "n t d"]]:
    """Return the velocity under each of several conditions, evaluated as one batch."""
    count = len(conditions)
    rows = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *conditions)
    motions = jnp.concatenate([motion] * count)
    # Each row of the batch has the same time.
    times = jnp.broadcast_to(time, (len(motions),))
    return jnp.split(velocity(params, motions, times, rows), count)


def _repeat_rows(condition: Any, n: int) -> Any:
    """Return a condition that is stored once, repeated for `n` windows."""
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (n, *leaf.shape[1:])), condition
    )
