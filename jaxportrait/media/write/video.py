"""Videos with sound, written as their frames come."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import UInt8

from jaxportrait.media.audio import Audio
from jaxportrait.media.colors import to_picture
from jaxportrait.media.rates import exact_rate
from jaxportrait.media.write.h264 import (
    Encoder,
    check_format,
    configure,
    select_encoder,
)
from jaxportrait.media.write.sound import Soundtrack
from jaxportrait.whole import write_whole


class VideoWriter:
    """Writes an mp4 (H.264 yuv420p in BT.709, AAC) as its frames come, in bounded
    memory.

    The file appears when it is complete. If the `with` block ends in an error or
    Ctrl-C, an earlier file at `path` stays.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: tuple[int, int],
        fps: int | float | Fraction,
        audio: Audio | None,
        crf: int = 18,
        encoder: Encoder = "auto",
    ):
        """Check all that can be checked before the first frame.

        Args:
          path: the mp4 to write.
          size: width and height in pixels, both even.
          fps: frames per second, 1 to 1000.
          audio: sound that starts with the first frame and is cut after the last; None
            for none.
          crf: constant quality from 0 (lossless, which few players show) to 51.
          encoder: auto selects h264_nvenc where it opens, else libx264.

        Raises:
          ValueError: a size, rate, quality or encoder that is not available.
          OSError: no such folder, or the path is a folder.
        """
        self.path = Path(path)
        self.size = size
        self.audio = audio
        self.crf = crf
        check_place(self.path)
        check_format(size, fps, crf)
        self.fps = exact_rate(fps)
        self.encoder = select_encoder(encoder, size, self.fps, crf)
        self.frame_count = 0

    def __enter__(self) -> "VideoWriter":
        with ExitStack() as stack:
            self.container = stack.enter_context(create_mp4(self.path))
            stream = self.container.add_stream(self.encoder, rate=self.fps)
            self.pictures = cast(VideoStream, stream)
            configure(self.pictures.codec_context, self.size, self.fps, self.crf)
            self.sound = Soundtrack(self.container, self.audio) if self.audio else None
            with write_errors(self.path):
                self.container.start_encoding()
            stack.push(self.finish)
            self.exits = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self.exits.__exit__(*error)

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Append one RGB frame and the sound that goes with it.

        Raises:
          ValueError: another shape or type than announced.
          OSError: the disk is full or refuses otherwise.
        """
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"frames of {self.path} must be uint8 {(height, width, 3)}, got {frame.dtype} {frame.shape}"
            )
        self.append(to_picture(frame))

    def append(self, picture: av.VideoFrame) -> None:
        """Append one frame that `to_picture` has converted.

        Other threads may convert frames: it takes longer than encoding.

        Raises:
          ValueError: another size than announced.
          OSError: the disk is full or refuses otherwise.
        """
        if (picture.width, picture.height) != self.size:
            raise ValueError(
                f"pictures of {self.path} must be {self.size}, got {(picture.width, picture.height)}"
            )
        picture.pts = self.frame_count
        picture.time_base = 1 / self.fps
        self.frame_count += 1
        with write_errors(self.path):
            # Sound follows the pictures, so that the file is interleaved.
            self.container.mux(self.pictures.encode(picture))
            if self.sound:
                self.container.mux(self.sound.encode_until(self.frame_count / self.fps))

    def finish(self, error_type: type[BaseException] | None, *_) -> None:
        """Flush the encoders, unless an error has made the file worthless."""
        if error_type:
            return
        if self.frame_count == 0:
            raise ValueError(f"{self.path} got no frame: write at least one")
        with write_errors(self.path):
            self.container.mux(self.pictures.encode(None))
            if self.sound:
                self.container.mux(self.sound.stream.encode(None))


@contextmanager
def create_mp4(path: Path) -> Iterator[OutputContainer]:
    """Open an mp4 that appears at `path` when the block has ended without an error."""
    with write_whole(path) as unfinished:
        container = av.open(
            # The index comes first, so that players start at once.
            str(unfinished),
            "w",
            format="mp4",
            options={"movflags": "+faststart"},
        )
        try:
            yield container
        except BaseException:
            with suppress(FFmpegError):  # the block's own error matters more
                container.close()
            raise
        with write_errors(path):
            container.close()


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Name the file in errors of writing."""
    try:
        yield
    except FFmpegError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror}): free space there or choose another folder"
        ) from error


def check_place(path: Path) -> None:
    """Check that a file can be put at `path`."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the name of a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"folder {path.parent} does not exist: make it, or choose another"
        )
