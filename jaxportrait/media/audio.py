"""Sound on the host: any file that PyAV decodes, or samples in memory, as a stream of
mono at 16 kHz."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream
from jaxtyping import Float32, Num

SAMPLE_RATE = 16_000
MAX_CHANNELS = 8
# seconds for which Opus may send nothing; it is silence
LONGEST_PAUSE = 1.0
# seconds, a motion frame: timestamps of sound containers jitter by less
LONGEST_GAP = 1 / 30
# programs that write a wave into a pipe state this size or a larger one
UNKNOWN_RIFF_SIZE = 0x7FFFF000
# codecs whose streams pause where nothing is said
PAUSING = ("opus", "libopus")
# containers in which FFmpeg skips damage silently; both state their length
DAMAGE_IS_SKIPPED = ("ogg", "matroska,webm")
# Tags in an old encoding are no reason to stop; from PyAV 19 on they never are.
IS_OLD_PYAV = int(av.__version__.partition(".")[0]) < 19
TAGS: dict[str, Any] = {"metadata_errors": "replace"} if IS_OLD_PYAV else {}

FrameSource = Callable[[], Iterator[av.AudioFrame]]


@dataclass(frozen=True)
class Audio:
    """A clip of sound, decoded again each time it is read: memory stays bounded for any
    length.

    Attributes:
      decode: starts a pass over the clip's original frames.
      path: the file; None for samples.
      sample_rate: original sample rate, in Hz.
      channels: original number of channels.
      duration: seconds, from the count of decoded samples.
      sample_count: number of samples that `stream` yields in all.
    """

    decode: FrameSource
    path: Path | None
    sample_rate: int
    channels: int
    duration: float
    sample_count: int

    @classmethod
    def open(cls, path: str | Path, *, allow_video: bool = False) -> "Audio":
        """Check and measure the sound of a file by decoding all of it once.

        Args:
          path: a wav, mp3, m4a, flac, ogg or other file that PyAV decodes.
          allow_video: accept a video and use its sound; a cover picture does not make a
            video.

        Raises:
          FileNotFoundError: no such file.
          ValueError: not a media file, no sound in it, a video, or corrupt.
        """
        path = Path(path)
        with open_media(path) as container:
            audio_stream(container)
            if video_streams(container) and not allow_video:
                raise ValueError(
                    f"{path} is a video: pass --driving-kind audio (allow_video=True in Python) "
                    "to use its sound, or give a sound file"
                )
            stated = stated_seconds(container)
        audio = cls.measure(partial(decode_audio, path), path)
        if stated - audio.duration > LONGEST_GAP:
            raise ValueError(
                f"{path} is damaged: {audio.duration:.2f} s of {stated:.2f} s can be decoded: use an intact copy"
            )
        return audio

    @classmethod
    def from_samples(
        cls, samples: Num[np.ndarray, "n"] | Num[np.ndarray, "n c"], sample_rate: int
    ) -> "Audio":
        """Wrap samples in memory.

        Args:
          samples: floats in [-1, 1] or signed integers of full scale; one channel, or 1
            to 8 side by side.
          sample_rate: Hz.

        Raises:
          ValueError: samples or rate that make no sound.
        """
        if sample_rate <= 0:
            raise ValueError(f"sample rate must be positive, got {sample_rate} Hz")
        floats = unit_samples(samples)
        return cls.measure(partial(frames_of_samples, floats, sample_rate), None)

    @classmethod
    def measure(cls, decode: FrameSource, path: Path | None) -> "Audio":
        """Count a clip's samples by decoding it: the length that containers state is
        often wrong."""
        seconds = Fraction(0)
        last = None

        def count_seconds() -> Iterator[av.AudioFrame]:
            nonlocal seconds, last
            for last in decode():
                seconds += Fraction(last.samples, last.sample_rate)
                yield last

        sample_count = 0
        for frame in resample(count_seconds(), SAMPLE_RATE):
            sample_count += frame.samples
        if last is None or sample_count == 0:
            raise ValueError(
                f"{path or 'the audio'} lasts {float(seconds):.4f} s: give a clip that is not empty"
            )
        return cls(
            decode,
            path,
            last.sample_rate,
            last.layout.nb_channels,
            float(seconds),
            sample_count,
        )

    def stream(self) -> Iterator[Float32[np.ndarray, "n"]]:
        """Yield the clip from its start as mono at 16 kHz (the mean of its channels), a
        second at a time."""
        for frame in resample(self.decode(), SAMPLE_RATE, frame_size=SAMPLE_RATE):
            yield frame.to_ndarray().reshape(frame.samples, -1).mean(axis=1)

    def frames(self, sample_rate: int, layout: str) -> Iterator[av.AudioFrame]:
        """Yield the clip from its start as packed float32 frames at `sample_rate`,
        mixed to `layout`."""
        return resample(self.decode(), sample_rate, layout)


def resample(
    frames: Iterator[av.AudioFrame],
    sample_rate: int,
    layout: str | None = None,
    frame_size: int = 0,
) -> Iterator[av.AudioFrame]:
    """Resample frames to packed float32.

    Frames may change their format on the way, as in joined recordings.

    Args:
      sample_rate: Hz; n samples at rate r become n * sample_rate / r, rounded up or
        down.
      layout: channels to mix to, scaled so that the mix cannot clip; None leaves them.
      frame_size: samples per frame, except for the last frame of a format; 0 leaves
        frames as they come.
    """
    # a resampler serves frames of one format
    for _, run in groupby(frames, _format_of):
        resampler = av.AudioResampler(
            "flt", layout, sample_rate, frame_size, {"rematrix_maxval": "1"}
        )
        for frame in run:
            yield from resampler.resample(frame)
        yield from resampler.resample(None)


def _format_of(frame: av.AudioFrame) -> tuple[str, str, int]:
    return (frame.format.name, frame.layout.name, frame.sample_rate)


def open_media(path: Path) -> InputContainer:
    """Open a media file for reading.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a folder or a pipe, or no file that PyAV can read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the name")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file: give an audio or video file")
    try:
        # Absolute, so that no name can read as a protocol.
        return av.open(str(path.absolute()), **TAGS)
    except FFmpegError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): give an intact audio or video file"
        ) from error


