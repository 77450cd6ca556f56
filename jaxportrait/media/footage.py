"""`Footage`: the pictures of a source video, in any order, never held all at once."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int, UInt8

from jaxportrait.media.demux import open_media, video_streams
from jaxportrait.media.image import reduce, trim_to_even
from jaxportrait.media.image.formats import HEAD, UnreadableKindError, format_of
from jaxportrait.media.video import VideoReader

CHUNK_BYTES = 2**27
"""Bytes of the frames that are held while a video is played backwards."""

Picture = UInt8[np.ndarray, "h w 3"]


class Footage:
    """The pictures of a source video: upright, RGB, of one size with even sides.

    An iteration yields (seconds on the file's clock, picture) in order.

    Attributes:
      path: the file.
      size: width and height in pixels.
      fps: mean frames a second; 0 where the file does not state it.
      has_sound: whether the file has a track of sound.
    """

    def __init__(self, path: str | Path, max_side: int | None = None):
        """Open a video and decode its first frame.

        Args:
          max_side: longest side in pixels to which larger pictures are reduced; None
            leaves the size.

        Raises:
          FileNotFoundError: no such file.
          ValueError: not a media file, no video in it, or corrupt.
        """
        self._reader = VideoReader(path)
        self.path = self._reader.path
        self._max_side = max_side
        width, height = self._reader.size
        # A picture of one byte in memory: only its shape is needed.
        blank = np.broadcast_to(np.uint8(0), (height, width, 3))
        height, width, _ = self._reduce(blank).shape
        self.size = (width, height)
        with open_media(self.path) as container:
            self.has_sound = bool(container.streams.audio)

    @property
    def fps(self) -> Fraction:
        return self._reader.fps

    def __iter__(self) -> Iterator[tuple[float, Picture]]:
        for seconds, picture in self._reader:
            yield seconds, self._prepare(picture)

    def play(
        self,
        times: Float64[np.ndarray, " frames"],
        order: Int[np.ndarray, " n"],
    ) -> Iterator[Picture]:
        """Yield the pictures of these frames, in this order.

        Backwards, a few pictures are held at a time, and decoded from the keyframe
        before them.

        Args:
          times: seconds of every frame, as an iteration yields them.
          order: numbers of frames, which change slowly: forwards, backwards, or both in
            turn.
        """
        height = self.size[1]
        # Three bytes a pixel; a frame at least, however large.
        longest = max(1, CHUNK_BYTES // (3 * self.size[0] * height))
        for run in split_at_turns(order):
            if run[-1] >= run[0]:
                yield from self._forwards(times, run)
                continue
            for first in range(0, len(run), longest):
                piece = run[first : first + longest]
                pictures = list(self._forwards(times, piece[::-1]))
                yield from reversed(pictures)

    def _forwards(
        self,
        times: Float64[np.ndarray, " frames"],
        order: Int[np.ndarray, " n"],
    ) -> Iterator[Picture]:
        """Yield pictures of frames whose numbers do not decrease."""
        first = int(order[0])
        frames = self._reader if first == 0 else self._reader.since(times[first])
        pictures = iter(frames)
        # Times tell the frames apart: those after a keyframe are not counted.
        shown = -np.inf
        picture = None
        for frame in order.tolist():
            while picture is None or shown < times[frame]:
                # Beyond the last picture, it is held.
                shown, picture = next(pictures, (np.inf, picture))
            yield self._prepare(picture)

    def _prepare(self, picture: Picture) -> Picture:
        """Return a decoded picture as it is yielded."""
        reduced = self._reduce(picture)
        height, width, _ = reduced.shape
        if (width, height) != self.size:
            first_width, first_height = self.size
            raise ValueError(
                f"{self.path} changes from {first_width}x{first_height} to {width}x{height} pixels: "
                "convert it to one size"
            )
        return reduced

    def _reduce(self, picture: Picture) -> Picture:
        if self._max_side is not None:
            picture = reduce(picture, self._max_side)
        return trim_to_even(picture, str(self.path))


def is_video(path: str | Path) -> bool:
    """Return whether the content of a file is a video; pictures are none, even those
    that move."""
    file = Path(path)
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    try:
        format_of(head)
    except UnreadableKindError as error:
        # It may be a picture of a known kind that is not read.
        return not str(error) and _has_pictures(file)
    return False


def _has_pictures(file: Path) -> bool:
    try:
        with open_media(file) as container:
            # By their names, FFmpeg opens files as pictures that are none.
            is_still = container.format.name == "image2"
            return bool(video_streams(container)) and not is_still
    except (ValueError, OSError):
        return False


def split_at_turns(order: Int[np.ndarray, " n"]) -> Iterator[Int[np.ndarray, " m"]]:
    """Yield runs of numbers that do not increase, or do not decrease."""
    first = 0
    direction = 0
    for index, step in enumerate(np.sign(np.diff(order)).tolist()):
        # A repeated frame has step 0, which is no turn.
        if step * direction < 0:
            yield order[first : index + 1]
            first = index + 1
            direction = 0
        elif step:
            direction = step
    yield order[first:]


def to_and_fro(
    times: Float64[np.ndarray, " frames"], fps: float, count: int
) -> Int[np.ndarray, " count"]:
    """Return the frame that is shown in each frame of a clip.

    A video that is shorter than the clip is played forwards and backwards in turn, so
    that nothing jumps.

    Args:
      times: seconds of the video's frames.
      fps: frames a second of the clip.
      count: frames of the clip.
    """
    seconds = times - times[0]
    last = seconds[-1]
    moments = np.arange(count) / fps
    if last > 0:
        # A triangle wave between the first frame and the last.
        moments = last - np.abs(moments % (2 * last) - last)
    # The nearest frame, so that rounding of times does not matter.
    between = (seconds[1:] + seconds[:-1]) / 2
    return np.searchsorted(between, moments, side="left")
