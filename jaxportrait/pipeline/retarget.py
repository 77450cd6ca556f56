"""Composition: sampled motion and a source -> driving keypoints, as the renderer reads
them."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxportrait.motion.space import (
    MOTION_WIDTH,
    POSE,
    MotionSpace,
    expression_columns,
    unpack,
)
from jaxportrait.ops.geometry import chain, rotation_matrix, transform_keypoints
from jaxportrait.types import Source

Composition = Literal["source", "original"]


UPPER_KEYPOINTS = (1, 2, 3, 11, 13, 15, 16, 18)
"""Of eyes and brows: 11, 13, 15, 16 and 18 are LivePortrait's eyes, 1 and 2 its brows;
of the demo's keypoints 1 and 3 are brows, 2 and 18 irises."""

MEDIAN_COLUMNS = (
    *expression_columns(UPPER_KEYPOINTS),
    *range(POSE.start, MOTION_WIDTH),
)
"""Values of a frame that rest where they are most of the time: eyes and brows, pose,
translation and scale."""


def rest_motion(
    motion: Float[np.ndarray, "n d"], space: MotionSpace
) -> Float[np.ndarray, " d"]:
    """What a whole clip's motion is counted from, so that a source at rest stays so.

    Lips and jaw rest in the first frame, before anything is said. A head may look aside
    there, and lids may be shut; so these rest at their median over the clip.
    """
    return np.where(
        np.isin(space.columns, MEDIAN_COLUMNS), np.median(motion, axis=0), motion[0]
    ).astype(motion.dtype)


@partial(jax.jit, static_argnames=("space", "composition", "relative"))
def compose(
    source: Source,
    motion: Float[Array, "n d"],
    rest: Float[Array, " d"],
    *,
    space: MotionSpace,
    composition: Composition = "source",
    relative: bool = True,
) -> Float[Array, "n k 3"]:
    """Driving keypoints of frames whose motion is `motion`.

    "source" adds the motion since rest (r) to the source's own: expression e_s + e_i -
    e_r, rotation R_i R_r^T R_s, scale s_s s_i / s_r, translation t_s + t_i - t_r. What
    the motion space leaves out stays the source's. Over the lips this is LivePortrait's
    relative motion of the lip region.

    "original" is the audio-driven original's: the lips' motion, since rest (which is
    their first frame) if `relative`, in place of the source's expression.

    Args:
      motion: in the motion space's units.
      rest: the motion that is to leave the source as it is; see `rest_motion`.
    """
    own, now, then = (
        source.motion,
        unpack(space.complete(motion)),
        unpack(space.complete(rest[None])),
    )
    rotation = rotation_matrix(own.pose)
    if composition == "original":
        expression = now.expression - then.expression if relative else now.expression
        return transform_keypoints(
            own.keypoints, rotation, expression, own.scale, own.translation
        )
    back = jnp.swapaxes(rotation_matrix(then.pose), -1, -2)
    return transform_keypoints(
        own.keypoints,
        chain(rotation_matrix(now.pose), back, rotation),
        own.expression + now.expression - then.expression,
        own.scale * now.scale / then.scale,
        own.translation + now.translation - then.translation,
    )
