"""Check that no part of a picture is lost, and remove what is not part of it.

Pillow reads some damaged files without an error, and refuses some files whose picture
is whole.
"""

import zlib

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError

from jaxportrait.media.image.formats import open_picture

PNG_HEAD = 8
"""Bytes of a PNG file before its first chunk."""
PNG_EXTRAS = (b"tRNS", b"eXIf", b"iCCP")
"""Optional chunks of a PNG file that change its picture: transparency, orientation,
colours."""
LARGEST_PROFILE = 2**20
"""Bytes of the largest colour profile of a PNG; Pillow refuses to unpack more."""
JPEG_SCAN = b"\xff\xda"
"""Marker of the start of a JPEG's compressed pixels."""
JPEG_END = b"\xff\xd9"
"""Last marker of a JPEG."""
PADDINGS = (b"", b"\x55" * 4096, b"\xb2" * 4096)
"""Bytes that decoders would read as blocks if some were missing at the end."""


def without_remarks(data: bytes) -> bytes:
    """Return a PNG file without chunks that its picture does not need, such as text.

    Pillow refuses a file whose text is damaged or long.
    """
    pieces = [data[:PNG_HEAD]]
    position = PNG_HEAD
    while position < len(data):
        # A chunk is its length, its kind, its content and a checksum.
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        chunk = data[position:end]
        if _is_needed(chunk):
            pieces.append(chunk)
        position = end
    return b"".join(pieces)


def _is_needed(chunk: bytes) -> bool:
    """Return whether a chunk of a PNG file changes the picture, and can be read."""
    kind = chunk[4:8]
    # Chunks that every reader needs have a capital letter.
    if kind[:1].isupper() or kind == b"tRNS":
        return True
    return kind in PNG_EXTRAS and _is_intact(chunk)


def _is_intact(chunk: bytes) -> bool:
    """Return whether the checksum of an optional chunk is right; a colour profile must
    also unpack."""
    kind = chunk[4:8]
    checksum = int.from_bytes(chunk[-4:], "big")
    if zlib.crc32(chunk[4:-4]) != checksum:
        return False
    return kind != b"iCCP" or _unpacks(chunk[8:-4])


def _unpacks(profile: bytes) -> bool:
    """Return whether Pillow can unpack the content of an iCCP chunk."""
    # A name, zero, the method of compression (zero), and the packed profile.
    _, _, packed = profile.partition(b"\0")
    try:
        unpacked = zlib.decompressobj().decompress(packed[1:], LARGEST_PROFILE + 1)
    except zlib.error:
        return False
    return packed[:1] == b"\0" and len(unpacked) <= LARGEST_PROFILE


def check_whole(name: str, data: bytes) -> bytes:
    """Return a picture's file as Pillow can read it.

    A JPEG's missing last marker is added. Pillow notices a lost part of other formats
    than JPEG and PNG when it decodes them.

    Raises:
      OSError, SyntaxError: a part of the picture is lost.
    """
    if name == "PNG":
        # compares the checksum of every chunk
        open_picture(name, data).verify()
    elif name == "JPEG":
        _check_jpeg_blocks(data)
        data = _with_last_marker(data)
    return data


def _check_jpeg_blocks(data: bytes) -> None:
    """Raise an OSError if blocks of a JPEG are lost.

    Pillow fills them with grey; FFmpeg can be told to refuse them.
    """
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        decoder.decode(av.Packet(data))
    except InvalidDataError as error:
        raise OSError("blocks of the JPEG are lost") from error
    except FFmpegError:
        return  # a kind of JPEG that FFmpeg does not know is left to Pillow


def _with_last_marker(data: bytes) -> bytes:
    """Return a JPEG file with its last marker, which some writers forget.

    Bytes behind a whole scan change nothing. Behind a scan that is cut they are read as
    its missing blocks.

    Raises:
      OSError: more than the marker is missing.
    """
    # In front of the last scan there may be a thumbnail with a marker of its own.
    scan = data.rfind(JPEG_SCAN)
    if data.find(JPEG_END, scan) >= 0:
        return data
    # half of the marker
    data = data.rstrip(b"\xff")
    pictures = [_decode_jpeg(data + padding + JPEG_END) for padding in PADDINGS]
    if not all(np.array_equal(pictures[0], picture) for picture in pictures[1:]):
        raise OSError("the last blocks of the JPEG are lost")
    return data + JPEG_END


def _decode_jpeg(data: bytes) -> np.ndarray:
    return np.asarray(open_picture("JPEG", data))
