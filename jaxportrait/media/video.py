"""Video on the host: pictures and sound into an mp4 as they come, and pictures out of
any video."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream
from jaxtyping import UInt8

from jaxportrait.media.audio import Audio, decode_stream, open_media, video_streams

Encoder = Literal["auto", "libx264", "h264_nvenc"]

MAX_CRF = 51
MAX_ENCODED_FPS = 1000  # of a file; programs that make clips may allow less
SPARE_SOUND_RATE = 48_000  # Hz, where AAC does not support the clip's rate
SOUND_BIT_RATE = 96_000  # bits per second and channel
# swscale's default rounding and chroma darken a picture by one level each way, and cost
# 6 dB
EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
)


class VideoWriter:
    """Writes an mp4 (H.264 yuv420p in BT.709, AAC) as its frames come, in bounded
    memory.

    The file has a temporary name until it is complete. If the `with` block ends in an
    error or Ctrl-C, it is removed, and an earlier file at `path` stays.
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
        # 29.97003 is meant as 30000/1001
        self.fps = Fraction(fps).limit_denominator(1001)
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


class Soundtrack:
    """The sound of an mp4, decoded and encoded only as far as its frames have come."""

    def __init__(self, container: OutputContainer, audio: Audio):
        rates = av.Codec("aac", "w").audio_rates or ()
        is_supported = audio.sample_rate in rates
        self.rate = audio.sample_rate if is_supported else SPARE_SOUND_RATE
        channels = min(audio.channels, 2)
        layout = "mono" if channels == 1 else "stereo"
        self.stream = container.add_stream(
            "aac", rate=self.rate, layout=layout, bit_rate=SOUND_BIT_RATE * channels
        )
        self.frames = audio.frames(self.rate, layout)
        self.fifo = av.AudioFifo()

    def encode_until(self, seconds: Fraction) -> list[Packet]:
        """Encode the sound up to `seconds` that is not encoded yet."""
        due = round(seconds * self.rate) - self.fifo.samples_read
        while self.fifo.samples < due:
            frame = next(self.frames, None)
            if frame is None:
                break
            frame.pts = None  # the fifo counts for itself
            self.fifo.write(frame)
        # At the end of the sound there may be less than is due.
        piece = self.fifo.read(due, partial=True)
        return self.stream.encode(piece) if piece else []


@contextmanager
def create_mp4(path: Path) -> Iterator[OutputContainer]:
    """Open an mp4 beside `path`, and move it there when the block has ended without an
    error; otherwise remove it."""
    name = f".jaxportrait-{secrets.token_hex(4)}.mp4"
    unfinished = path.absolute().with_name(name)
    try:
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
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


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


def check_format(size: tuple[int, int], fps: int | float | Fraction, crf: int) -> None:
    """Check size (width, height), frame rate and quality, which encoders refuse less
    clearly.

    Raises:
      ValueError: a value that no encoder accepts.
    """
    if any(length <= 0 or length % 2 for length in size):
        raise ValueError(
            f"yuv420p needs an even width and height, got {size[0]}x{size[1]}: crop or pad by a pixel"
        )
    if not 1 <= fps <= MAX_ENCODED_FPS:
        raise ValueError(
            f"the frame rate must be from 1 to {MAX_ENCODED_FPS}, got {float(fps):g}"
        )
    if not 0 <= crf <= MAX_CRF:
        raise ValueError(f"crf must be from 0 to {MAX_CRF}, got {crf}")


def select_encoder(
    encoder: Encoder, size: tuple[int, int], fps: Fraction, crf: int
) -> str:
    """Choose the encoder's name.

    Raises:
      ValueError: the one asked for does not open on this machine.
    """
    names = ("h264_nvenc", "libx264") if encoder == "auto" else (encoder,)
    for name in names:
        if opens(name, size, fps, crf):
            return name
    remedy = "use a smaller picture" if "libx264" in names else "use libx264"
    raise ValueError(
        f"encoder {encoder} does not open on this machine at {size[0]}x{size[1]}: {remedy}"
    )


def opens(name: str, size: tuple[int, int], fps: Fraction, crf: int) -> bool:
    """Return whether an encoder opens: its hardware or driver may be missing."""
    try:
        context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
        configure(context, size, fps, crf)
        context.open()
    except (FFmpegError, UnknownCodecError):
        return False
    return True


def configure(
    context: VideoCodecContext, size: tuple[int, int], fps: Fraction, crf: int
) -> None:
    """Set an H.264 encoder to constant quality, with the colours of `to_picture`."""
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate = fps
    context.time_base = 1 / fps
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.thread_type = "AUTO"  # PyAV's default, only slices, costs bits
    if context.name == "h264_nvenc":
        # to NVENC 0 means to choose for itself
        context.options = {"rc": "vbr", "cq": str(max(crf, 1))}
    else:
        context.options = {"crf": str(crf)}


class _Reformatters(threading.local):
    """A reformatter for each thread, which keeps its tables for one size."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_REFORMATTERS = _Reformatters()


def to_picture(frame: UInt8[np.ndarray, "h w 3"]) -> av.VideoFrame:
    """Convert RGB to yuv420p by the matrix of BT.709, limited range, for encoders.

    Threads may call it at the same time.
    """
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return _REFORMATTERS.reformatter.reformat(
        picture,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=EXACT,
    )


class VideoReader:
    """The pictures of a video: an iteration decodes them again, and yields (seconds on
    the file's clock, RGB frame) in order.

    Attributes:
      path: the file.
      size: width and height in pixels, upright.
      fps: mean frames per second; 0 where the file does not state it.
    """

    def __init__(self, path: str | Path):
        """Open a video and decode its first frame.

        Raises:
          FileNotFoundError: no such file.
          ValueError: not a media file, no video in it, or corrupt.
        """
        self.path = Path(path)
        with open_media(self.path) as container:
            stream = picture_stream(container)
            self.fps = Fraction(stream.average_rate or stream.guessed_rate or 0)
        # The upright size is known only after a frame.
        first = next(iter(self), None)
        if first is None:
            raise ValueError(
                f"{self.path} holds no frame: give a video that is not empty"
            )
        height, width, _ = first[1].shape
        self.size = (width, height)

    def __iter__(self) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        """Yield times and frames, rotated as the file states.

        A stream without timestamps is timed by its rate.

        Raises:
          ValueError: corrupt or truncated, once the place is reached.
        """
        reformatter = VideoReformatter()
        for index, frame in enumerate(decode_stream(self.path, picture_stream)):
            picture = reformatter.reformat(frame, format="rgb24", interpolation=EXACT)
            seconds = float(index / self.fps) if frame.time is None else frame.time
            quarter_turns = round(frame.rotation / 90)
            upright = np.rot90(picture.to_ndarray(), quarter_turns)
            yield seconds, np.ascontiguousarray(upright)


def picture_stream(container: InputContainer) -> VideoStream:
    """Find the first video stream that can be decoded.

    Raises:
      ValueError: there is none.
    """
    for stream in video_streams(container):
        return stream
    raise ValueError(
        f"{container.name} has no video stream that can be decoded: give a video"
    )
