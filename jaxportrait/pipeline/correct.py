"""Corrections of driving keypoints: the size of the motion, eyes, lips and stitching."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxportrait.models.stitching import StitchingNetwork, opening_offsets, stitch
from jaxportrait.types import AnyArray, pytree

SHUT_EYES = 0.18
"""Openness below which the eyes of a video's first frame count as shut. Source:
LivePortrait, `source_video_eye_retargeting_threshold`."""
OPEN_EYES = 0.39
"""Openness that the eyes of all frames have then. Source: LivePortrait."""
OPEN_LIPS = 0.03
"""Openness from which lips count as open, for lips that are shut before a clip starts.
Source: LivePortrait, `lip_normalize_threshold`."""


@pytree
@dataclass(frozen=True)
class CorrectionNetworks:
    """S and R, as far as a clip uses them; None for a correction that is left out."""

    stitching: StitchingNetwork | None = None
    eyes: StitchingNetwork | None = None
    lips: StitchingNetwork | None = None

    @classmethod
    def of(cls, networks: Mapping[str, Any], parts: Mapping[str, str]) -> Self:
        """Return those of the networks that are used, by their parts."""
        return cls(**{name: networks[part] for name, part in parts.items()})


@pytree
@dataclass(frozen=True)
class Opening:
    """Openness of eyes and lips, heights in widths, beside the wanted one.

    Attributes:
      eyes: the source's left and right eye, and last the wanted opening.
      lips: the source's lips, and the wanted opening.
    """

    eyes: Float[AnyArray, "n 3"] | None = None
    lips: Float[AnyArray, "n 2"] | None = None


def place_beside(
    source: Float32[np.ndarray, "m r"], target: Float32[np.ndarray, "n 1"]
) -> Float32[np.ndarray, "n r+1"]:
    """Return openness of a source beside the wanted one, a row a frame of `Opening`."""
    # One source serves every frame.
    rows = np.broadcast_to(source, (len(target), source.shape[1]))
    return np.concatenate([rows, target], axis=1)


def size_ratio(
    source: Float[np.ndarray, "k 3"], driving: Float[np.ndarray, "k 3"]
) -> float:
    """Return by how much a source's head is larger than a driving one.

    It is the square root of the ratio of the volumes of their keypoints' hulls.

    Source: LivePortrait, the multiplier of its expression-friendly motion.
    """
    # SciPy's geometry takes a tenth of a second to import, and most clips do not use it.
    from scipy.spatial import ConvexHull

    volumes = [ConvexHull(keypoints).volume for keypoints in (source, driving)]
    return float(np.sqrt(volumes[0] / volumes[1]))


@jax.jit
def scale_motion(
    source: Float[Array, "1 k 3"],
    driving: Float[Array, "n k 3"],
    first: Float[AnyArray, "1 k 3"],
    ratio: Float[AnyArray, ""],
) -> Float[Array, "n k 3"]:
    """Return the source's keypoints, moved by the motion since `first` times `ratio`."""
    return source + (driving - first) * ratio


@partial(jax.jit, static_argnames=("relative",))
def retarget_openings(
    networks: CorrectionNetworks,
    source: Float[Array, "m k 3"],
    driving: Float[Array, "n k 3"],
    opening: Opening,
    *,
    relative: bool,
) -> Float[Array, "n k 3"]:
    """Return keypoints whose eyes or lips open as in the driving face.

    As published, relative motion keeps nothing else of the driving face.

    Args:
      networks: R of what is retargeted.
      opening: openness in each of n frames.

    Source: LivePortrait, its eye and lip retargeting.
    """
    keypoints = source if relative else driving
    with jax.default_matmul_precision("highest"):
        # Both read the source's keypoints, so their order does not matter.
        if networks.eyes is not None:
            eyes = jnp.asarray(opening.eyes)
            keypoints = keypoints + opening_offsets(networks.eyes, source, eyes)
        if networks.lips is not None:
            lips = jnp.asarray(opening.lips)
            keypoints = keypoints + opening_offsets(networks.lips, source, lips)
    return keypoints


@jax.jit
def offset_opening(
    network: StitchingNetwork,
    source: Float[Array, "m k 3"],
    openness: Float[AnyArray, "m r"],
) -> Float[Array, "m k 3"]:
    """Return offsets that open the eyes or lips of a source by a given amount.

    Args:
      network: R of the eyes or of the lips.
      openness: openness of the source, and last the wanted one.
    """
    with jax.default_matmul_precision("highest"):
        return opening_offsets(network, source, jnp.asarray(openness))


@jax.jit
def stitch_keypoints(
    network: StitchingNetwork,
    source: Float[Array, "m k 3"],
    driving: Float[Array, "n k 3"],
) -> Float[Array, "n k 3"]:
    """Return driving keypoints with which the crop's border stays where the source has
    it."""
    with jax.default_matmul_precision("highest"):
        return stitch(network, source, driving)


@jax.jit
def multiply_motion(
    source: Float[Array, "m k 3"],
    driving: Float[Array, "n k 3"],
    multiplier: Float[AnyArray, ""],
) -> Float[Array, "n k 3"]:
    """Return driving keypoints that are so many times as far from the source's."""
    return source + (driving - source) * multiplier
