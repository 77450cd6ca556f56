"""Losses of predicted clean motion, over the frames that are real.

Source: JoyVASA, after DiffPoseTalk.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from train.diffusion.config import DiffusionLosses

TRANSITION = 3
"""Frames on either side of the place where windows meet."""

Terms = dict[str, Float[Array, ""]]


@dataclass(frozen=True)
class Half:
    """Predicted motion of a window, and the truth.

    Attributes:
      truth: clean motion.
      predicted: the network's.
      real: 1 for frames that count.
    """

    truth: Float[Array, "n t d"]
    predicted: Float[Array, "n t d"]
    real: Float[Array, "n t"]

    @property
    def rows(self) -> Float[Array, " t"]:
        """Return the number of rows in which each frame counts."""
        return self.real.sum(axis=0)


def half_terms(
    half: Half, rows: Float[Array, " t"], expression: Bool[np.ndarray, " d"]
) -> Terms:
    """Return the losses of a window.

    Args:
      half: the window, with the frames before it if they count as well.
      rows: number of rows in which each frame counts: `half.rows`, or their mean over
        the parts of a batch.
      expression: mask of the values that belong to the expression; the others belong to
        the head.
    """
    real = half.real
    simple = _square(half.predicted - half.truth)
    terms = {"simple": _mean(simple, real, rows)}
    for name, columns in (("expression", expression), ("head", ~expression)):
        truth = half.truth[..., columns]
        predicted = half.predicted[..., columns]
        terms[name] = _mean(_square(predicted - truth), real, rows)
        # Changes count from the second frame on, and their changes from the third.
        change = jnp.diff(predicted, axis=1)
        error = change - jnp.diff(truth, axis=1)
        terms[f"{name}_velocity"] = _mean(_square(error), real[:, 1:], rows[1:])
        bend = jnp.diff(change, axis=1)
        terms[f"{name}_smooth"] = _mean(_square(bend), real[:, 2:], rows[2:])
    return terms


def transition_term(
    half: Half,
    rows: Float[Array, " t"],
    earlier: int,
    expression: Bool[np.ndarray, " d"],
) -> Float[Array, ""]:
    """Return the loss of the head's motion where a window continues the one before.

    Args:
      half: the window, with `earlier` frames before it. Its real frames come first.
      rows: see `half_terms`.
    """
    # The truth before the window, and the prediction after.
    before = half.truth[:, earlier - TRANSITION : earlier]
    after = half.predicted[:, earlier : earlier + TRANSITION]
    poses = jnp.concatenate([before, after], axis=1)[..., ~expression]
    velocity = jnp.diff(poses, axis=1)
    # Of the bends, the first lies before the window.
    bend = jnp.diff(velocity, axis=1)[:, 1:3]
    jerk = jnp.diff(velocity, n=2, axis=1)
    # They count where the window has two real frames, and three.
    second, third = (slice(earlier + i, earlier + i + 1) for i in (1, 2))
    bends = _mean(_square(bend), half.real[:, second], rows[second])
    return bends + _mean(_square(jerk), half.real[:, third], rows[third])


def weigh(
    halves: tuple[Terms, Terms],
    transition: Float[Array, ""],
    weights: DiffusionLosses,
) -> Float[Array, ""]:
    """Return the loss of a clip of two windows."""
    total = weights.head_transition * transition
    for terms, share in zip(halves, (0.5, 0.5), strict=True):
        total += share * terms["simple"]
        total += share * weights.head * terms["head"]
        total += share * weights.head_velocity * terms["head_velocity"]
        total += share * weights.head_smooth * terms["head_smooth"]
    # As published, the second window's sum replaces the first's.
    shares = (0.0, 1.5) if weights.as_published else (0.5, 0.5)
    for terms, share in zip(halves, shares, strict=True):
        total += share * weights.expression * terms["expression"]
        total += share * weights.expression_velocity * terms["expression_velocity"]
        total += share * weights.expression_smooth * terms["expression_smooth"]
    return total


def _mean(
    values: Float[Array, "n t d"], real: Float[Array, "n #t"], rows: Float[Array, " #t"]
) -> Array:
    """Return the sum over real frames by their number of values; 0 where no frame is
    real.

    One column of `real` and of `rows` holds for all frames.
    """
    total = (values * real[..., None]).sum()
    _, frames, width = values.shape
    count = jnp.broadcast_to(rows, (frames,)).sum() * width
    # Parts of a batch may have less than a row on average.
    return total / jnp.where(count > 0, count, 1)


def _square(values: Array) -> Array:
    return jnp.square(values)
