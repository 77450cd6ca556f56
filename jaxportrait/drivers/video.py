"""The video driver: the motion of a face in a video or in a picture."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, UInt8

from jaxportrait.media.crop import (
    CLIP_SCALE,
    CLIP_SHIFT,
    FaceRectangle,
    crop_face,
    network_input,
)
from jaxportrait.media.faces import Detector, Openness, open_detector
from jaxportrait.media.faces.openness import fill_openness
from jaxportrait.media.track import Track, track_face
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.ranges import (
    CropScale,
    CropShift,
    OptionError,
    check_choice,
    check_ranges,
)
from jaxportrait.types import FaceCrop

Picture = UInt8[np.ndarray, "h w 3"]
Pictures = Iterable[tuple[float, Picture]]
"""Seconds and RGB pictures; each iteration reads them again."""
CropMode = Literal["clip", "tracked", "none"]
FRAMING = (CLIP_SCALE, 0.0, CLIP_SHIFT)
"""Scale and ratios as published."""


@dataclass(frozen=True)
class DrivingCrop:
    """The square that is cut out of driving pictures.

    Attributes:
      driving_crop: "clip" cuts one square out of all pictures of a clip, "tracked" lets
        it follow a face that walks, and "none" uses pictures that are already cropped:
        the largest centred square.
      driving_crop_scale: side of the square in sides of the face.
      driving_crop_vx_ratio: shift to the right, in sides of the square.
      driving_crop_vy_ratio: shift down, in sides of the square.

    Source: LivePortrait, `scale_crop_driving_video` and its neighbours.
    """

    driving_crop: CropMode = "clip"
    driving_crop_scale: CropScale = CLIP_SCALE
    driving_crop_vx_ratio: CropShift = 0.0
    driving_crop_vy_ratio: CropShift = CLIP_SHIFT

    def __post_init__(self):
        check_ranges(self)
        check_choice("driving crop", self.driving_crop, CropMode)
        if self.driving_crop == "none" and self.framing != FRAMING:
            raise OptionError(
                "driving pictures that are already cropped are not framed: leave out scale and ratios"
            )

    @property
    def framing(self) -> tuple[float, float, float]:
        """Scale and ratios; see `clip_rectangle`."""
        return (
            self.driving_crop_scale,
            self.driving_crop_vx_ratio,
            self.driving_crop_vy_ratio,
        )

    def squares(self, track: Track) -> Sequence[FaceRectangle]:
        """Return the square of each picture."""
        if self.driving_crop == "tracked":
            return track.squares(*self.framing)
        return [track.square(*self.framing)] * len(track.times)


@dataclass(frozen=True)
class DrivingFace:
    """The face in driving pictures, which are read again for every use and never held.

    Attributes:
      pictures: all pictures, with their times.
      track: times, and parts that show the face.
      squares: the square of each picture.
    """

    pictures: Pictures
    track: Track
    squares: Sequence[FaceRectangle]

    def crops(self) -> Iterator[FaceCrop]:
        """Yield the crop of every picture."""
        for (_, picture), square in zip(self.pictures, self.squares, strict=True):
            yield crop_face(picture, square)

    def crops_at(self, fps: float, frames: int) -> Iterator[Picture]:
        """Yield the crop that is nearest to each frame's time; the last one is held."""
        times = self.track.times
        # Pictures are decoded in order, so that one at a time is held.
        numbers = np.rint(_places(times, frame_times(times, fps, frames)))
        crops = enumerate(self.crops())
        index, crop = next(crops)
        for number in numbers:
            # A rate below the pictures' passes over some of them.
            while index < number:
                index, crop = next(crops)
            yield crop.image


