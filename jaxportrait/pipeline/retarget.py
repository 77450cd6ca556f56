"""Retargeting: the motion of a clip and a source -> driving keypoints."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxportrait.media.faces.openness import Openness
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import Strengths, strengthen
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.compose import ClipArrays, compose
from jaxportrait.pipeline.compose_ditto import (
    BinnedMotion,
    compose_ditto,
    head_ratios,
)
from jaxportrait.pipeline.correct import (
    OPEN_LIPS,
    CorrectionNetworks,
    Opening,
    multiply_motion,
    offset_opening,
    place_beside,
    retarget_openings,
    scale_motion,
    size_ratio,
    stitch_keypoints,
)
from jaxportrait.pipeline.options import Retargeting, check_openness, scales_motion
from jaxportrait.pipeline.sliders import follow_head
from jaxportrait.types import Source

CHUNK = 256
"""Frames whose keypoints are computed at once."""


def drive(
    source: Source,
    clip: MotionClip,
    rest: MotionClip | None,
    retargeting: Retargeting,
    networks: CorrectionNetworks,
    *,
    groups: KeypointGroups,
    openness: Openness | None = None,
) -> Float32[np.ndarray, "n k 3"]:
    """Return the driving keypoints of every frame of a clip.

    Args:
      rest: the one frame that leaves the source as it is; None counts from the source.
      networks: those of `Retargeting.parts`.
      groups: the keypoints of eyes, brows and lips.
      openness: openness of the source's eyes and lips, where it is needed.

    Raises:
      ValueError: openness is needed, and that of the source or of the clip is not
        known.
    """
    check_openness(retargeting, clip, openness)
    if retargeting.composition == "animal" and len(clip) == 1:
        raise ValueError(
            "an animal moves by the change since the first frame, and one picture has none: drive it by a video"
        )
    clip = apply_strengths(clip, rest, retargeting, groups)
    if retargeting.composition == "source" and retargeting.gaze:
        # Absolute motion counts from the source's own pose.
        start = rest if retargeting.relative_motion else None
        clip = follow_head(source, clip, start, retargeting.gaze, groups)
    compose_chunk = _composer(source, clip, rest, retargeting, groups)
    row = None if openness is None else openness.row
    corrections = Corrections(source.keypoints, retargeting, networks, row)
    corrections = corrections.shut_lips()
    # One picture has no motion since its first frame.
    if scales_motion(retargeting) and len(clip) > 1:
        # One program serves chunks of any length, and so the first frame too.
        corrections = corrections.with_anchor(compose_chunk(clip[:1])[:1])
    chunks = []
    for first in range(0, len(clip), CHUNK):
        chunk = clip[first : first + CHUNK].pad(CHUNK)
        keypoints = corrections.apply(compose_chunk(chunk), chunk)
        chunks.append(np.asarray(keypoints))
    return np.concatenate(chunks)[: len(clip)]


def apply_strengths(
    clip: MotionClip,
    rest: MotionClip | None,
    retargeting: Retargeting,
    groups: KeypointGroups,
) -> MotionClip:
    """Return a clip whose motion since rest is multiplied as the options say.

    Raises:
      ValueError: there are strengths, and no rest.
    """
    if retargeting.strengths == Strengths():
        return clip
    if rest is None:
        raise ValueError("motion without rest has no strength: leave it at 1")
    return strengthen(clip, rest, retargeting.strengths, groups)


def _composer(
    source: Source,
    clip: MotionClip,
    rest: MotionClip | None,
    retargeting: Retargeting,
    groups: KeypointGroups,
) -> Callable[[MotionClip], Float[Array, "chunk k 3"]]:
    """Return the function that composes chunks of a clip, of up to `CHUNK` frames."""
    options: dict[str, Any] = {
        "relative": retargeting.relative_motion,
        "region": retargeting.region,
        "groups": groups,
    }
    if retargeting.composition == "ditto":
        binned_rest = None if rest is None else BinnedMotion.of_clip(rest)
        ratios = head_ratios(clip, source.motion, groups)
        gaze = np.float32(retargeting.gaze)

        def compose_binned(chunk: MotionClip) -> Float[Array, "chunk k 3"]:
            motion = BinnedMotion.of_clip(chunk.pad(CHUNK))
            return compose_ditto(source, motion, binned_rest, ratios, gaze, **options)

        return compose_binned
    still = None if rest is None else ClipArrays.of_clip(rest)
    options["composition"] = retargeting.composition

    def compose_chunk(chunk: MotionClip) -> Float[Array, "chunk k 3"]:
        motion = ClipArrays.of_clip(chunk.pad(CHUNK))
        return compose(source, motion, still, **options)

    return compose_chunk


@dataclass(frozen=True)
class Corrections:
    """Corrections of composed keypoints, in LivePortrait's order.

    A picture's source has one row, which serves every frame; the source of a video has
    a row a frame.

    Attributes:
      source: the source's keypoints.
      openness: openness of its left eye, right eye and lips, where it is needed.
      anchor: the clip's first keypoints, where motion since them is scaled.
      ratio: by how much the source's head is larger than that of the anchor.
      offsets: offsets that are added after stitching, such as those that shut the
        source's lips.
    """

    source: Float[Array, "m k 3"]
    retargeting: Retargeting
    networks: CorrectionNetworks
    openness: Float32[np.ndarray, "m 3"] | None
    anchor: Float[Array, "1 k 3"] | None = None
    ratio: float = 1.0
    offsets: tuple[Float[Array, "m k 3"], ...] = ()

    def shut_lips(self) -> "Corrections":
        """Shut the source's lips before they move, if that is asked for."""
        if not self.retargeting.normalize_lips or self.openness is None:
            return self
        lips = self.openness[:, 2]
        is_open = lips >= OPEN_LIPS
        # Lips that are shut in the source need no offsets.
        if self.networks.lips is None or not is_open.any():
            return self
        target = np.stack([lips, np.zeros_like(lips)], axis=1)
        shut = offset_opening(self.networks.lips, self.source, target)
        return self._add(jnp.where(is_open[:, None, None], shut, 0))

    def hold_eyes(self, target: float) -> "Corrections":
        """Open the eyes of every frame of a video alike, if that is asked for.

        Args:
          target: openness of the eyes; see `held_openness`.
        """
        network = self.networks.eyes
        if not self.retargeting.source_video_eye_retargeting or self.openness is None:
            return self
        if network is None:
            return self
        eyes = self.openness[:, :2]
        targets = np.full((len(eyes), 1), target, np.float32)
        opening = np.concatenate([eyes, targets], axis=1)
        return self._add(offset_opening(network, self.source, opening))

    def with_anchor(self, anchor: Float[Array, "1 k 3"]) -> "Corrections":
        ratio = size_ratio(np.asarray(self.source[0]), np.asarray(anchor[0]))
        return replace(self, anchor=anchor, ratio=ratio)

    def apply(
        self, keypoints: Float[Array, "chunk k 3"], clip: MotionClip
    ) -> Float[Array, "chunk k 3"]:
        """Return the driving keypoints of a chunk of a clip."""
        if self.anchor is not None:
            ratio = np.float32(self.ratio)
            keypoints = scale_motion(self.source, keypoints, self.anchor, ratio)
        if self.retargeting.retargets:
            networks = replace(self.networks, stitching=None)
            relative = self.retargeting.relative_motion
            opening = self._opening(clip)
            keypoints = retarget_openings(
                networks, self.source, keypoints, opening, relative=relative
            )
        if self.networks.stitching is not None:
            keypoints = stitch_keypoints(
                self.networks.stitching, self.source, keypoints
            )
        for offset in self.offsets:
            keypoints = keypoints + offset
        multiplier = self.retargeting.driving_multiplier
        # Motion that is not amplified stays as it is to the last bit.
        if multiplier != 1:
            keypoints = multiply_motion(self.source, keypoints, np.float32(multiplier))
        return keypoints

    def _add(self, offset: Float[Array, "m k 3"]) -> "Corrections":
        return replace(self, offsets=(*self.offsets, offset))

    def _opening(self, clip: MotionClip) -> Opening:
        eyes = None
        lips = None
        openness = self.openness
        # `check_openness` has seen to it that what is used is there.
        if openness is None:
            return Opening()
        if self.retargeting.eye_retargeting and clip.eyes is not None:
            # As published, the left eye decides for both.
            eyes = place_beside(openness[:, :2], clip.eyes[:, :1])
        if self.retargeting.lip_retargeting and clip.lips is not None:
            lips = place_beside(openness[:, 2:], clip.lips)
        return Opening(eyes, lips)


def check_finite(keypoints: Float[np.ndarray, "n k 3"], fps: float) -> None:
    """Raise a ValueError for keypoints that are not finite, which would render black
    faces."""
    finite = np.isfinite(keypoints).all(axis=(1, 2))
    if not finite.all():
        frame = int(finite.argmin())
        raise ValueError(
            f"the keypoints of frame {frame} ({frame / fps:.2f} s) are not finite: "
            "the checkpoint is damaged, or its networks do not fit each other"
        )