def audio_stream(container: InputContainer) -> AudioStream:
    """Find the first stream of sound that can be decoded.

    Raises:
      ValueError: there is none.
    """
    for stream in container.streams.audio:
        if stream.codec_context:
            return stream
    raise ValueError(
        f"{container.name} has no audio stream that can be decoded: give a file with sound"
    )


def video_streams(container: InputContainer) -> list[VideoStream]:
    """List the streams of moving pictures that can be decoded.

    Cover pictures of music files are none.
    """
    streams = []
    for stream in container.streams.video:
        is_cover = stream.disposition & Disposition.attached_pic
        if stream.codec_context and not is_cover:
            streams.append(stream)
    return streams


def stated_seconds(container: InputContainer) -> float:
    """Return the length that a sound file states, if decoding must reach it; else 0."""
    if container.format.name not in DAMAGE_IS_SKIPPED or video_streams(container):
        return 0.0
    return (container.duration or 0) / av.time_base


def decode_stream(
    path: Path, pick: Callable[[InputContainer], AudioStream | VideoStream]
) -> Iterator[Any]:
    """Decode one stream of a file in order of presentation.

    Raises:
      ValueError: corrupt or truncated; the message says where.
    """
    position = 0.0
    with open_media(path) as container:
        stream = pick(container)
        try:
            # packets of all streams: a truncation shows in any of them
            for packet in container.demux():
                if packet.is_corrupt and not is_piped_wave(path):
                    raise ValueError(
                        f"{path} is truncated or corrupt after {position:.2f} s: use an intact copy"
                    )
                if packet.stream is not stream:
                    continue
                for frame in stream.decode(packet):
                    position = frame.time or position
                    yield frame
        except FFmpegError as error:
            raise ValueError(
                f"{path} is corrupt after {position:.2f} s ({error.strerror}): use an intact copy"
            ) from error


def decode_audio(path: Path) -> Iterator[av.AudioFrame]:
    """Decode the sound of a file, and stop where a piece of it is missing.

    Pauses in Opus are silence.

    Raises:
      ValueError: corrupt or truncated; some decoders skip corrupt packets, which only
        timestamps show.
    """
    codec = ""

    def pick(container: InputContainer) -> AudioStream:
        nonlocal codec
        stream = audio_stream(container)
        codec = stream.codec_context.name
        return stream

    end = None
    for frame in decode_stream(path, pick):
        start = end if frame.time is None else frame.time
        gap = 0.0 if end is None or start is None else start - end
        if gap > LONGEST_GAP:
            if codec not in PAUSING or gap > LONGEST_PAUSE:
                raise ValueError(
                    f"{path} lacks its sound from {end:.2f} to {start:.2f} s: use an intact copy, "
                    "or re-encode it with silence there"
                )
            yield silence_like(frame, gap)
        end = (start or 0.0) + frame.samples / frame.sample_rate
        yield frame


def silence_like(frame: av.AudioFrame, seconds: float) -> av.AudioFrame:
    """Return a silent frame in the format of another frame."""
    count = round(seconds * frame.sample_rate)
    silent = av.AudioFrame(frame.format.name, frame.layout.name, count)
    silent.sample_rate = frame.sample_rate
    for plane in silent.planes:
        plane.update(bytes(plane.buffer_size))
    return silent


def is_piped_wave(path: Path) -> bool:
    """Return whether a wave file states no length, so that its end looks like a
    truncation."""
    with path.open("rb") as file:
        head = file.read(8)
    size = int.from_bytes(head[4:], "little")
    return head[:4] == b"RIFF" and (size == 0 or size >= UNKNOWN_RIFF_SIZE)


def unit_samples(
    samples: Num[np.ndarray, "n"] | Num[np.ndarray, "n c"],
) -> Float32[np.ndarray, "n c"]:
    """Bring samples to floats in [-1, 1], channels side by side.

    Raises:
      ValueError: a shape, a type or values that are no sound.
    """
    samples = np.asarray(samples)
    columns = samples[:, None] if samples.ndim == 1 else samples
    if columns.ndim != 2 or not 1 <= columns.shape[1] <= MAX_CHANNELS:
        raise ValueError(
            f"samples must be (n,) or (n, channels) with 1 to {MAX_CHANNELS} channels, got {samples.shape}"
        )
    if np.issubdtype(samples.dtype, np.signedinteger):
        full_scale = -float(np.iinfo(samples.dtype).min)
        return (columns / full_scale).astype(np.float32)
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(
            f"samples must be floats in [-1, 1] or signed integers, got {samples.dtype}"
        )
    if not np.isfinite(columns).all():
        raise ValueError("samples must be finite, got NaN or infinity among them")
    return columns.astype(np.float32)


def frames_of_samples(
    samples: Float32[np.ndarray, "n c"], sample_rate: int
) -> Iterator[av.AudioFrame]:
    """Cut samples into frames of a second."""
    layout = f"{samples.shape[1]}c"
    for start in range(0, len(samples), sample_rate):
        block = np.ascontiguousarray(samples[start : start + sample_rate])
        # packed: the channels of a sample lie side by side
        packed = block.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate = sample_rate
        frame.time_base = Fraction(1, sample_rate)
        frame.pts = start
        yield frame
