"""Packets of raw mp3 and AAC, which bytes between frames may precede: tags, the head of
a recording that was appended, junk.

Such files have no clock: FFmpeg counts packets.
"""

from collections.abc import Callable
from dataclasses import dataclass

TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""Starts of what programs store between frames."""

MPEG1_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_BITRATES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Kilobits a second of layer III, by index from 1."""
MPEG1_SAMPLE_RATES = (44_100, 48_000, 32_000)
DECODER_DELAY = 529
"""Samples; an encoder states its own delay without it."""
ALL_FIELDS = 0b1111
"""Flags of an Info frame that has frames, bytes, seek table and quality."""
DELAY_FIELD = 141
"""Bytes from the name of an Info frame to its delay, if it has all fields."""


@dataclass(frozen=True)
class Piece:
    """A packet of a raw stream.

    Attributes:
      junk: bytes before the frame.
      frame: the frame, or all bytes where none ends the packet.
    """

    junk: bytes
    frame: bytes

    @property
    def may_hide_sound(self) -> bool:
        """True if the junk is no tag and has room for a frame."""
        if not self.junk or self.junk.startswith(TAGS):
            return False
        return len(self.junk) >= len(self.frame)


def split_packet(data: bytes, codec: str) -> Piece:
    """Divide a packet of mp3 or AAC into junk and the frame at its end."""
    frame_size = FRAME_SIZES[codec]
    start = data.find(b"\xff")
    while start >= 0:
        size = frame_size(data[start : start + 6])
        if size == len(data) - start:
            return Piece(data[:start], data[start:])
        start = data.find(b"\xff", start + 1)
    return Piece(b"", data)


def adts_frame_size(head: bytes) -> int:
    """Return the size of the AAC frame that starts so; 0 if none does."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    # thirteen bits across three bytes
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5


def mp3_frame_size(head: bytes) -> int:
    """Return the size of the layer III frame that starts so; 0 if none does."""
    # eleven bits of synchronisation, then two each of version and layer
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version = head[1] >> 3 & 3
    bitrate_index = head[2] >> 4
    rate_index = head[2] >> 2 & 3
    if version == 1 or bitrate_index in (0, 15) or rate_index == 3:
        return 0
    is_mpeg1 = version == 3
    bitrates = MPEG1_BITRATES if is_mpeg1 else MPEG2_BITRATES
    # MPEG 2 halves the rates, MPEG 2.5 quarters them
    divisor = {3: 1, 2: 2, 0: 4}[version]
    sample_rate = MPEG1_SAMPLE_RATES[rate_index] // divisor
    samples = 1152 if is_mpeg1 else 576
    padding = head[2] >> 1 & 1
    bits_a_second = 1000 * bitrates[bitrate_index - 1]
    return samples * bits_a_second // (8 * sample_rate) + padding


FRAME_SIZES: dict[str, Callable[[bytes], int]] = {
    "aac": adts_frame_size,
    "mp3": mp3_frame_size,
}
"""Container format -> size of the frame that starts with six bytes."""


def start_delay(frame: bytes) -> int | None:
    """Return the samples to drop after an mp3 frame that describes a recording; None
    for a frame of sound.

    FFmpeg reads the first of a file itself. Another one starts a recording that was
    appended.

    Source: the Info tag of LAME.
    """
    if not frame or mp3_frame_size(frame) != len(frame):
        return None
    is_mpeg1 = frame[1] & 8
    is_mono = frame[3] >> 6 == 3
    side_information = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    tag = frame[4 + side_information :]
    if not tag.startswith((b"Info", b"Xing")):
        return None
    if len(tag) < DELAY_FIELD + 2 or tag[7] & ALL_FIELDS != ALL_FIELDS:
        return 0
    # twelve bits
    delay = tag[DELAY_FIELD] << 4 | tag[DELAY_FIELD + 1] >> 4
    return delay + DECODER_DELAY
