"""Retargeting: the motion of a clip and a source -> driving keypoints."""

from dataclasses import dataclass
from functools import partial
from typing import Literal, Self, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.rotation import angles_of, matrices_of
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.ops.geometry import chain, rotation_matrix, transform_keypoints
from jaxportrait.ranges import OptionError
from jaxportrait.types import AnyArray, Source, pytree

Composition = Literal["source", "original"]
RestPolicy = Literal["mixed", "first", "source"]


@dataclass(frozen=True)
class Retargeting:
    """Options of the source's motion.

    Attributes:
      composition: "source" adds the motion to the source's own expression, "original"
        replaces it.
      relative_motion: with "original", use the motion since the first frame; otherwise
        use it as it is.
      stitching: correct the keypoints so that shoulders and crop border stay in place;
        by default where the checkpoint has a network for it.
    """

    composition: Composition = "source"
    relative_motion: bool = True
    stitching: bool | None = None

    def __post_init__(self):
        if self.composition not in get_args(Composition):
            choices = ", ".join(get_args(Composition))
            raise ValueError(
                f"composition is {self.composition!r}: choose one of {choices}"
            )
        if self.composition == "source" and not self.relative_motion:
            raise OptionError(
                'composition "source" adds motion since rest: '
                'with "original" it can be absolute'
            )

    def check(self, *, can_stitch: bool, moves_head: bool) -> None:
        """Raise a ValueError unless networks can drive motion so.

        Args:
          can_stitch: whether there is a stitching network.
          moves_head: whether the motion has more than the lips' expression.
        """
        if self.composition == "original" and moves_head:
            raise ValueError(
                'composition "original" moves only lips, and this motion has the whole '
                'head: use "source"'
            )
        if self.stitching and not can_stitch:
            raise ValueError(
                "stitching was asked for, and the checkpoint holds no stitching "
                "network: convert it again"
            )


@pytree
@dataclass(frozen=True)
class ClipArrays:
    """The arrays of a `MotionClip`, as programs read them; see there."""

    expression: Float[AnyArray, "n k 3"] | None
    rotation: Float[AnyArray, "n 3 3"] | None
    translation: Float[AnyArray, "n 3"] | None
    scale: Float[AnyArray, "n 1"] | None

    @classmethod
    def of_clip(cls, clip: MotionClip) -> Self:
        return cls(clip.expression, clip.rotation, clip.translation, clip.scale)

    @classmethod
    def of_source(cls, source: Source) -> Self:
        motion = source.motion
        rotation = rotation_matrix(motion.pose)
        return cls(motion.expression, rotation, motion.translation, motion.scale)


def find_rest(
    clip: MotionClip, policy: RestPolicy, groups: KeypointGroups
) -> MotionClip | None:
    """Return the one frame that motion is counted from; it leaves the source as it is.

    Args:
      clip: a whole clip, for "mixed".
      policy: "mixed" rests lips and jaw in the first frame, before anything is said.
        A head may look aside there, and lids may be shut. So these rest at their median
        over the clip. "first" rests everything in the first frame. "source" is None:
        motion is counted from the source's own, so that it is absolute.
      groups: the keypoints of eyes and brows, which "mixed" rests at their median.

    Raises:
      ValueError: there is no such policy.
    """
    if policy == "source":
        return None
    if policy == "first":
        return clip[:1]
    if policy == "mixed":
        return _mixed_rest(clip, (*groups.eyes, *groups.brows))
    choices = ", ".join(get_args(RestPolicy))
    raise ValueError(f"rest is {policy!r}: choose one of {choices}")


def _mixed_rest(clip: MotionClip, median_keypoints: tuple[int, ...]) -> MotionClip:
    expression = None
    # Lips and jaw of the first frame, eyes and brows of the median.
    if clip.expression is not None:
        expression = clip.expression[:1].copy()
        upper = list(median_keypoints)
        expression[:, upper] = np.median(clip.expression[:, upper], axis=0)
    rotation = None
    # The median of a rotation is that of its angles.
    if clip.rotation is not None:
        rotation = matrices_of(_median(angles_of(clip.rotation)))
    translation = None if clip.translation is None else _median(clip.translation)
    scale = None if clip.scale is None else _median(clip.scale)
    return MotionClip(expression, rotation, translation, scale, clip.fps)


def _median(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "1 d"]:
    return np.median(values, axis=0, keepdims=True)


@partial(jax.jit, static_argnames=("composition", "relative"))
def compose(
    source: Source,
    motion: ClipArrays,
    rest: ClipArrays | None,
    *,
    composition: Composition = "source",
    relative: bool = True,
) -> Float[Array, "n k 3"]:
    """Return the driving keypoints of frames.

    "source" adds the motion since rest (r) to the source's own: expression e_s + e_i -
    e_r, rotation R_i R_r^T R_s, scale s_s s_i / s_r, translation t_s + t_i - t_r. Fields
    that the motion leaves out stay the source's. Over the lips this is LivePortrait's
    relative motion of the lip region.

    "original" is the audio-driven original's: the lips' motion, since rest (which is
    their first frame) if `relative`, in place of the source's expression.

    Args:
      source: the picture's source.
      motion: motion of n frames.
      rest: the one frame that leaves the source as it is; None counts from the source.
    """
    still = source.motion
    rotation = rotation_matrix(still.pose)
    rest = ClipArrays.of_source(source) if rest is None else rest
    # The original leaves the head where the source has it.
    if composition == "original":
        expression = _replace(motion.expression, rest.expression, relative)
        return transform_keypoints(
            still.keypoints, rotation, expression, still.scale, still.translation
        )
    return transform_keypoints(
        still.keypoints,
        _turn(rotation, motion.rotation, rest.rotation),
        _add(still.expression, motion.expression, rest.expression),
        _multiply(still.scale, motion.scale, rest.scale),
        _add(still.translation, motion.translation, rest.translation),
    )


def _replace(
    motion: AnyArray | None, rest: AnyArray | None, relative: bool
) -> Float[Array, "n k 3"]:
    if motion is None or rest is None:
        raise ValueError('the motion has no expression: use composition "source"')
    return jnp.asarray(motion - rest if relative else motion)


# A field that the motion leaves out stays the source's.


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
