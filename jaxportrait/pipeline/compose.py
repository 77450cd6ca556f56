"""Composition: the motion of frames, and a source -> driving keypoints."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import (
    KEYPOINTS,
    PUBLISHED_GROUPS,
    KeypointGroups,
    Region,
    region_mask,
)
from jaxportrait.ops.geometry import chain, rotation_matrix, transform_keypoints
from jaxportrait.types import AnyArray, Source, pytree

Composition = Literal["source", "original", "joyvasa", "ditto", "animal"]


@pytree
@dataclass(frozen=True)
class ClipArrays:
    """The arrays of a `MotionClip`, as programs read them; see there."""

    expression: Float[AnyArray, "n k 3"] | None
    rotation: Float[AnyArray, "n 3 3"] | None
    translation: Float[AnyArray, "n 3"] | None
    scale: Float[AnyArray, "n 1"] | None

    def __len__(self) -> int:
        fields = (self.expression, self.rotation, self.translation, self.scale)
        return next(len(field) for field in fields if field is not None)

    @classmethod
    def of_clip(cls, clip: MotionClip) -> Self:
        return cls(clip.expression, clip.rotation, clip.translation, clip.scale)

    @classmethod
    def of_source(cls, source: Source) -> Self:
        motion = source.motion
        rotation = rotation_matrix(motion.pose)
        return cls(motion.expression, rotation, motion.translation, motion.scale)


@partial(jax.jit, static_argnames=("composition", "relative", "region", "groups"))
def compose(
    source: Source,
    motion: ClipArrays,
    rest: ClipArrays | None,
    *,
    composition: Composition = "source",
    relative: bool = True,
    region: Region = "all",
    groups: KeypointGroups = PUBLISHED_GROUPS,
) -> Float[Array, "n k 3"]:
    """Return the driving keypoints of frames.

    "source" moves the source. Relative motion adds the motion since rest (r) to the
    source's own: expression e_s + e_i - e_r, rotation R_i R_r^T R_s, scale s_s s_i /
    s_r, translation t_s + t_i - t_r. Absolute motion replaces the source's, except for
    its scale and for the expression that holds the shape of its face. Fields that the
    motion leaves out stay the source's, and so does what is outside of the region.

    "original" is the audio-driven original's: the lips' motion, since rest (which is
    their first frame) if `relative`, in place of the source's expression.

    "joyvasa" is JoyVASA's: as "source" since rest (which is the first frame), but with
    lips as the motion has them.

    "animal" is that of LivePortrait's animals: the driving face's pose, place and
    expression with the shape and size of the source's. Only their change since the
    first frame is used, which `retarget.drive` sees to.

    "ditto" is in `compose_ditto`, since its angles are logits.

    Args:
      source: the picture's source.
      motion: motion of n frames.
      rest: the one frame that leaves the source as it is; None counts from the source.
      region: the part of the face that moves.
      groups: the keypoints of eyes, brows and lips.

    Source: LivePortrait, its composition for a source picture; JoyVASA.
    """
    rest = ClipArrays.of_source(source) if rest is None else rest
    if composition == "joyvasa":
        driven = _joyvasa(source, motion, rest, region, groups)
    elif composition == "animal":
        driven = _take_over(source, motion)
    elif composition == "original":
        driven = _original(source, motion, rest, relative)
    else:
        driven = _take_over(source, motion)
        if relative:
            driven = _add_since_rest(source, motion, rest)
        mask = region_mask(region, groups, shape=relative)
        driven = _limit(source, driven, region, mask)
    keypoints = transform_keypoints(
        source.motion.keypoints,
        driven.rotation,
        driven.expression,
        driven.scale,
        driven.translation,
    )
    # A region that the motion does not have is the source's in every frame.
    return jnp.broadcast_to(keypoints, (len(motion), *keypoints.shape[1:]))


@dataclass(frozen=True)
class _Driven:
    """Motion of frames with nothing left out."""

    expression: Float[Array, "n k 3"]
    rotation: Float[Array, "n 3 3"]
    translation: Float[Array, "n 3"]
    scale: Float[Array, "n 1"]


def _joyvasa(
    source: Source,
    motion: ClipArrays,
    rest: ClipArrays,
    region: Region,
    groups: KeypointGroups,
) -> _Driven:
    """Return the motion of JoyVASA's composition; see `compose`.

    As published, the head's size and place move in every region, and eyes in none.
    """
    still = source.motion
    driven = _add_since_rest(source, motion, rest)
    # A row a keypoint, for x, y and z.
    lips = np.zeros((KEYPOINTS, 1), bool)
    lips[list(groups.lips)] = True
    expression = still.expression
    if region in ("all", "expression"):
        absolute = _either(motion.expression, still.expression)
        expression = jnp.where(lips, absolute, driven.expression)
    elif region == "lips":
        expression = jnp.where(lips, driven.expression, still.expression)
    turns = region in ("all", "pose")
    rotation = driven.rotation if turns else rotation_matrix(still.pose)
    return replace(driven, expression=expression, rotation=rotation)


def _original(
    source: Source, motion: ClipArrays, rest: ClipArrays, relative: bool
) -> _Driven:
    """Return the source's head with the lips of the motion; see `compose`."""
    if motion.expression is None or rest.expression is None:
        raise ValueError('the motion has no expression: use composition "source"')
    expression = motion.expression
    if relative:
        expression = expression - rest.expression
    still = source.motion
    return _Driven(
        jnp.asarray(expression),
        rotation_matrix(still.pose),
        still.translation,
        still.scale,
    )


def _add_since_rest(source: Source, motion: ClipArrays, rest: ClipArrays) -> _Driven:
    still = source.motion
    rotation = rotation_matrix(still.pose)
    return _Driven(
        _add(still.expression, motion.expression, rest.expression),
        _turn(rotation, motion.rotation, rest.rotation),
        _add(still.translation, motion.translation, rest.translation),
        _multiply(still.scale, motion.scale, rest.scale),
    )


def _take_over(source: Source, motion: ClipArrays) -> _Driven:
    still = source.motion
    return _Driven(
        _either(motion.expression, still.expression),
        _either(motion.rotation, rotation_matrix(still.pose)),
        _either(motion.translation, still.translation),
        # A head keeps its size.
        still.scale,
    )


def _limit(
    source: Source, driven: _Driven, region: Region, mask: Bool[np.ndarray, "k 3"]
) -> _Driven:
    """Return motion that is the source's own outside of a region."""
    still = source.motion
    expression = driven.expression
    # Without this, programs of whole faces would select as well.
    if not mask.all():
        expression = jnp.where(mask, expression, still.expression)
    turns = region in ("all", "pose")
    return _Driven(
        expression,
        driven.rotation if turns else rotation_matrix(still.pose),
        driven.translation if turns else still.translation,
        driven.scale if region == "all" else still.scale,
    )


# A field that the motion leaves out stays the source's.


def _either(motion: AnyArray | None, still: Array) -> Array:
    return still if motion is None else jnp.asarray(motion)


def _add(still: Array, motion: AnyArray | None, rest: AnyArray | None) -> Array:
    if motion is None or rest is None:
        return still
    return still + motion - rest


def _turn(still: Array, motion: AnyArray | None, rest: AnyArray | None) -> Array:
    if motion is None or rest is None:
        return still
    # The inverse of a rotation is its transpose.
    back = jnp.swapaxes(rest, -1, -2)
    return chain(jnp.asarray(motion), back, still)


def _multiply(still: Array, motion: AnyArray | None, rest: AnyArray | None) -> Array:
    if motion is None or rest is None:
        return still
    return still * motion / rest
