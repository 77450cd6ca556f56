"""A clip of sound: a file or samples in memory, as a stream of mono at 16 kHz."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import av
import numpy as np
from jaxtyping import Float32, Num

from jaxportrait.media.audio.clock import Gap
from jaxportrait.media.audio.frames import (
    columns_of,
    cut_frame,
    frames_of_samples,
    resample,
    silence_like,
)
from jaxportrait.media.audio.meter import Meter
from jaxportrait.media.audio.read import decode_audio, sound_tracks, stated_end
from jaxportrait.media.audio.samples import check_sample_rate, unit_samples
from jaxportrait.media.demux import open_media, video_streams
from jaxportrait.media.memory import FileSource, MediaFile, as_file

SAMPLE_RATE = 16_000
MOST_MISSING = 1 / 30
"""Seconds, a motion frame, by which sound may end before its container states."""
ROUNDING = 1e-3
"""Seconds to which times in containers are rounded."""

FrameSource = Callable[[], Iterator[av.AudioFrame]]


@dataclass(frozen=True)
class Audio:
    """A clip of sound, decoded again each time it is read: memory stays bounded for any
    length.

    Attributes:
      decode: starts a pass over the clip's original frames.
      path: the file, by its path or in memory; None for samples.
      sample_rate: original sample rate, in Hz.
      channels: original number of channels.
      duration: seconds, from the count of decoded samples.
      sample_count: number of samples that `stream` yields in all.
      start: seconds on the file's clock at which the clip starts.
      channel: the channel that `stream` yields; None for the mean of all.
      gaps: stretches of the file without sound, which are silence here.
      is_silent: True if nothing is louder than a thousandth of full scale.
    """

    decode: FrameSource
    path: MediaFile | None
    sample_rate: int
    channels: int
    duration: float
    sample_count: int
    start: float = 0.0
    channel: int | None = None
    gaps: tuple[Gap, ...] = ()
    is_silent: bool = False

    @classmethod
    def open(cls, path: FileSource, *, allow_video: bool = False) -> "Audio":
        """Check and measure the sound of a file by decoding all of it once.

        Of several tracks, the first that is not silent is used.

        Args:
          path: a wav, mp3, m4a, flac, ogg or other file that PyAV decodes; or its
            content, or a file object, which is kept in memory.
          allow_video: accept a video and use its sound; a cover picture does not make a
            video.

        Raises:
          FileNotFoundError: no such file.
          ValueError: not a media file, no sound in it, a video, corrupt, or with
            samples that are not finite or far beyond full scale.
        """
        file = as_file(path, "the sound")
        with open_media(file) as container:
            tracks = sound_tracks(container)
            if video_streams(container) and not allow_video:
                raise ValueError(
                    f"{file} is a video: pass allow_video=True to use its sound, or pass a sound file"
                )
            stated = stated_end(container)
        first = cls.open_track(file, 0)
        audio = first
        for track in range(1, len(tracks)):
            if not audio.is_silent:
                break
            audio = cls.open_track(file, track)
        if audio.is_silent:
            audio = first
        end = audio.start + audio.duration
        if stated - end > MOST_MISSING:
            raise ValueError(
                f"{file} is damaged: it can be decoded to {end:.2f} s of {stated:.2f} s: use an intact copy"
            )
        return audio

    @classmethod
    def open_track(cls, path: MediaFile, track: int) -> "Audio":
        """Measure one track of a file.

        Raises:
          ValueError: corrupt, or samples that are no sound.
        """
        gaps: list[Gap] = []
        audio = cls.measure(partial(decode_audio, path, track, gaps.append), path)
        # later passes need not list the gaps again
        decode = partial(decode_audio, path, track)
        return replace(audio, decode=decode, gaps=tuple(gaps))

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
        check_sample_rate(sample_rate, "the audio")
        floats = unit_samples(samples)
        return cls.measure(partial(frames_of_samples, floats, sample_rate), None)

    @classmethod
    def measure(cls, decode: FrameSource, path: MediaFile | None) -> "Audio":
        """Check and count a clip's samples by decoding it: the length that containers
        state is often wrong."""
        name = str(path or "the audio")
        meter = Meter(name)
        frames = resample(meter.watch(decode()), SAMPLE_RATE, frame_size=SAMPLE_RATE)
        for frame in frames:
            meter.add(frame)
        seconds = float(meter.seconds)
        if meter.last is None or meter.count == 0:
            raise ValueError(
                f"{name} lasts {seconds:.4f} s: pass a clip that is not empty"
            )
        return cls(
            decode,
            path,
            meter.last.sample_rate,
            meter.last.layout.nb_channels,
            seconds,
            meter.count,
            meter.start,
            meter.channel,
            is_silent=meter.is_silent,
        )

    def __repr__(self) -> str:
        name = "samples" if self.path is None else str(self.path)
        channels = f"{self.channels} channel{'s' * (self.channels > 1)}"
        return (
            f"Audio({name}: {self.duration:.2f} s, {self.sample_rate} Hz, {channels})"
        )

    @property
    def flaw(self) -> str:
        """Sound that is missing, in words for a warning; empty if none is."""
        if not self.gaps:
            return ""
        seconds = sum(gap.seconds for gap in self.gaps)
        start = self.gaps[0].start
        return f"{seconds:.2f} s of the sound are missing, from {start:.2f} s on: silence replaces them"

    def since(self, start: float) -> "Audio | None":
        """Return the sound from a time on the file's clock on, with silence before its
        own start; None where it has ended.

        A video and its sound may start at different times.
        """
        lead = self.start - start
        if abs(lead) < ROUNDING:
            return self
        if -lead >= self.duration:
            return None
        decode = partial(_shift, self.decode, lead)
        shifted = Audio.measure(decode, self.path)
        return replace(shifted, start=start, channel=self.channel, gaps=self.gaps)

    def stream(self) -> Iterator[Float32[np.ndarray, "n"]]:
        """Yield the clip from its start as mono at 16 kHz, a second at a time."""
        for frame in resample(self.decode(), SAMPLE_RATE, frame_size=SAMPLE_RATE):
            yield self._mix(columns_of(frame))

    def _mix(self, columns: Float32[np.ndarray, "n c"]) -> Float32[np.ndarray, "n"]:
        # a recording may have fewer channels for a while
        if self.channel is None or self.channel >= columns.shape[1]:
            return columns.mean(axis=1)
        return columns[:, self.channel]

    def frames(self, sample_rate: int, layout: str) -> Iterator[av.AudioFrame]:
        """Yield the clip from its start as packed float32 frames at `sample_rate`,
        mixed to `layout`."""
        return resample(self.decode(), sample_rate, layout)


def _shift(decode: FrameSource, lead: float) -> Iterator[av.AudioFrame]:
    """Yield frames after `lead` seconds of silence, or without their first -`lead`
    seconds."""
    frames = decode()
    first = next(frames)
    # In samples, by the rate of the first frame.
    skipped = max(0, round(-lead * first.sample_rate))
    if lead > 0:
        yield silence_like(first, lead)
    for frame in chain([first], frames):
        rest = cut_frame(frame, skipped, frame.samples)
        skipped = max(0, skipped - frame.samples)
        if rest is not None:
            yield rest
