"""Edits of a face by numbers, LivePortrait's sliders: numbers -> motion of the source."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Self

import numpy as np
from jaxtyping import Array, Float, Float32

from jaxportrait.media.faces.openness import Openness
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.rotation import matrices_of
from jaxportrait.motion.sliders import Sliders
from jaxportrait.motion.space import KEYPOINTS, POSE_NAMES
from jaxportrait.pipeline.compose import ClipArrays, compose
from jaxportrait.pipeline.correct import (
    CorrectionNetworks,
    Opening,
    place_beside,
    retarget_openings,
    stitch_keypoints,
)
from jaxportrait.pipeline.options import CORRECTION_PARTS
from jaxportrait.pipeline.retarget import CHUNK
from jaxportrait.ranges import OptionError, Range, check_ranges
from jaxportrait.types import Source

Pitch = Annotated[float, Range(-15, 15)]
Yaw = Annotated[float, Range(-25, 25)]
Shift = Annotated[float, Range(-0.19, 0.19)]
Size = Annotated[float, Range(0.9, 1.2)]
Ratio = Annotated[float, Range(0, 0.8)]
GazeX = Annotated[float, Range(-30, 30)]
GazeY = Annotated[float, Range(-63, 63)]
Wink = Annotated[float, Range(0, 39)]
Brows = Annotated[float, Range(-30, 30)]
Smile = Annotated[float, Range(-0.3, 1.3)]
LipZero = Annotated[float, Range(-0.09, 0.09)]
LipOne = Annotated[float, Range(-20, 15)]
LipTwo = Annotated[float, Range(0, 15)]
LipThree = Annotated[float, Range(-90, 120)]


@dataclass(frozen=True)
class Edits:
    """Changes of a face, by LivePortrait's sliders and in their units and ranges.

    Attributes:
      pitch: degrees added to the head's pitch, from -15 to 15.
      yaw: degrees added to the head's yaw, from -25 to 25.
      roll: degrees added to the head's roll, from -15 to 15.
      x: movement of the head to the side, from -0.19 to 0.19.
      y: movement of the head up or down, from -0.19 to 0.19.
      z: movement of the head towards the viewer, a factor of its size, from 0.9 to 1.2.
      eyes_ratio: openness of the eyes, height over width, from 0 to 0.8; by default the
        picture's.
      lip_ratio: openness of the lips, height over width, from 0 to 0.8; by default the
        picture's.
      gaze_x: gaze to the side, from -30 to 30.
      gaze_y: gaze up or down, from -63 to 63.
      wink: shutting of one eye, from 0 to 39.
      brows: raising of the brows, from -30 to 30.
      smile: smile, from -0.3 to 1.3.
      lip_variation_zero: pouting, from -0.09 to 0.09.
      lip_variation_one: pursing of the lips, from -20 to 15.
      lip_variation_two: grin, from 0 to 15.
      lip_variation_three: lips shut (below 0) or open, from -90 to 120.

    Source: LivePortrait, its page for editing a picture.
    """

    pitch: Pitch = 0.0
    yaw: Yaw = 0.0
    roll: Pitch = 0.0
    x: Shift = 0.0
    y: Shift = 0.0
    z: Size = 1.0
    eyes_ratio: Ratio | None = None
    lip_ratio: Ratio | None = None
    gaze_x: GazeX = 0.0
    gaze_y: GazeY = 0.0
    wink: Wink = 0.0
    brows: Brows = 0.0
    smile: Smile = 0.0
    lip_variation_zero: LipZero = 0.0
    lip_variation_one: LipOne = 0.0
    lip_variation_two: LipTwo = 0.0
    lip_variation_three: LipThree = 0.0

    def __post_init__(self) -> None:
        check_ranges(self)


NEUTRAL = asdict(Edits())
"""Name of a slider -> the number that changes nothing."""
RATIOS = {"eyes_ratio": "eyes", "lip_ratio": "lips"}
"""Slider of openness -> its field of `CorrectionNetworks`."""
Numbers = Float32[np.ndarray, " n"]


@dataclass(frozen=True)
class EditTrack:
    """Edits of frames.

    Attributes:
      numbers: name of a slider -> its number in each frame; one that is left out
        changes nothing.
      fps: frames a second.
      count: number of frames.
    """

    numbers: Mapping[str, Numbers]
    fps: float
    count: int

    @classmethod
    def of_edits(cls, edits: Edits) -> Self:
        """Return a track of one frame."""
        # Sliders that stay neutral cost nothing later.
        changes = {}
        for field in fields(edits):
            number = getattr(edits, field.name)
            if number != NEUTRAL[field.name]:
                changes[field.name] = np.array([number], np.float32)
        return cls(changes, 1.0, 1)

    @property
    def ratios(self) -> list[str]:
        """The sliders of openness that the track uses."""
        return [name for name in RATIOS if name in self.numbers]

    def number(self, name: str) -> Numbers:
        """Return a slider's number in each frame."""
        neutral = NEUTRAL[name]
        # Openness has no neutral number: that is the picture's.
        if name in self.numbers or neutral is None:
            return self.numbers[name]
        return np.full(self.count, neutral, np.float32)

    def cut(self, first: int, count: int) -> Self:
        """Return `count` frames from `first` on; the last one is repeated at the end."""
        frames = np.minimum(np.arange(first, first + count), self.count - 1)
        numbers = {name: values[frames] for name, values in self.numbers.items()}
        return replace(self, numbers=numbers, count=count)