@dataclass(frozen=True)
class VideoDriver:
    """A driver that follows the face that is largest at first.

    Attributes:
      read: reads the motion of cropped pictures, given their rate; see `Renderer.read`.
      detector: finds the face.
      image_size: side in pixels of the crops that `read` reads.
      zoom: how many times tighter than LivePortrait's these crops are.
      fps: frames of motion a second, whatever the rate of the video.
      crop: the square that is cut out of the pictures.
      reads_openness: also reads how far eyes and lips are open, in every picture, where
        the detector tells it.
    """

    read: Callable[[Iterable[Picture], float], MotionClip]
    detector: Detector
    image_size: int
    zoom: float
    fps: float
    crop: DrivingCrop = DrivingCrop()
    reads_openness: bool = False

    @property
    def latency(self) -> float:
        return inf

    @property
    def moves_head(self) -> bool:
        return True

    def make(
        self, input: str | Path, *, seed: int = 0, frames: int | None = None
    ) -> MotionClip:
        """Return the motion of the face in a video file.

        The file is decoded twice, to find the face and to read it, so that its pictures
        are never held.

        Args:
          input: the video.
          seed: unused; the same video has the same motion.
          frames: length of the motion, by default that of the video; the last frame is
            held.

        Raises:
          NoFaceError: there is no steady face.
          ValueError, OSError: the file cannot be read.
        """
        return self.read_face(self.follow(VideoReader(input)), frames)

    def follow(self, pictures: Pictures) -> DrivingFace:
        """Find the face in pictures.

        Raises:
          NoFaceError: there is no steady face.
          ValueError: pictures that are already cropped are not to be framed.
        """
        detector = self.detector
        # An option without effect would mislead.
        if detector.keeps_crop and self.crop.framing != FRAMING:
            raise ValueError(
                "the detector none uses pictures as they are: leave out scale and ratios of the driving crop"
            )
        # Landmarks still come from the driver's own detector.
        if self.crop.driving_crop == "none":
            detector = open_detector("none")
        walks = self.crop.driving_crop == "tracked"
        track = track_face(pictures, detector, self.zoom, walks=walks)
        return DrivingFace(pictures, track, self.crop.squares(track))

    def read_face(self, face: DrivingFace, frames: int | None = None) -> MotionClip:
        """Return the motion of a face.

        While the face is out of sight, the motion goes straight from where it was last
        seen to where it is seen again.

        Args:
          face: face in driving pictures.
          frames: length of the motion; see `make`.
        """
        # Other faces, and none, would give motion of their own.
        shown = face.track.shows(face.track.parts)
        readings: list[Openness | None] = []

        def prepare() -> Iterator[Picture]:
            for crop in compress(face.crops(), shown):
                if self.reads_openness:
                    readings.append(self.detector.find_openness(crop.image))
                yield network_input(crop, self.image_size)

        motion = self.read(prepare(), self.fps)
        motion = _with_openness(motion, readings)
        times = face.track.times
        seconds = frame_times(times, self.fps, frames)
        return motion.at(_places(times[shown], seconds), self.fps)

    def with_sampling(self, sampling: object) -> "VideoDriver":
        """Return this driver: it samples nothing."""
        return self

    def warm_up(self, frames: int) -> None:
        """Compile the reading of pictures, which is the same for clips of any
        length."""
        # One picture compiles the program of any number.
        blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        self.read([blank], self.fps)


def crop_frames(
    pictures: Iterable[Picture], rectangle: FaceRectangle, size: int
) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """Cut the same square out of every picture, `size` pixels a side."""
    for picture in pictures:
        yield network_input(crop_face(picture, rectangle), size)


def frame_times(
    times: Float64[np.ndarray, " pictures"], fps: float, frames: int | None = None
) -> Float64[np.ndarray, " frames"]:
    """Return the seconds at which frames of an even rate are shown.

    Args:
      times: seconds of the pictures, which may come at an uneven rate.
      fps: frames a second.
      frames: number of frames; by default as many as the pictures last.
    """
    # The last picture is shown at the last frame.
    count = round((times[-1] - times[0]) * fps) + 1
    if frames is not None:
        count = frames
    return times[0] + np.arange(count) / fps


def _places(
    times: Float64[np.ndarray, " pictures"], seconds: Float64[np.ndarray, " frames"]
) -> Float64[np.ndarray, " frames"]:
    """Return the pictures, with fractions, that are shown at so many seconds; the first
    and the last one are held beyond their times."""
    return np.interp(seconds, times, np.arange(len(times)))


def _with_openness(
    motion: MotionClip, readings: Sequence[Openness | None]
) -> MotionClip:
    """Return motion with the openness of eyes and lips, where enough pictures tell
    it."""
    openness = fill_openness(readings)
    # Options that need it refuse motion without it.
    if openness is None:
        return motion
    return replace(motion, eyes=openness[:, :2], lips=openness[:, 2:])
