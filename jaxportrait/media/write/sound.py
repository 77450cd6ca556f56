"""The sound of a video, encoded as far as its frames have come."""

from fractions import Fraction
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from jaxportrait.media.audio import Audio

SPARE_SOUND_RATE = 48_000  # Hz, where a codec does not support the clip's rate
SOUND_BIT_RATE = 96_000  # bits per second and channel


class Soundtrack:
    """The sound of a video, decoded and encoded only as far as its frames have come."""

    def __init__(self, container: OutputContainer, audio: Audio, codec: str):
        rates = av.Codec(codec, "w").audio_rates or ()
        is_supported = audio.sample_rate in rates
        self.rate = audio.sample_rate if is_supported else SPARE_SOUND_RATE
        channels = min(audio.channels, 2)
        layout = "mono" if channels == 1 else "stereo"
        stream = container.add_stream(
            codec, rate=self.rate, layout=layout, bit_rate=SOUND_BIT_RATE * channels
        )
        self.stream = cast(AudioStream, stream)
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

    def flush(self) -> list[Packet]:
        """Encode what the encoder has kept back."""
        return self.stream.encode(None)
