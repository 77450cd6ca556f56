"""From a clip to some of its frames, cropped to the face."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Float32, UInt8

from jaxportrait.media.crop import (
    FaceRectangle,
    crop_face,
    network_input,
)
from jaxportrait.media.video import VideoReader
from jaxportrait.ranges import OptionError, Range, check_ranges
from train.data.clips import Clip
from train.data.frames import DESCRIPTION, FrameSize, Zoom
from train.data.landmarks import DETECTED_GROUPS, LandmarkGroups
from train.data.pictures import FrameRecord, encode_image
from train.data.spacing import evenly_spaced
from train.data.truth import Truth, read_truth, truth_path
from train.prepare.frames.landmarks import find_landmarks, normalise, stack_landmarks
from train.prepare.quality.evidence import Evidence, make_thumbnail
from train.prepare.quality.movement import MovementMeter
from train.prepare.quality.shots import Shot, joined_shots, seconds_of
from train.prepare.quality.view import round_parts, view
from train.prepare.recipe import EXTRACTION, ClipExtractor, FaceRecipe

PAIR = 2


@dataclass(frozen=True, kw_only=True)
class FrameRecipe(FaceRecipe):
    """Everything that determines which frames of a clip are used, and their crop.

    Attributes:
      size: side of the pictures in pixels, 512 at most.
      frames: frames of each clip, evenly spaced; all of a shorter one.
      zoom: how many times tighter to cut the faces out than LivePortrait does; small
        networks draw larger faces better.
    """

    description: ClassVar[str] = DESCRIPTION
    least_frames: ClassVar[int] = PAIR
    frame_step: ClassVar[int] = 1

    size: FrameSize = 256
    frames: Annotated[int, Range(PAIR, 100_000)] = 32
    zoom: Zoom = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.detector == "none" and self.zoom != 1:
            raise OptionError(
                "--detector none uses pictures as they are, and --zoom crops tighter: leave out either"
            )

    def fingerprint(self) -> str:
        # other pictures are other records
        shape = [self.size, self.frames, self.zoom]
        facts = [DESCRIPTION, EXTRACTION, *shape, *self.face_facts()]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def files(self, clip: Clip) -> tuple[Path, ...]:
        # a truth file that appears later changes the record
        paths = (clip.video, truth_path(clip.video))
        return tuple(path for path in paths if path.is_file())

    def extractor(self) -> "FrameExtractor":
        return FrameExtractor(self)


class FrameExtractor(ClipExtractor):
    """Makes records of frames; it holds the detector."""

    def __init__(self, recipe: FrameRecipe):
        super().__init__(recipe)
        self._detector = recipe.open_detector()
        self._size = recipe.size
        self._frames = recipe.frames
        self._zoom = recipe.zoom
        self._limits = recipe.cut_limits

    def record(self, clip: Clip) -> tuple[FrameRecord, float]:
        """Make the record of a clip, of frames that show the face.

        The video is read twice, once to find the face and once to crop it, so that its
        pictures are never held.

        Raises:
          ValueError: no steady face, a corrupt file, a single frame, a truth file of
            another video.
          OSError: a file is missing or cannot be read.
        """
        # One box for a shot, from all of its frames.
        video = VideoReader(clip.video)
        scene = view(video, self._detector, self._zoom, self._limits, self)
        shots = joined_shots(scene.shots)
        parts = [part for shot in shots for part in shot.track.parts]
        self.note(parts=round_parts(parts))
        rectangles = _rectangles(shots)
        usable = list(rectangles)
        places = choose_frames(len(usable), self._frames)
        chosen = [usable[place] for place in places]
        # A drawn head has exact landmarks beside its video.
        truth = read_truth(clip.video, len(scene.times))
        images, points = [], []
        meter = MovementMeter()
        for index, seconds, image in pick(video, usable):
            # movement is measured on more pictures than are kept
            if index not in chosen and not meter.is_due(seconds):
                continue
            rectangle = rectangles[index]
            crop = network_input(crop_face(image, rectangle), self._size)
            meter.add(seconds, crop)
            if index in chosen:
                images.append(encode_image(crop))
                points.append(self._landmarks(image, index, rectangle, truth))
        self.note(movement=meter.movement)
        self.keep(Evidence(make_thumbnail(meter.pictures)))
        landmarks = stack_landmarks(points)
        record = FrameRecord(
            clip.name,
            clip.subject,
            images,
            landmarks,
            _pose(truth, chosen),
            _groups(truth, landmarks.shape[1]),
        )
        return record, seconds_of(parts)

    def _landmarks(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        index: int,
        rectangle: FaceRectangle,
        truth: Truth,
    ) -> Float32[np.ndarray, "l 2"] | None:
        """Return a frame's landmarks in its crop: the truth's, else the detector's."""
        if truth.landmarks is not None:
            return normalise(truth.landmarks[index], rectangle, self._size)
        points = find_landmarks(image, rectangle, self._detector)
        return None if points is None else normalise(points, rectangle, self._size)


def _rectangles(shots: Sequence[Shot]) -> dict[int, FaceRectangle]:
    """Return the square of the face in every frame that shows it, by number."""
    rectangles = {}
    for shot in shots:
        track = shot.track
        shown = np.flatnonzero(track.shows(track.parts)) + shot.start
        rectangles |= dict.fromkeys(shown.tolist(), track.rectangle)
    return rectangles


def _groups(truth: Truth, count: int) -> LandmarkGroups:
    """Return the groups of landmarks: the truth's, else those of a detector."""
    if truth.landmarks is not None:
        return truth.landmark_groups
    # the number of landmarks tells which detector found them
    return DETECTED_GROUPS.get(count, {})


def _pose(truth: Truth, chosen: list[int]) -> Float32[np.ndarray, "frames 3"]:
    if truth.pose is None:
        # NaN marks an unknown pose
        return np.full((len(chosen), 3), np.nan, np.float32)
    return truth.pose[chosen].astype(np.float32)


def choose_frames(total: int, count: int) -> list[int]:
    """Choose `count` of `total` frames, evenly spaced; all of them if there are fewer.

    Raises:
      ValueError: there are too few for a pair.
    """
    if total < PAIR:
        raise ValueError(f"{total} picture in the video: a pair needs two")
    return evenly_spaced(total, count)


def pick(
    video: VideoReader, chosen: Sequence[int]
) -> Iterator[tuple[int, float, UInt8[np.ndarray, "h w 3"]]]:
    """Yield the chosen frames of a video, with their numbers and seconds."""
    numbers = set(chosen)
    for index, (seconds, image) in enumerate(video):
        if index in numbers:
            yield index, seconds, image
