"""Clips with sound, written as their frames come."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream
from jaxtyping import UInt8

from jaxportrait.media.audio import Audio
from jaxportrait.media.colors import to_picture
from jaxportrait.media.write.containers import (
    Container,
    check_count,
    choose_container,
)
from jaxportrait.media.write.encoding import Encoder, Encoding
from jaxportrait.media.write.palette import PaletteFilter
from jaxportrait.media.write.place import check_place, fill, final_place
from jaxportrait.media.write.sound import Soundtrack


class VideoWriter:
    """Writes a clip as its frames come, in bounded memory.

    The suffix of its name decides the container: mp4 and mkv hold H.264 and AAC, webm
    VP9 and Opus, gif and webp moving pictures without sound; `FOLDER/%06d.png` or
    `.jpg` is a folder of pictures, numbered from 1, and `NAME.png` or `.jpg` is one
    picture. Videos are yuv420p in BT.709.

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
        crf: int | None = None,
        encoder: Encoder = "auto",
    ):
        """Check all that can be checked before the first frame.

        Args:
          path: the file to write, or the pattern of numbered pictures.
          size: width and height in pixels; both even, but for pictures.
          fps: frames per second, 1 to 1000; of a gif to 50.
          audio: sound that starts with the first frame and is cut after the last; None
            for none.
          crf: constant quality of videos from 0 (lossless in H.264, which few players
            show) to 51, in H.264's measure; by default 18. Other clips have none.
          encoder: H.264 encoder; auto selects h264_nvenc where it opens, else libx264.

        Raises:
          ValueError: a suffix, size, rate, quality or encoder that is not available.
          OSError: no such folder, or something else is at the path.
        """
        self.path = Path(path)
        self.size = size
        self.audio = audio
        container = choose_container(self.path)
        check_place(self.path)
        _check_parent(final_place(self.path).parent)
        self.encoding = Encoding.choose(
            container, size=size, fps=fps, crf=crf, encoder=encoder
        )
        self.fps = self.encoding.fps
        self.encoder = self.encoding.encoder
        self.frame_count = 0

    def __enter__(self) -> "VideoWriter":
        with ExitStack() as stack:
            container = self.encoding.container
            unfinished = stack.enter_context(fill(self.path))
            opened = open_container(unfinished, self.path, container)
            self.container = stack.enter_context(opened)
            stream = self.container.add_stream(self.encoder, rate=self.fps)
            self.pictures = cast(VideoStream, stream)
            self.encoding.configure(self.pictures.codec_context)
            self.palette = self.sound = None
            if self.encoder == "gif":
                self.palette = PaletteFilter(self.size, self.fps)
            if self.audio and container.sound:
                self.sound = Soundtrack(self.container, self.audio, container.sound)
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
        self.append(self.convert(frame))

    def convert(self, frame: UInt8[np.ndarray, "h w 3"]) -> av.VideoFrame:
        """Convert an RGB frame for `append`.

        Threads may do so: it takes longer than encoding.
        """
        return to_picture(frame, self.encoding.container.pictures.pixels)

    def append(self, picture: av.VideoFrame) -> None:
        """Append one frame that `convert` has made.

        Raises:
          ValueError: another size than announced, or a second frame for one picture.
          OSError: the disk is full or refuses otherwise.
        """
        if (picture.width, picture.height) != self.size:
            raise ValueError(
                f"pictures of {self.path} must be {self.size}, got {(picture.width, picture.height)}"
            )
        check_count(self.path, self.frame_count + 1)
        picture.pts = self.frame_count
        picture.time_base = 1 / self.fps
        self.frame_count += 1
        with write_errors(self.path):
            # Sound follows the pictures, so that the file is interleaved.
            self.container.mux(self.encode(picture))
            if self.sound:
                self.container.mux(self.sound.encode_until(self.frame_count / self.fps))

    def encode(self, picture: av.VideoFrame | None) -> list[Packet]:
        """Encode a picture, or None at the end."""
        if self.palette is None:
            return self.pictures.encode(picture)
        packets = []
        for reduced in self.palette.push(picture):
            packets += self.pictures.encode(reduced)
        return packets if picture else packets + self.pictures.encode(None)

    def finish(self, error_type: type[BaseException] | None, *_) -> None:
        """Flush the encoders, unless an error has made the file worthless."""
        if error_type:
            return
        if self.frame_count == 0:
            raise ValueError(f"{self.path} got no frame: write at least one")
        with write_errors(self.path):
            self.container.mux(self.encode(None))
            if self.sound:
                self.container.mux(self.sound.flush())


@contextmanager
def open_container(
    unfinished: Path, path: Path, container: Container
) -> Iterator[OutputContainer]:
    """Open a container for writing; it is complete when the block has ended without an
    error."""
    # FFmpeg would read a % of the folders as the number's place.
    parent = str(unfinished.parent)
    if container.is_folder:
        parent = parent.replace("%", "%%")
    opened = av.open(
        str(Path(parent, unfinished.name)),
        "w",
        format=container.muxer,
        options=dict(container.options),
    )
    try:
        yield opened
    except BaseException:
        with suppress(FFmpegError):  # the block's own error matters more
            opened.close()
        raise
    with write_errors(path):
        opened.close()


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Name the file in errors of writing."""
    try:
        yield
    except FFmpegError as error:
        raise OSError(
            f"{path} cannot be written ({error.strerror}): free space there or choose another folder"
        ) from error


def _check_parent(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"folder {folder} does not exist: make it, or choose another"
        )
