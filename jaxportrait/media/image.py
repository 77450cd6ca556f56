"""Read pictures from files, whatever they hold, as 8-bit RGB."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError, InvalidDataError
from jaxtyping import Shaped, UInt8

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG\r\n\x1a\n"
SIGNATURES = (JPEG, PNG, b"GIF8", b"BM", b"II*\0", b"MM\0*")

ORIENTATION_TAG = 0x0112


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB, upright, with even sides.

    EXIF rotation is applied, grey becomes RGB, 16 bits become 8, an animation gives its
    first frame. Transparent parts are laid over white, as viewers show them: the colour
    a file keeps under them is arbitrary, often black. An odd last row or column is
    dropped, since H.264 with 4:2:0 colour needs even sides.

    Args:
      path: a JPEG, PNG, WebP, BMP, TIFF, GIF or other file that OpenCV reads; the name
        may hold any character.

    Raises:
      FileNotFoundError: there is no such file.
      IsADirectoryError: it is a folder.
      ValueError: it is empty, no picture, cut short, damaged, or under two pixels a
        side.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        image = _decode(data) if _is_whole(data) else None
    except cv2.error as error:
        raise ValueError(
            f"{path} cannot be decoded ({error.err}): convert it to a smaller PNG or JPEG"
        ) from error
    if image is None:
        raise (
            _damaged(path)
            if data.startswith(SIGNATURES) or _is_webp(data)
            else _no_picture(path)
        )
    return _trim_to_even(image, path)


def reduce(
    image: UInt8[np.ndarray, "h w 3"], max_side: int = 1280
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Shrink a picture so that its longer side is at most `max_side` pixels; smaller
    ones come back as they are.

    Source: LivePortrait reduces sources to 1280 px before it looks for a face; here by
    area, which does not alias.
    """
    height, width = image.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a picture file in it")
    if not path.is_file():
        raise FileNotFoundError(f"there is no picture at {path}: check the name")
    data = path.read_bytes()
    if not data:
        raise ValueError(
            f"{path} is empty (0 bytes): export or download the picture again"
        )
    return data


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{path} is damaged or cut short: export or download the picture again"
    )


def _no_picture(path: Path) -> ValueError:
    return ValueError(
        f"{path} is not a picture that can be read (JPEG, PNG, WebP, BMP, TIFF, GIF): convert it to PNG or JPEG"
    )


def _is_whole(data: bytes) -> bool:
    """Whether nothing of a JPEG or PNG is lost; OpenCV notices it itself in the other
    kinds."""
    if data.startswith(JPEG):
        return _is_whole_jpeg(data)
    return not data.startswith(PNG) or _is_whole_png(data)


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether all of a JPEG's blocks are there: OpenCV fills lost ones with grey,
    FFmpeg can be told to refuse."""
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        decoder.decode(av.Packet(data))
    except InvalidDataError:
        return False
    except FFmpegError:
        return True  # a kind of JPEG that FFmpeg does not know is left to OpenCV
    return True


def _is_whole_png(data: bytes) -> bool:
    """Whether the last chunk is there and the checksums of all that the picture needs
    hold."""
    for kind, body, checksum in _png_chunks(data):
        needed = kind[:1].isupper()
        if needed and zlib.crc32(kind + body) != checksum:
            return False
        if kind == b"IEND":
            return True
    return False


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    position = len(PNG)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        yield kind, data[position + 8 : end], int.from_bytes(data[end : end + 4], "big")
        position = end + 4


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV logs to stderr what it cannot decode; the error raised here says it
    once."""
    level = cv2.utils.logging.setLogLevel(0)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _decode(data: bytes) -> UInt8[np.ndarray, "h w 3"] | None:
    encoded = np.frombuffer(data, np.uint8)
    with _quiet_opencv():
        stored = (
            None
            if data.startswith(JPEG)
            else cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
        )
        if stored is not None and _has_opacity(stored):
            return _upright(_over_white(stored), _orientation(data))
        colours = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return (
        None
        if colours is None
        else cv2.cvtColor(colours, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    )


def _has_opacity(stored: np.ndarray) -> bool:
    return (
        stored.ndim == 3
        and stored.shape[2] == 4
        and stored.dtype in (np.uint8, np.uint16)
    )


def _over_white(stored: Shaped[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Blue, green, red and opacity of 8 or 16 bits as opaque RGB of 8 bits."""
    full = np.iinfo(stored.dtype).max
    colours, opacity = (
        stored[..., 2::-1] * np.float32(255 / full),
        stored[..., 3:] / np.float32(full),
    )
    return np.rint(255 + (colours - 255) * opacity).astype(np.uint8)


def _upright(
    image: UInt8[np.ndarray, "h w 3"], orientation: int
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Apply an EXIF orientation (1 to 8), as OpenCV does where it drops the opacity."""
    if orientation > 4:
        image = image.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return image[rows, columns]


def _exif(data: bytes) -> bytes:
    if data.startswith(PNG):
        return next(
            (body for kind, body, _ in _png_chunks(data) if kind == b"eXIf"), b""
        )
    if _is_webp(data):
        return next((body for kind, body in _webp_chunks(data) if kind == b"EXIF"), b"")
    return b""


def _orientation(data: bytes) -> int:
    """The EXIF orientation of a PNG or WebP file, 1 (upright) where it has none."""
    exif = _exif(data).removeprefix(b"Exif\0\0")
    order = "<" if exif.startswith(b"II") else ">"
    if len(exif) < 8:
        return 1
    (first,) = struct.unpack_from(order + "I", exif, 4)
    for position in range(first + 2, len(exif) - 11, 12):
        tag, value = struct.unpack_from(order + "H6xH", exif, position)
        if tag == ORIENTATION_TAG:
            return value
    return 1


def _trim_to_even(
    image: UInt8[np.ndarray, "h w 3"], path: Path
) -> UInt8[np.ndarray, "_ _ 3"]:
    height, width = image.shape[:2]
    if min(height, width) < 2:
        raise ValueError(
            f"{path} has {width}x{height} pixels: a picture needs at least 2 a side"
        )
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])
