"""Retargeting: the motion of a clip and a source -> driving keypoints."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxportrait.media.faces.openness import Openness
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import Strengths, strengthen
from jaxportrait.motion.space import KeypointGroups, Region
from jaxportrait.pipeline.compose import ClipArrays, Composition, compose
from jaxportrait.pipeline.correct import (
    OPEN_LIPS,
    CorrectionNetworks,
    Opening,
    multiply_motion,
    offset_opening,
    retarget_openings,
    scale_motion,
    size_ratio,
    stitch_keypoints,
)
from jaxportrait.pipeline.smooth import OBSERVATION_VARIANCE
from jaxportrait.ranges import (
    Finite,
    OptionError,
    Strength,
    TimeConstant,
    Variance,
    check_ranges,
)
from jaxportrait.types import Source

DrivingOption = Literal["expression-friendly", "pose-friendly"]

CHUNK = 256
"""Frames whose keypoints are computed at once."""


@dataclass(frozen=True)
class Retargeting:
    """Options of the source's motion.

    Attributes:
      composition: "source" moves the source's own face, "original" replaces its
        expression by the lips of the motion, as the audio-driven original does;
        "joyvasa" moves it since the first frame but for the lips, which are those of
        the motion, as JoyVASA's program does; "animal" moves the face of an animal
        since the first frame, scaled by the sizes of both heads, as LivePortrait's
        pipeline for animals does. With a driver of JoyVASA's kind, "original" is
        "joyvasa".
      relative_motion: use the motion since rest; otherwise use it as it is, so that the
        source's own pose and expression do not count.
      region: the part of the face that moves.
      driving_option: "expression-friendly" scales relative motion by the ratio of the
        sizes of both heads, "pose-friendly" does not.
      driving_multiplier: by how much motion is amplified, after everything else.
      normalize_lips: shut lips that are open in the source before they move.
      eye_retargeting: open the eyes as far as the driving face's; with relative motion
        nothing else moves, as published.
      lip_retargeting: the same for the lips.
      head_strength, eye_strength, lip_strength, expression_strength: factors of the
        motion since rest of the head, of eyes and brows, of the lips, and of the rest
        of the expression.
      head_smoothing: time constant in seconds by which the head follows its motion; 0
        follows at once, and JoyVASA's own program has 4.
      source_video_eye_retargeting: open the eyes of all frames of a source video as far
        as in its first frame, or wide where they are shut there.
      driving_smooth_observation_variance: how much the motion over a source video is
        smoothed; 0 does not.
      stitching: correct the keypoints so that shoulders and crop border stay in place;
        by default where the checkpoint has a network for it.
    """

    composition: Composition = "source"
    relative_motion: bool = True
    region: Region = "all"
    driving_option: DrivingOption = "pose-friendly"
    driving_multiplier: Finite = 1.0
    normalize_lips: bool = False
    eye_retargeting: bool = False
    lip_retargeting: bool = False
    head_strength: Strength = 1.0
    eye_strength: Strength = 1.0
    lip_strength: Strength = 1.0
    expression_strength: Strength = 1.0
    head_smoothing: TimeConstant = 0.0
    source_video_eye_retargeting: bool = False
    driving_smooth_observation_variance: Variance = OBSERVATION_VARIANCE
    stitching: bool | None = None

    def __post_init__(self):
        _check_choice("composition", self.composition, Composition)
        _check_choice("region", self.region, Region)
        _check_choice("driving option", self.driving_option, DrivingOption)
        check_ranges(self)
        if self.composition == "original" and self.region != "all":
            raise OptionError(
                f'composition "original" moves only lips, and region is {self.region!r}: '
                'use composition "source"'
            )
        if self.composition == "animal":
            self._check_animal()
        if self.normalize_lips and (self.retargets or not self.relative_motion):
            raise OptionError(
                "lips are normalized for relative motion without eye and lip retargeting: "
                "choose one of them"
            )

        if self.source_video_eye_retargeting and self.retargets:
            raise OptionError(
                "source_video_eye_retargeting is for clips without eye and lip retargeting: "
                "choose one of them"
            )

    def _check_animal(self) -> None:
        """Raise an OptionError for options that animals do not have."""
        names = (
            "relative_motion",
            "region",
            "driving_option",
            "normalize_lips",
            "eye_retargeting",
            "lip_retargeting",
        )
        for name in names:
            # Defaults of a frozen dataclass are attributes of the class.
            if getattr(self, name) != getattr(Retargeting, name):
                raise OptionError(
                    f'composition "animal" always moves the whole face by one rule: leave out {name}'
                )

    def check_source(self, *, is_video: bool) -> None:
        """Raise a ValueError for options that have no meaning for the kind of source."""
        if is_video:
            self._check_video()
            return
        if self.source_video_eye_retargeting:
            raise ValueError(
                "source_video_eye_retargeting is for source videos, and the source is a picture: leave it out"
            )
        if self.driving_smooth_observation_variance != OBSERVATION_VARIANCE:
            raise ValueError(
                "driving_smooth_observation_variance smooths motion over source videos, and "
                "the source is a picture: leave it out"
            )

    def _check_video(self) -> None:
        if self.composition != "source":
            raise ValueError(
                f'composition "{self.composition}" is for pictures, and the source is a video: use "source"'
            )
        if self.head_smoothing:
            raise ValueError(
                "head_smoothing is for pictures, and the source is a video: use driving_smooth_observation_variance"
            )
        if self.driving_option != "pose-friendly":
            raise ValueError(
                "driving_option scales the motion of pictures, and the source is a video: leave it out"
            )

    def check(self, parts: Collection[str], *, moves_head: bool) -> None:
        """Raise a ValueError unless networks can drive motion so.

        Args:
          parts: names of the checkpoint's networks.
          moves_head: whether the motion has more than the lips' expression.
        """
        if self.composition == "original" and moves_head:
            raise ValueError(
                'composition "original" moves only lips, and this motion has the whole '
                'head: use "source"'
            )
        if self.composition in ("joyvasa", "animal") and not moves_head:
            raise ValueError(
                f'composition "{self.composition}" moves the whole head, and this motion has only lips: use "source"'
            )
        if self.head_smoothing and not moves_head:
            raise ValueError(
                f"head_smoothing is {self.head_smoothing:g}, and this motion has only lips: leave it out"
            )
        for part in self.parts.values():
            if part not in parts:
                raise ValueError(
                    f"{part} was asked for, and the checkpoint holds no such network: convert it again"
                )

    def of_driver(self, original: Composition) -> Self:
        """Return these options with the composition of a driver's own original.

        Args:
          original: the composition that "original" is for the driver.
        """
        if self.composition != "original":
            return self
        return replace(self, composition=original)

    @property
    def strengths(self) -> Strengths:
        return Strengths(
            head=self.head_strength,
            eyes=self.eye_strength,
            lips=self.lip_strength,
            expression=self.expression_strength,
        )

    @property
    def retargets(self) -> bool:
        """True where eyes or lips are opened as far as the driving face's."""
        return self.eye_retargeting or self.lip_retargeting

    @property
    def needs_openness(self) -> bool:
        """True where the openness of the source's eyes and lips is needed."""
        holds_eyes = self.source_video_eye_retargeting
        return self.retargets or self.normalize_lips or holds_eyes

    @property
    def parts(self) -> dict[str, str]:
        """The networks that correct keypoints: field of `CorrectionNetworks` -> part of
        the checkpoint."""
        used = {
            "stitching": bool(self.stitching),
            "eyes": self.eye_retargeting or self.source_video_eye_retargeting,
            "lips": self.lip_retargeting or self.normalize_lips,
        }
        return {name: CORRECTION_PARTS[name] for name, use in used.items() if use}


