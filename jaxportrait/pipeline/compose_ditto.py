"""Ditto's composition: the logits of angles, and not the angles, are added to the
source's, only lips and eyes of the expression move, and the gaze follows the head."""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.gaze import PUBLISHED_GAZE
from jaxportrait.motion.space import (
    KEYPOINTS,
    PUBLISHED_GROUPS,
    KeypointGroups,
    Region,
)
from jaxportrait.ops.geometry import (
    expected_degrees,
    rotation_matrix,
    transform_keypoints,
)
from jaxportrait.types import AnyArray, Motion, Source, pytree, source_logits


@pytree
@dataclass(frozen=True)
class BinnedMotion:
    """Motion whose angles are logits over bins.

    Attributes:
      expression: offsets of the keypoints.
      logits: those of pitch, yaw and roll.
      translation: position of the head.
      scale: size of the head.
    """

    expression: Float[AnyArray, "n k 3"]
    logits: Float[AnyArray, "n 3 b"]
    translation: Float[AnyArray, "n 3"]
    scale: Float[AnyArray, "n 1"]

    @classmethod
    def of_clip(cls, clip: MotionClip) -> Self:
        """Return the motion of a clip; raise a ValueError unless nothing is left out."""
        # Motion of files and of other drivers has angles only.
        arrays = clip.arrays()
        names = [item.name for item in fields(cls)]
        if not set(names) <= arrays.keys():
            raise ValueError(
                'composition "ditto" adds logits of angles, and this motion has none: use composition "source"'
            )
        return cls(**{name: arrays[name] for name in names})

    @classmethod
    def of_motion(cls, motion: Motion) -> Self:
        """Return the motion of a source."""
        logits = source_logits(motion)
        return cls(motion.expression, logits, motion.translation, motion.scale)


def head_ratios(
    clip: MotionClip, source: Motion, groups: KeypointGroups
) -> Float[np.ndarray, " k+1"]:
    """Return the factors of motion for each keypoint and, last, for the angles.

    They are by how much the head is larger whose motion a clip is than the source's.
    """
    ratios = np.ones(KEYPOINTS + 1, np.float32)
    if clip.performer is None:
        return ratios
    # The first frame of a video decides for all.
    ratios[:] = clip.performer.scale / np.asarray(source.scale)[0, 0]
    # Offsets of a curve are the same for heads of any size.
    if not clip.performer.scales_eyes:
        ratios[list(groups.eyes)] = 1
    return ratios


@partial(jax.jit, static_argnames=("relative", "region", "groups"))
def compose_ditto(
    source: Source,
    motion: BinnedMotion,
    rest: BinnedMotion | None,
    ratios: Float[AnyArray, " k+1"],
    gaze: Float[AnyArray, ""],
    *,
    relative: bool = True,
    region: Region = "all",
    groups: KeypointGroups = PUBLISHED_GROUPS,
) -> Float[Array, "n k 3"]:
    """Return the driving keypoints of frames; see `compose.compose`.

    Args:
      source: the picture's source, or a row for each frame of a video.
      motion: motion of n frames.
      rest: the one frame that leaves the source as it is; None counts from the source.
      ratios: see `head_ratios`.
      gaze: factor of the gaze that follows the head.
      relative: add the motion since rest to the source's; otherwise it replaces it.
      region: the part of the face that moves.

    Source: Ditto, its motion stitching.
    """
    still = BinnedMotion.of_motion(source.motion)
    driven = motion
    if not relative:
        driven = multiply(motion, ratios)
    else:
        change = subtract(motion, still if rest is None else rest)
        driven = add(still, multiply(change, ratios))
    driven = limit(still, driven, region, groups)
    # Only here do logits become an angle, after they were added.
    degrees = expected_degrees(jnp.asarray(driven.logits))
    return place(source.motion, driven, degrees, gaze)


def subtract(first: BinnedMotion, second: BinnedMotion) -> BinnedMotion:
    """Return the motion of `first` since `second`."""
    return jax.tree.map(jnp.subtract, first, second)


def add(first: BinnedMotion, second: BinnedMotion) -> BinnedMotion:
    """Return motion with another one added."""
    return jax.tree.map(jnp.add, first, second)


def multiply(motion: BinnedMotion, ratios: Float[AnyArray, " k+1"]) -> BinnedMotion:
    """Return motion whose expression and angles are multiplied; see `head_ratios`."""
    return replace(
        motion,
        expression=motion.expression * ratios[None, :-1, None],
        logits=motion.logits * ratios[-1],
    )


def limit(
    still: BinnedMotion, driven: BinnedMotion, region: Region, groups: KeypointGroups
) -> BinnedMotion:
    """Return motion that is the source's own outside of a region; brows and cheeks are
    in none, as published, and the head keeps its size."""
    # An axis of frames, of keypoints, and of x, y and z.
    moved = np.zeros((1, KEYPOINTS, 1), bool)
    if region in ("all", "expression", "lips"):
        moved[:, list(groups.lips)] = True
    if region in ("all", "expression", "eyes"):
        moved[:, list(groups.eyes)] = True
    # The head turns and moves as a whole.
    turns = region in ("all", "pose")
    return BinnedMotion(
        jnp.where(moved, driven.expression, still.expression),
        driven.logits if turns else still.logits,
        driven.translation if turns else still.translation,
        still.scale,
    )


def place(
    still: Motion,
    driven: BinnedMotion,
    degrees: Float[Array, "n 3"],
    gaze: Float[AnyArray, ""],
) -> Float[Array, "n k 3"]:
    """Return the keypoints of motion, with eyes that follow the head.

    Args:
      still: the source's motion.
      degrees: pitch, yaw and roll.
      gaze: factor of the gaze; 0 leaves the eyes as they are.
    """
    # As published, a video's gaze counts from its first frame.
    turn = degrees - still.pose[:1]
    expression = driven.expression + gaze * PUBLISHED_GAZE.offsets(turn)
    return transform_keypoints(
        still.keypoints,
        rotation_matrix(degrees),
        jnp.asarray(expression),
        jnp.asarray(driven.scale),
        jnp.asarray(driven.translation),
    )
