"""Options of retargeting, and what they need."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from jaxtyping import Float32

from jaxportrait.media.faces.openness import Openness
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import Strengths
from jaxportrait.motion.space import Region
from jaxportrait.pipeline.compose import Composition
from jaxportrait.pipeline.smooth import OBSERVATION_VARIANCE
from jaxportrait.ranges import (
    Finite,
    OptionError,
    Strength,
    TimeConstant,
    Variance,
    check_choice,
    check_ranges,
)

DrivingOption = Literal["expression-friendly", "pose-friendly"]


CORRECTION_PARTS = {
    "stitching": "stitching",
    "eyes": "eye_retargeting",
    "lips": "lip_retargeting",
}
"""Field of `CorrectionNetworks` -> part of a checkpoint."""


@dataclass(frozen=True)
class Retargeting:
    """Options of the source's motion.

    Attributes:
      composition: "source" moves the source's own face, "original" replaces its
        expression by the lips of the motion, as the audio-driven original
        does; "joyvasa" moves it since the first frame but for the lips, which are those of
        the motion, as JoyVASA's program does; "ditto" moves lips, eyes and head since
        the first frame, angles as logits, as Ditto's program does; "animal" moves the
        face of an animal since the first frame, scaled by the sizes of both heads, as
        LivePortrait's pipeline for animals does. With a driver of JoyVASA's or Ditto's
        kind, "original" is its own.
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
      gaze_strength: factor of the gaze that follows the head; by default 1 in the
        composition "ditto", and 0 in "source".
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
    gaze_strength: Strength | None = None
    head_smoothing: TimeConstant = 0.0
    source_video_eye_retargeting: bool = False
    driving_smooth_observation_variance: Variance = OBSERVATION_VARIANCE
    stitching: bool | None = None

    def __post_init__(self):
        check_choice("composition", self.composition, Composition)
        check_choice("region", self.region, Region)
        check_choice("driving option", self.driving_option, DrivingOption)
        check_ranges(self)
        if self.composition == "original" and self.region != "all":
            raise OptionError(
                f'composition "original" moves only lips, and region is {self.region!r}: '
                'use composition "source"'
            )
        if self.composition == "animal":
            self._check_animal()
        if self.composition == "ditto" and self.expression_strength != 1:
            raise OptionError(
                'composition "ditto" leaves brows and cheeks as they are: leave out expression_strength'
            )
        self._check_gaze()
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

    def _check_gaze(self) -> None:
        """Raise an OptionError for a gaze that has no head to follow."""
        if self.gaze_strength is None:
            return
        if self.composition in ("joyvasa", "animal"):
            raise OptionError(
                f'the gaze follows the head in the composition "source", and it is "{self.composition}": '
                "leave out gaze_strength"
            )
        if self.region != "all":
            raise OptionError(
                f"the gaze follows a head that turns, and region is {self.region!r}: leave out gaze_strength"
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
        if self.gaze_strength is not None:
            raise ValueError(
                "gaze_strength is for pictures, and the source is a video, whose eyes move already: leave it out"
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
        if self.composition in ("joyvasa", "ditto", "animal") and not moves_head:
            raise ValueError(
                f'composition "{self.composition}" moves the whole head, and this motion has only lips: use "source"'
            )
        if self.head_smoothing and not moves_head:
            raise ValueError(
                f"head_smoothing is {self.head_smoothing:g}, and this motion has only lips: leave it out"
            )
        if self.gaze_strength is not None and not moves_head:
            raise ValueError(
                f"gaze_strength is {self.gaze_strength:g}, and this motion has only lips: leave it out"
            )
        for part in self.parts.values():
            if part not in parts:
                raise ValueError(
                    f"{part} was asked for, and the checkpoint holds no such network: convert it again"
                )

    def check_logits(self, *, has_logits: bool) -> None:
        """Raise a ValueError where logits of angles are added, and there are none.

        Args:
          has_logits: whether the motion has angles as logits, and not only as angles.
        """
        if self.composition == "ditto" and not has_logits:
            raise ValueError(
                'composition "ditto" is for motion that a driver of Ditto makes of sound: use composition "source"'
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
    def gaze(self) -> float:
        """Factor of the gaze in use."""
        if self.gaze_strength is None:
            return 1.0 if self.composition == "ditto" else 0.0
        return self.gaze_strength

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
