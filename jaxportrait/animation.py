"""Inputs and results of an animator: options, portraits and clips."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.drivers.base import frame_count
from jaxportrait.drivers.flow import FlowSampling
from jaxportrait.media.audio import Audio
from jaxportrait.media.colors import to_picture
from jaxportrait.media.faces import Openness
from jaxportrait.media.paste import PasteBack
from jaxportrait.media.rates import exact_rate
from jaxportrait.media.write import Encoder, VideoWriter
from jaxportrait.pipeline.retarget import Retargeting as Retargeting
from jaxportrait.ranges import FrameRate, Seed, check_value
from jaxportrait.types import Source

T = TypeVar("T")
Frame = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Sampling(FlowSampling):
    """Options of a driver: those of the flow transformer, and a seed.

    Attributes:
      seed: decides everything: the same seed gives the same frames.
    """

    seed: Seed = 0


@dataclass(frozen=True)
class Portrait:
    """A source picture, ready to be animated any number of times.

    Attributes:
      source: the face, as the renderer needs it.
      paste: puts a rendered crop back into the whole picture.
      size: width and height of the whole picture.
      crop: the face as the networks read it.
      passed_over: number of faces that were detected and not chosen.
      doubt: a line for a user where the detector is not sure of the face.
      openness: openness of the face's eyes and lips, where its landmarks tell it.
      gaze: place of the iris in each eye, where it is known; see `Face`.
    """

    source: Source
    paste: PasteBack
    size: tuple[int, int]
    crop: UInt8[np.ndarray, "s s 3"]
    passed_over: int
    doubt: str | None = None
    openness: Openness | None = None
    gaze: Float[np.ndarray, "2 2"] | None = None


class MakeFrames(Protocol):
    """Makes all frames of a clip in order; `finish` is applied to each in the thread
    that has made it."""

    def __call__(self, finish: Callable[[Frame], T]) -> Iterator[T]: ...


@dataclass(frozen=True)
class Animation:
    """A clip whose frames are made while they are iterated over, in bounded memory.

    Attributes:
      size: width and height.
      fps: frames a second.
      audio: sound of the clip.
      keypoints: driving keypoints of every frame.
      make_frames: makes the frames.
    """

    size: tuple[int, int]
    fps: float
    audio: Audio
    keypoints: Float[np.ndarray, "frames k 3"]
    make_frames: MakeFrames

    def __len__(self) -> int:
        return len(self.keypoints)

    def __iter__(self) -> Iterator[Frame]:
        return self.make_frames(lambda frame: frame)

    def save(
        self,
        path: str | Path,
        *,
        crf: int = 18,
        encoder: Encoder = "auto",
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        """Write an mp4 with sound, whole or not at all.

        Args:
          path: file to write; one that is there is replaced.
          crf: constant rate factor, 0 (lossless) to 51.
          encoder: H.264 encoder.
          on_frame: called after each frame.
        """
        with VideoWriter(
            path,
            size=self.size,
            fps=self.fps,
            audio=self.audio,
            crf=crf,
            encoder=encoder,
        ) as writer:
            # Colours are converted in the threads that paste, not in this one.
            for picture in self.make_frames(to_picture):
                writer.append(picture)
                on_frame()


def usable_rate(output_fps: float) -> float:
    """Return the exact rate of a clip, such as 30000/1001 for 29.97.

    Raises:
      ValueError: clips cannot be made at so many frames a second.
    """
    check_value("output_fps", output_fps, FrameRate)
    return float(exact_rate(output_fps))


def frame_counts(seconds: float, output_fps: float, fps: float) -> tuple[int, int]:
    """Return how many frames a clip has, and how many of motion it is resampled from.

    Args:
      seconds: length of the sound.
      output_fps: rate of the clip.
      fps: rate of the driver's motion.
    """
    count = frame_count(seconds, output_fps)
    return count, int(np.ceil((count - 1) * fps / output_fps)) + 1


def copy_picture(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return a copy of a picture that can be animated.

    Raises:
      ValueError: it is no RGB picture, or has an odd side.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"the picture is {image.dtype}, {image.shape}: "
            "give RGB as uint8 (height, width, 3)"
        )
    height, width, _ = image.shape
    if height % 2 or width % 2 or not image.size:
        raise ValueError(
            f"the picture is {width}x{height}: its sides must be even, crop a pixel"
        )
    return image.copy()