def edit_parts(
    track: EditTrack, parts: Collection[str], stitching: bool | None = None
) -> dict[str, str]:
    """Return the networks that edits use: field of `CorrectionNetworks` -> part.

    Args:
      parts: names of the checkpoint's networks.
      stitching: by default, where there is a network for it.

    Raises:
      OptionError: a network is missing.
    """
    # A network is needed only where its slider is used.
    fields_used = [RATIOS[name] for name in track.ratios]
    if stitching is None:
        stitching = CORRECTION_PARTS["stitching"] in parts
    if stitching:
        fields_used.append("stitching")
    for name in fields_used:
        part = CORRECTION_PARTS[name]
        if part not in parts:
            raise OptionError(
                f"{part} was asked for, and the checkpoint holds no such network: convert it again, or "
                "leave the option out"
            )
    return {name: CORRECTION_PARTS[name] for name in fields_used}


def edit_motion(
    track: EditTrack, source: Source, sliders: Sliders
) -> tuple[MotionClip, MotionClip]:
    """Return the motion of edits, and the one frame that changes nothing.

    Angles are added to the source's own; so its pose is the rotation at rest.
    """
    count = track.count
    expression = np.zeros((count, KEYPOINTS, 3), np.float32)
    for name in track.numbers:
        # The others are pose, size and openness.
        if name in sliders:
            expression += sliders[name].offsets(track.number(name))
    # Degrees add up before they become a rotation, as published.
    pose = np.asarray(source.motion.pose)
    degrees = np.stack([track.number(name) for name in POSE_NAMES], axis=1)
    motion = MotionClip(
        expression,
        matrices_of(pose + degrees),
        np.zeros((count, 3), np.float32),
        track.number("z")[:, None],
        track.fps,
    )
    rest = MotionClip(
        np.zeros((1, KEYPOINTS, 3), np.float32),
        matrices_of(pose),
        np.zeros((1, 3), np.float32),
        np.ones((1, 1), np.float32),
        track.fps,
    )
    return motion, rest


def edit_keypoints(
    source: Source,
    track: EditTrack,
    networks: CorrectionNetworks,
    *,
    sliders: Sliders,
    openness: Openness | None = None,
) -> Float32[np.ndarray, "n k 3"]:
    """Return the driving keypoints of edited frames.

    Args:
      networks: R of the sliders of openness that the track uses, and S to stitch.
      sliders: those of the source's keypoints; see `choose_sliders`.
      openness: openness of the source's eyes and lips, where it is used.

    Raises:
      OptionError: openness is needed and not known.

    Source: LivePortrait, `execute_image_retargeting`. That adds the z of the source's
    translation, which nothing else uses; here edits of nothing change nothing.
    """
    if track.ratios and openness is None:
        raise OptionError(
            f"{track.ratios[0]} is set, and the openness of the source's eyes and lips is not known: "
            "use a face detector with landmarks, such as mesh or insightface"
        )
    chunks = []
    # One program serves all chunks, and a picture too.
    for first in range(0, track.count, CHUNK):
        chunk = track.cut(first, CHUNK)
        motion, rest = edit_motion(chunk, source, sliders)
        keypoints = compose(
            source, ClipArrays.of_clip(motion), ClipArrays.of_clip(rest)
        )
        keypoints = _correct(source, keypoints, chunk, networks, openness)
        chunks.append(np.asarray(keypoints))
    return np.concatenate(chunks)[: track.count]


def _correct(
    source: Source,
    keypoints: Float[Array, "n k 3"],
    track: EditTrack,
    networks: CorrectionNetworks,
    openness: Openness | None,
) -> Float[Array, "n k 3"]:
    still = source.keypoints
    if openness is not None and track.ratios:
        opening = _opening(track, openness)
        openers = _openers(networks, track)
        # Openings come on top of the other changes.
        keypoints = retarget_openings(
            openers, still, keypoints, opening, relative=False
        )
    if networks.stitching is None:
        return keypoints
    return stitch_keypoints(networks.stitching, still, keypoints)


def _openers(networks: CorrectionNetworks, track: EditTrack) -> CorrectionNetworks:
    return CorrectionNetworks(
        eyes=networks.eyes if "eyes_ratio" in track.numbers else None,
        lips=networks.lips if "lip_ratio" in track.numbers else None,
    )


def _opening(track: EditTrack, openness: Openness) -> Opening:
    eyes = None
    lips = None
    # Columns: the left eye, the right eye, the lips.
    if "eyes_ratio" in track.numbers:
        target = track.number("eyes_ratio")[:, None]
        eyes = place_beside(openness.row[:, :2], target)
    if "lip_ratio" in track.numbers:
        target = track.number("lip_ratio")[:, None]
        lips = place_beside(openness.row[:, 2:], target)
    return Opening(eyes, lips)
