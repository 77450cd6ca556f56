"""Read the pictures of any video."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from jaxportrait.media.colors import EXACT
from jaxportrait.media.demux import decode_stream, open_media, video_streams
from jaxportrait.media.display import source_colorspace, turn_upright

GROWN_PIXELS = 1920 * 1080
"""Pixels to which the frames of any video may grow, as those of calls do."""


class VideoReader:
    """The pictures of a video: an iteration decodes them again, and yields (seconds on
    the file's clock, RGB frame) in order.

    Attributes:
      path: the file.
      size: width and height in pixels, upright.
      start: seconds of the first frame on the file's clock.
      fps: mean frames per second; 0 where the file does not state it.
    """

    def __init__(self, path: str | Path):
        """Open a video and decode its first frame.

        Raises:
          FileNotFoundError: no such file.
          ValueError: not a media file, no video in it, or corrupt.
        """
        self.path = Path(path)
        self._reformatter = VideoReformatter()
        self._most_pixels = 0
        with open_media(self.path) as container:
            stream = picture_stream(container)
            rate = stream.average_rate or stream.guessed_rate
            # A rate that is not known is None, and from PyAV 19 a rational of PyAV's.
            self.fps = (
                Fraction(rate.numerator, rate.denominator) if rate else Fraction(0)
            )
        # The upright size is known only after a frame.
        first = next(iter(self), None)
        if first is None:
            raise ValueError(
                f"{self.path} holds no frame: pass a video that is not empty"
            )
        self.start, picture = first
        height, width, _ = picture.shape
        self.size = (width, height)

    def __iter__(self) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        """Yield times and frames, turned and mirrored as the file states.

        A stream without timestamps is timed by its rate.

        Raises:
          ValueError: corrupt or truncated, once the place is reached.
        """
        for index, frame in enumerate(decode_stream(self.path, picture_stream)):
            yield self._seconds(index, frame), self._convert(frame)

    def since(
        self, seconds: float
    ) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        """Yield the frames from a time on, and those shortly before it.

        Raises:
          ValueError: corrupt or truncated, once the place is reached.
        """
        frames = decode_stream(self.path, picture_stream, seconds)
        first = next(frames, None)
        # Files without an index or without times are decoded from their start.
        if first is None or first.time is None or first.time > seconds:
            yield from self
            return
        for frame in chain([first], frames):
            yield self._seconds(0, frame), self._convert(frame)

    def _seconds(self, index: int, frame: VideoFrame) -> float:
        return float(index / self.fps) if frame.time is None else frame.time

    def _check_size(self, frame: VideoFrame) -> None:
        """Raise a ValueError for a frame that is far larger than the first one, whose
        size is the one that callers have seen."""
        pixels = frame.width * frame.height
        if not self._most_pixels:
            self._most_pixels = max(pixels, GROWN_PIXELS)
        if pixels > self._most_pixels:
            raise ValueError(
                f"{self.path} has a frame of {frame.width}x{frame.height} pixels after smaller ones: "
                "convert it to one size"
            )

    def _convert(self, frame: VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        self._check_size(frame)
        picture = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=source_colorspace(frame),
            interpolation=EXACT,
        )
        return turn_upright(picture.to_ndarray(), frame)


def picture_stream(container: InputContainer) -> VideoStream:
    """Find the first video stream that can be decoded.

    Raises:
      ValueError: there is none.
    """
    for stream in video_streams(container):
        return stream
    raise ValueError(
        f"{container.name} has no video stream that can be decoded: pass a video"
    )
