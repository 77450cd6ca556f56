"""The video driver: the motion of a face in a video."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from jaxportrait.media.crop import FaceRectangle, crop_face, network_input
from jaxportrait.media.faces import Detector
from jaxportrait.media.track import track_face
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class VideoDriver:
    """A driver that follows the largest face of a video, with one box for the clip.

    Attributes:
      read: reads the motion of cropped pictures, given their rate; see `Renderer.read`.
      detector: finds the face.
      image_size: side in pixels of the crops that `read` reads.
      zoom: how many times tighter than LivePortrait's these crops are.
      fps: frames of motion a second, whatever the rate of the video.
    """

    read: Callable[[Iterable[Picture], float], MotionClip]
    detector: Detector
    image_size: int
    zoom: float
    fps: float

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
        # Once through the file to find the face, ...
        video = VideoReader(input)
        track = track_face(video, self.detector, self.zoom)
        # ... and once to read it in one square, so that the crop does not move.
        pictures = (picture for _, picture in video)
        crops = crop_frames(pictures, track.rectangle, self.image_size)
        motion = self.read(crops, self.fps)
        return motion.at(_positions(track.times, self.fps, frames), self.fps)

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


def _positions(
    times: Float64[np.ndarray, " pictures"], fps: float, frames: int | None
) -> Float64[np.ndarray, " frames"]:
    """Return the pictures, with fractions, that are shown at the frames' times."""
    # Times that are not even, of a variable rate, are evened out here.
    length = round((times[-1] - times[0]) * fps) + 1
    count = length if frames is None else frames
    seconds = times[0] + np.arange(count) / fps
    # Beyond the last picture, interpolation holds it.
    return np.interp(seconds, times, np.arange(len(times)))
