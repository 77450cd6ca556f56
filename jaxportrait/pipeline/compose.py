"""Composition: sampled motion and a source -> driving keypoints, as the renderer reads them."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxportrait.models.config import LIP_KEYPOINTS
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.types import Source

Composition = Literal["source", "original"]


@partial(jax.jit, static_argnames=("composition", "relative"))
def compose_lips(
    source: Source,
    motion: Float[Array, "n d"],
    first: Float[Array, " d"],
    *,
    composition: Composition = "source",
    relative: bool = True,
) -> Float[Array, "n k 3"]:
    """Driving keypoints whose lips follow `motion`, and whose pose is the source's.

    Args:
      motion: expression of the lip keypoints.
      first: that of the clip's first frame.
      composition: "source" keeps the source's own expression and adds the motion since the first frame to its lips:
        LivePortrait's relative motion of the lip region. "original" is the audio-driven original's, which leaves out
        the source's expression.
      relative: of "original": the motion since the first frame, or as it is.
    """
    own, n = source.motion, motion.shape[0]
    change = motion - first[None] if relative or composition == "source" else motion
    lips = jnp.asarray(LIP_KEYPOINTS)
    expression = jnp.zeros((n, *own.expression.shape[1:])).at[:, lips].set(change.reshape(n, len(LIP_KEYPOINTS), 3))
    if composition == "source":
        expression = expression + own.expression
    return transform_keypoints(own.keypoints, rotation_matrix(own.pose), expression, own.scale, own.translation)
