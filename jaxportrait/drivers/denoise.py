"""Reverse steps of a denoiser: from noise to clean motion."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxportrait.drivers.integrate import Constraint, unconstrained
from jaxportrait.ops.diffusion import ReverseSteps

Predict = Callable[[Array, Array, Array], Array]
"""predict(state (frames, d), last prediction (frames, d), step ()) -> clean motion."""

Draw = Callable[[Array], Array]
"""draw(step ()) -> the fresh noise of a step, (frames, d)."""


def denoise(
    predict: Predict,
    steps: ReverseSteps,
    noise: Float[Array, "frames d"],
    draw: Draw,
    *,
    estimate: Float[Array, "frames d"] | None = None,
    constraint: Constraint = unconstrained,
) -> Float[Array, "frames d"]:
    """Return the clean motion that reverse steps make of noise.

    Args:
      predict: predicts the clean motion of a state.
      steps: the reverse steps, the noisiest first.
      noise: the state before the first step.
      draw: fresh noise of a step.
      estimate: passed to the first step in place of the last step's prediction.
      constraint: imposed on the state before every step and at the end; its time is the
        share of the data in the state, from 0 to 1.
    """

    def step(carry: tuple[Array, Array], row: ReverseSteps) -> Any:
        state, last = carry
        state = constraint(state, jnp.asarray(row.data_share))
        number = jnp.asarray(row.number)
        clean = predict(state, last, number)
        data = row.clean * clean + row.last * last
        state = row.state * state + data + row.noise * draw(number)
        return (state, clean), None

    first = jnp.zeros_like(noise) if estimate is None else estimate
    rows = jax.tree.map(jnp.asarray, steps)
    (state, _), _ = lax.scan(step, (noise, first), rows)
    return constraint(state, jnp.asarray(1.0))


def hold_earlier(
    noise: Float[Array, "t d"],
    earlier: Float[Array, "t d"],
    weights: Float[Array, "t 1"],
) -> Constraint:
    """Return the constraint that holds frames of earlier motion.

    They are on the way from their noise to that motion.

    Args:
      noise: the state before the first step.
      earlier: motion that there is already; any values where there is none.
      weights: weight of the earlier motion, from 0 to 1.
    """

    def hold(state: Array, share: Array) -> Array:
        noise_share = jnp.sqrt(1 - share**2)
        path = share * earlier + noise_share * noise
        return weights * path + (1 - weights) * state

    return hold