CORRECTION_PARTS = {
    "stitching": "stitching",
    "eyes": "eye_retargeting",
    "lips": "lip_retargeting",
}
"""Field of `CorrectionNetworks` -> part of a checkpoint."""


def _check_choice(name: str, value: str, choices: object) -> None:
    if value not in get_args(choices):
        names = ", ".join(get_args(choices))
        raise ValueError(f"{name} is {value!r}: choose one of {names}")


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
    if retargeting.strengths != Strengths():
        if rest is None:
            raise ValueError("motion without rest has no strength: leave it at 1")
        clip = strengthen(clip, rest, retargeting.strengths, groups)
    composed = partial(
        _compose_chunk,
        source,
        None if rest is None else ClipArrays.of_clip(rest),
        retargeting,
        groups,
    )
    row = None if openness is None else openness.row
    corrections = Corrections(source.keypoints, retargeting, networks, row)
    corrections = corrections.shut_lips()
    # One picture has no motion since its first frame.
    if scales_motion(retargeting) and len(clip) > 1:
        # One program serves chunks of any length, and so the first frame too.
        corrections = corrections.with_anchor(composed(clip[:1])[:1])
    chunks = []
    for first in range(0, len(clip), CHUNK):
        chunk = clip[first : first + CHUNK].pad(CHUNK)
        keypoints = corrections.apply(composed(chunk), chunk)
        chunks.append(np.asarray(keypoints))
    return np.concatenate(chunks)[: len(clip)]


def scales_motion(retargeting: Retargeting) -> bool:
    """Return whether motion is scaled by the sizes of both heads."""
    if retargeting.composition == "animal":
        return True
    if retargeting.driving_option == "pose-friendly":
        return False
    return retargeting.composition != "original" and retargeting.relative_motion


def check_openness(
    retargeting: Retargeting,
    clip: MotionClip,
    openness: Openness | Float32[np.ndarray, "n 3"] | None,
) -> None:
    """Raise a ValueError where the openness of eyes or lips is needed and unknown."""
    check_source_openness(retargeting, openness)
    if retargeting.eye_retargeting and clip.eyes is None:
        raise ValueError(
            "the motion does not say how far the eyes open: leave out eye retargeting"
        )
    if retargeting.lip_retargeting and clip.lips is None:
        raise ValueError(
            "the motion does not say how far the lips open: leave out lip retargeting"
        )


def check_source_openness(
    retargeting: Retargeting, openness: Openness | Float32[np.ndarray, "n 3"] | None
) -> None:
    """Raise a ValueError where the openness of the source's face is needed and
    unknown."""
    if retargeting.needs_openness and openness is None:
        raise ValueError(
            "the openness of the source's eyes and lips is not known: use a face detector "
            "with landmarks, such as mesh or insightface"
        )


def _compose_chunk(
    source: Source,
    rest: ClipArrays | None,
    retargeting: Retargeting,
    groups: KeypointGroups,
    clip: MotionClip,
) -> Float[Array, "chunk k 3"]:
    return compose(
        source,
        ClipArrays.of_clip(clip.pad(CHUNK)),
        rest,
        composition=retargeting.composition,
        relative=retargeting.relative_motion,
        region=retargeting.region,
        groups=groups,
    )


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
            eyes = _beside(openness[:, :2], clip.eyes[:, :1])
        if self.retargeting.lip_retargeting and clip.lips is not None:
            lips = _beside(openness[:, 2:], clip.lips)
        return Opening(eyes, lips)


def _beside(
    source: Float32[np.ndarray, "m r"], driving: Float32[np.ndarray, "n 1"]
) -> Float32[np.ndarray, "n _"]:
    # One source serves every frame.
    rows = np.broadcast_to(source, (len(driving), source.shape[1]))
    return np.concatenate([rows, driving], axis=1)
