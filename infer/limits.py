"""Limits of files from users, checked by their headers before anything is decoded."""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

from jaxportrait.media.demux import TAGS, in_seconds, video_streams
from jaxportrait.media.image import holds_picture
from jaxportrait.media.image.formats import HEAD, format_of, open_picture
from jaxportrait.media.image.quiet import quiet_pillow
from jaxportrait.media.image.read import DAMAGE
from jaxportrait.motion.file import is_motion_file, load_motion
from jaxportrait.motion.template import is_template, read_template
from jaxportrait.ranges import Count, Positive, check_ranges

Kind = Literal["picture", "sound", "video", "motion"]

MIB = 2**20
MOST_FPS = 120
"""Frames a second of the fastest video that is accepted."""
DEMUXERS = (
    "aac", "ac3", "aiff", "amr", "asf", "au", "avi", "caf", "flac", "flv",
    "matroska", "webm", "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "mp3", "mpeg",
    "mpegts", "ogg", "wav", "w64", "wv",
)  # fmt: skip
"""FFmpeg's names of formats that hold their content themselves. Others, such as
playlists, name files and addresses, which FFmpeg would open."""
WHITELISTS = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "file"}

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a disk, a quota and a limit of files that have no room."""
NO_ROOM = (
    "the server's disk has no room for the file: try again later, or use a smaller one"
)
NO_ROOM_STATUS = 507
"""Status of HTTP: Insufficient Storage."""


class UploadError(ValueError):
    """A file from a user that is not accepted, with the reason and the remedy."""


class TooLargeError(UploadError):
    """A file that exceeds a limit."""


@dataclass(frozen=True)
class UploadLimits:
    """Limits of one file from a user.

    Attributes:
      megabytes: size of the file, in units of 2^20 bytes.
      seconds: duration of sound, video and motion.
      pixels: pixels of a picture, and of each frame of a video.
    """

    megabytes: Positive = 100.0
    seconds: Positive = 300.0
    pixels: Count = 4096 * 4096

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def bytes(self) -> int:
        return round(self.megabytes * MIB)

    def check_bytes(self, count: int) -> None:
        """Raise a TooLargeError for a file of so many bytes."""
        if count > self.bytes:
            raise TooLargeError(
                f"the file has more than {self.megabytes:g} MiB, which is the limit: use a smaller one"
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raise a TooLargeError for a picture of this size."""
        if width * height > self.pixels:
            megapixels = self.pixels / 1e6
            raise TooLargeError(
                f"the picture has {width}x{height} pixels, and the limit is {megapixels:.1f} million: "
                "use a smaller one"
            )

    def check_seconds(self, seconds: float) -> None:
        """Raise a TooLargeError for something that lasts so long."""
        if seconds > self.seconds:
            raise TooLargeError(
                f"the file lasts {seconds:.1f} s, and the limit is {self.seconds:g} s: cut it"
            )


def is_full(error: BaseException | None) -> bool:
    """Return whether a file could not be stored since there was no room."""
    return isinstance(error, OSError) and error.errno in FULL


def probe(path: Path, limits: UploadLimits) -> Kind:
    """Check a file against the limits without decoding it, and return its kind.

    The content tells the kind, never the name.

    Raises:
      UploadError: it cannot be read, or exceeds a limit.
    """
    limits.check_bytes(path.stat().st_size)
    # Files of motion first: FFmpeg would try to play them.
    if is_motion_file(path) or is_template(path):
        _check_motion(path, limits)
        return "motion"
    if holds_picture(path):
        _check_picture(path, limits)
        return "picture"
    return _check_media(path, limits)


def _check_motion(path: Path, limits: UploadLimits) -> None:
    read = load_motion if is_motion_file(path) else read_template
    try:
        clip = read(path)
    except ValueError as error:
        raise UploadError(
            "the file holds no motion that can be read: use one of LivePortrait or of this program"
        ) from error
    limits.check_seconds(len(clip) / clip.fps)


def _check_picture(path: Path, limits: UploadLimits) -> None:
    """Check the size that the header of a picture states."""
    data = path.read_bytes()
    try:
        with quiet_pillow():
            width, height = open_picture(format_of(data[:HEAD]), data).size
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise UploadError(
            "the file is no picture that can be read: use an intact JPEG, PNG or WebP"
        ) from error
    limits.check_pixels(width, height)


def _check_media(path: Path, limits: UploadLimits) -> Kind:
    """Check size and duration of a sound or a video, packet by packet."""
    options = {"max_pixels": str(limits.pixels), **WHITELISTS}
    try:
        with av.open(str(path), options=options, **TAGS) as file:
            films = video_streams(file)
            _check_streams(file, films, limits)
    except UploadError:
        raise
    except (FFmpegError, ValueError) as error:
        # PyAV's own errors state no reason of FFmpeg's.
        reason = getattr(error, "strerror", error)
        raise UploadError(
            f"the file cannot be read as picture, sound or video ({reason}): use an intact one, "
            "such as PNG, WAV, MP3, M4A, MP4 or WebM"
        ) from error
    return "video" if films else "sound"


def _check_streams(
    file: InputContainer, films: list[VideoStream], limits: UploadLimits
) -> None:
    if not (films or file.streams.audio):
        raise UploadError("the file holds neither sound nor pictures: use another one")
    # The codec's parameters state a frame's size before one is decoded.
    for stream in films:
        limits.check_pixels(stream.codec_context.width, stream.codec_context.height)
    limits.check_seconds((file.duration or 0) / av.time_base)
    # A header may state less than follows it.
    seconds = dict.fromkeys(range(len(file.streams)), 0.0)
    for packet in file.demux():
        index = packet.stream.index
        seconds[index] += packet_seconds(packet)
        limits.check_seconds(seconds[index])


def packet_seconds(packet: Packet) -> float:
    """Return the duration of a packet, for a picture no less than `1 / MOST_FPS`."""
    base = packet.time_base
    seconds = in_seconds(packet.duration or 0, base) if base else 0.0
    if packet.stream.type != "video" or not packet.size:
        return seconds
    # Pictures that claim to last no time would be decoded without end.
    return max(seconds, 1 / MOST_FPS)
