"""Losses of the flow's velocity: the error of every value, and more weight for parts of
the motion space and for changes from frame to frame.

All of them are positive quadratic forms of the same error, so that the best network is
that of the plain loss. They only say which errors it makes up for first.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxportrait.motion.space import MotionSpace, expression_columns
from train.engine.config import ConfigError
from train.flow.config import FlowLosses


@dataclass(frozen=True)
class Term:
    """A loss beside the error of all values.

    Attributes:
      weight: factor of the mean squared error.
      columns: the values of the motion space that it reads.
      changes: compare changes from frame to frame in place of values.
    """

    weight: float
    columns: tuple[int, ...]
    changes: bool


def choose_terms(
    losses: FlowLosses, space: MotionSpace, lips: tuple[int, ...]
) -> tuple[Term, ...]:
    """Return the terms whose weight is not 0.

    Args:
      losses: weights.
      space: motion space of the transformer.
      lips: keypoints of the lips.

    Raises:
      ConfigError: a weight is of a part that the space lacks.
    """
    lip_columns = expression_columns(lips)
    parts = {
        "expression": space.expression,
        "lips": np.isin(space.columns, lip_columns),
        "head": ~space.expression,
    }
    terms = []
    for part, mask in parts.items():
        for name, changes in ((part, False), (f"{part}_velocity", True)):
            weight = getattr(losses, name)
            if weight and not mask.any():
                raise ConfigError(
                    f"losses.{name} is {weight:g}, and the motion space has no {part}: leave it out, or choose "
                    "another motion space"
                )
            if weight:
                columns = tuple(np.flatnonzero(mask).tolist())
                terms.append(Term(weight, columns, changes))
    return tuple(terms)


def weigh(error: Float[Array, "n t d"], terms: tuple[Term, ...]) -> Float[Array, ""]:
    """Return the mean squared error and the terms beside it.

    A sample is noise plus the sum of its velocities. So the changes of its error from
    frame to frame are the sum of those of the velocity, at every time alike.

    Args:
      error: error of the flow's velocity, in deviations.
      terms: losses beside it.
    """
    total = jnp.mean(jnp.square(error))
    for term in terms:
        values = error[..., np.array(term.columns)]
        if term.changes:
            values = jnp.diff(values, axis=1)
        total += term.weight * jnp.mean(jnp.square(values))
    return total
