"""From a clip to some of its frames, cropped to the face."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8

from jaxportrait.media.crop import CROP_SIZE, crop_face, network_input
from jaxportrait.media.faces import DetectorName, open_detector
from jaxportrait.media.track import track_face
from jaxportrait.media.video import VideoReader
from train.data.clips import Clip
from train.data.frames import DESCRIPTION, FORMAT, FrameRecord, encode_image
from train.prepare.frames.landmarks import (
    find_landmarks,
    normalise,
    read_truth,
    stack_landmarks,
    truth_path,
)
from train.prepare.recipe import ClipExtractor, Recipe

PAIR = 2
SMALLEST_SIZE = 32
LARGEST_ZOOM = 2.2


@dataclass(frozen=True)
class FrameRecipe(Recipe):
    """All that decides which frames of a clip are kept, and how they are cut out.

    Attributes:
      size: side of the crops in pixels.
      frames: of a clip; all of a shorter one.
      zoom: how many times tighter a face is cut out than LivePortrait does.
      detector: how faces are found.
      detector_models: folder of its files.
    """

    description: ClassVar[str] = DESCRIPTION
    least_frames: ClassVar[int] = PAIR
    frame_step: ClassVar[int] = 1

    size: int = 256
    frames: int = 32
    zoom: float = 1.0
    detector: DetectorName = "auto"
    detector_models: Path | None = None

    def check(self) -> None:
        """Raise a ValueError if there are no such frames."""
        if not SMALLEST_SIZE <= self.size <= CROP_SIZE:
            raise ValueError(
                f"--size must be from {SMALLEST_SIZE} to {CROP_SIZE}, got {self.size}"
            )
        if self.frames < PAIR:
            raise ValueError(f"--frames must be at least {PAIR}, got {self.frames}")
        if not 0 < self.zoom <= LARGEST_ZOOM:
            raise ValueError(
                f"--zoom must be over 0 and at most {LARGEST_ZOOM:g}, got {self.zoom:g}"
            )
        if self.detector == "none" and self.zoom != 1:
            raise ValueError(
                "--detector none takes pictures as they are, and --zoom crops tighter: leave out either"
            )

    def fingerprint(self) -> str:
        detector = [
            open_detector(self.detector, self.detector_models).name,
            str(self.detector_models),
        ]
        facts = [DESCRIPTION, FORMAT, self.size, self.frames, self.zoom, *detector]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def files(self, clip: Clip) -> tuple[Path, ...]:
        return tuple(
            path for path in (clip.video, truth_path(clip.video)) if path.is_file()
        )

    def extractor(self) -> "FrameExtractor":
        return FrameExtractor(self)


class FrameExtractor(ClipExtractor):
    """Makes records of frames; it holds the detector."""

    def __init__(self, recipe: FrameRecipe):
        super().__init__(recipe)
        self._detector = open_detector(recipe.detector, recipe.detector_models)
        self._size, self._frames, self._zoom = recipe.size, recipe.frames, recipe.zoom

    def record(self, clip: Clip) -> tuple[FrameRecord, float]:
        """Read the clip twice, once to find the face and once to crop it, so that its
        pictures are never held.

        Raises:
          ValueError: no steady face, a corrupt file, a single frame, a truth file of
            another video.
          OSError: a file is missing or cannot be read.
        """
        video = VideoReader(clip.video)
        track = track_face(video, self._detector, self._zoom)
        chosen = spread(len(track.times), self._frames)
        truth = read_truth(clip.video, len(track.times))
        images, points = [], []
        for index, image in pick(video, chosen):
            crop = network_input(crop_face(image, track.rectangle), self._size)
            images.append(encode_image(crop))
            if truth.landmarks is None:
                seen = find_landmarks(image, track.rectangle, self._detector)
            else:
                seen = truth.landmarks[index]
            points.append(
                None if seen is None else normalise(seen, track.rectangle, self._size)
            )
        pose = (
            np.full((len(chosen), 3), np.nan, np.float32)
            if truth.pose is None
            else truth.pose[chosen]
        )
        record = FrameRecord(
            clip.name, clip.subject, images, stack_landmarks(points), pose
        )
        return record, float(track.times[-1] - track.times[0])


def spread(total: int, count: int) -> list[int]:
    """`count` of `total` frames, in the middles of as many equal parts; all of them if
    there are fewer.

    Raises:
      ValueError: too few for a pair.
    """
    if total < PAIR:
        raise ValueError(f"{total} picture in the video: a pair needs two")
    count = min(count, total)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]


def pick(
    video: VideoReader, chosen: Sequence[int]
) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """The chosen frames of a video, with their numbers."""
    wanted = set(chosen)
    for index, (_, image) in enumerate(video):
        if index in wanted:
            yield index, image
