"""Retargeting: the motion of a clip and a source -> driving keypoints."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

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
    retarget_openings,
    scale_motion,
    shut_lips,
    size_ratio,
    stitch_keypoints,
)
from jaxportrait.ranges import Finite, OptionError, Strength, check_ranges
from jaxportrait.types import Source

DrivingOption = Literal["expression-friendly", "pose-friendly"]

CHUNK = 256
"""Frames whose keypoints are computed at once."""


@dataclass(frozen=True)
class Retargeting:
    """Options of the source's motion.

    Attributes:
      composition: "source" moves the source's own face, "original" replaces its
        expression by the lips of the motion, as the audio-driven original does.
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
        if self.normalize_lips and (self.retargets or not self.relative_motion):
            raise OptionError(
                "lips are normalized for relative motion without eye and lip retargeting: "
                "choose one of them"
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
        for part in self.parts.values():
            if part not in parts:
                raise ValueError(
                    f"{part} was asked for, and the checkpoint holds no such network: convert it again"
                )

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
        return self.retargets or self.normalize_lips

    @property
    def parts(self) -> dict[str, str]:
        """The networks that correct keypoints: field of `CorrectionNetworks` -> part of
        the checkpoint."""
        used = {
            "stitching": bool(self.stitching),
            "eyes": self.eye_retargeting,
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
    corrections = _Corrections.prepare(source, retargeting, networks, openness)
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
    if retargeting.driving_option == "pose-friendly":
        return False
    return retargeting.composition == "source" and retargeting.relative_motion


def check_openness(
    retargeting: Retargeting, clip: MotionClip, openness: Openness | None
) -> None:
    """Raise a ValueError where the openness of eyes or lips is needed and unknown."""
    if retargeting.needs_openness and openness is None:
        raise ValueError(
            "the openness of the source's eyes and lips is not known: use a face detector "
            "with landmarks, such as mesh or insightface"
        )
    if retargeting.eye_retargeting and clip.eyes is None:
        raise ValueError(
            "the motion does not say how far the eyes open: leave out eye retargeting"
        )
    if retargeting.lip_retargeting and clip.lips is None:
        raise ValueError(
            "the motion does not say how far the lips open: leave out lip retargeting"
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
class _Corrections:
    """Corrections of composed keypoints, in LivePortrait's order.

    Attributes:
      source: the source's keypoints.
      anchor: the clip's first keypoints, where motion since them is scaled.
      ratio: by how much the source's head is larger than that of the anchor.
      shut: offsets that shut the source's lips.
    """

    source: Float[Array, "1 k 3"]
    retargeting: Retargeting
    networks: CorrectionNetworks
    openness: Openness | None
    anchor: Float[Array, "1 k 3"] | None = None
    ratio: float = 1.0
    shut: Float[Array, "1 k 3"] | None = None

    @classmethod
    def prepare(
        cls,
        source: Source,
        retargeting: Retargeting,
        networks: CorrectionNetworks,
        openness: Openness | None,
    ) -> "_Corrections":
        keypoints = source.keypoints
        corrections = cls(keypoints, retargeting, networks, openness)
        if not retargeting.normalize_lips or openness is None or networks.lips is None:
            return corrections
        # Lips that are shut in the source need no offsets.
        if openness.lips < OPEN_LIPS:
            return corrections
        target = np.array([[openness.lips, 0.0]], np.float32)
        return replace(corrections, shut=shut_lips(networks.lips, keypoints, target))

    def with_anchor(self, anchor: Float[Array, "1 k 3"]) -> "_Corrections":
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
        if self.shut is not None:
            keypoints = keypoints + self.shut
        multiplier = self.retargeting.driving_multiplier
        # Motion that is not amplified stays as it is to the last bit.
        if multiplier != 1:
            keypoints = multiply_motion(self.source, keypoints, np.float32(multiplier))
        return keypoints

    def _opening(self, clip: MotionClip) -> Opening:
        eyes = None
        lips = None
        # `check_openness` has seen to it that what is used is there.
        if self.retargeting.eye_retargeting and self.openness and clip.eyes is not None:
            left, right = self.openness.eyes
            # As published, the left eye decides for both.
            eyes = _beside([left, right], clip.eyes[:, :1])
        if self.retargeting.lip_retargeting and self.openness and clip.lips is not None:
            lips = _beside([self.openness.lips], clip.lips)
        return Opening(eyes, lips)


def _beside(
    source: list[float], driving: Float32[np.ndarray, "n 1"]
) -> Float32[np.ndarray, "n r"]:
    repeated = np.tile(np.array(source, np.float32), (len(driving), 1))
    return np.concatenate([repeated, driving], axis=1)
