"""The values that travel between rooms: frozen dataclasses, registered as pytrees."""

from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

T = TypeVar("T")
AnyArray = Array | np.ndarray
"""On a device or on the host."""


def pytree(cls: type[T]) -> type[T]:
    """Register a frozen dataclass whose every field is data."""
    # Every field is an array or a tree of arrays, and none is static.
    names = [field.name for field in fields(cast(Any, cls))]
    return jax.tree_util.register_dataclass(cls, data_fields=names, meta_fields=[])


@pytree
@dataclass(frozen=True)
class Motion:
    """The output of the motion extractor: canonical keypoints and their movement.

    Attributes:
      keypoints: canonical implicit keypoints, without pose or expression.
      expression: offsets of the keypoints.
      pose: pitch, yaw and roll in degrees.
      translation: position of the head; the z part is not used by the renderer.
      scale: size of the head.
      logits: the pose as the network predicts it, over bins of each angle; Ditto adds
        these and not angles.
    """

    keypoints: Float[Array, "n k 3"]
    expression: Float[Array, "n k 3"]
    pose: Float[Array, "n 3"]
    translation: Float[Array, "n 3"]
    scale: Float[Array, "n 1"]
    logits: Float[Array, "n 3 b"] | None = None


def source_logits(motion: Motion) -> Float[Array, "n 3 b"]:
    """Return the logits of a source's angles; raise a ValueError if it has none."""
    if motion.logits is None:
        raise ValueError("the source has no logits of angles: encode it again")
    return motion.logits


@pytree
@dataclass(frozen=True)
class Source:
    """A source picture as the renderer needs it, made once.

    Attributes:
      volume: the appearance feature volume.
      compressed: the volume as the dense motion network reads it.
      keypoints: the picture's own, transformed by its pose and expression.
      motion: motion that those keypoints were made of.
      mobility: share in which each place follows the keypoints, 0 to 1; 1 everywhere as
        published.
    """

    volume: Float[Array, "1 d h w c"]
    compressed: Float[Array, "1 d h w e"]
    keypoints: Float[Array, "1 k 3"]
    motion: Motion
    mobility: Float[AnyArray, "1 h w"]


@pytree
@dataclass(frozen=True)
class SourceFrames:
    """The faces of a source video's frames, without their volumes.

    Attributes:
      keypoints: the frames' own, transformed by their pose and expression.
      motion: motion that those keypoints were made of.
    """

    keypoints: Float[AnyArray, "n k 3"]
    motion: Motion


@pytree
@dataclass(frozen=True)
class AudioCondition:
    """Windows of audio as the flow transformer needs them: made once, used at every
    step.

    Attributes:
      tokens: the audio tokens of each window.
      per_frame: the tokens, resized to the motion's frames.
      pooled: a projection of their mean over time.
    """

    tokens: Float[Array, "n s c"]
    per_frame: Float[Array, "n t c"]
    pooled: Float[Array, "n c"]


@dataclass(frozen=True)
class FaceCrop:
    """A face cut out of an image, on the host.

    Attributes:
      image: the crop, upright, RGB.
      crop_to_image: pixel coordinates of the crop -> pixel coordinates of the image.
    """

    image: UInt8[np.ndarray, "s s 3"]
    crop_to_image: Float[np.ndarray, "3 3"]
