"""Read a picture from a file or from bytes, as 8-bit sRGB."""

import struct
import zlib

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxportrait.media.image.color import scale_transparent_color, to_srgb_over_white
from jaxportrait.media.image.formats import (
    HEAD,
    UnreadableKindError,
    format_of,
    open_picture,
)
from jaxportrait.media.image.quiet import quiet_pillow
from jaxportrait.media.image.upright import load_upright
from jaxportrait.media.image.whole import check_whole, without_remarks
from jaxportrait.media.memory import FileSource, as_file, size_of

MAX_BYTES = 2**32
"""Bytes of the largest file that is read; TIFF and BMP count to no more."""
MAX_PIXELS = 2**30
"""Pixels of the largest picture that is decoded, 3 GB; also OpenCV's limit."""
MOVING_FORMATS = ("PNG", "WEBP", "GIF", "AVIF")
"""Formats whose files may hold moving pictures."""
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""Errors that Pillow's readers raise for a damaged file."""


class TooLargeError(ValueError):
    """A picture with more pixels than `MAX_PIXELS`."""


def read_image(
    path: FileSource, max_side: int | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture file; see `decode_image`.

    Args:
      path: a file in one of `FORMATS`, whose name may hold any character; or its
        content, or a file object.
      max_side: longest side in pixels to which a larger picture is reduced; None
        leaves the size.

    Raises:
      FileNotFoundError: there is no such file.
      IsADirectoryError: it is a folder.
      ValueError: it is empty, no picture, cut short, damaged, too large, or under two
        pixels a side.
    """
    file = as_file(path, "the picture")
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder: name a picture file in it")
    if not file.is_file():
        raise FileNotFoundError(f"there is no picture at {file}: check the name")
    if size_of(file) > MAX_BYTES:
        raise ValueError(_too_large(str(file)))
    try:
        data = file.read_bytes()
    except MemoryError as error:
        raise ValueError(_too_large(str(file))) from error
    return decode_image(data, str(file), max_side)


def holds_picture(path: FileSource) -> bool:
    """Return whether the content of a file is one picture, of a kind that is read or
    only recognised; moving pictures are none."""
    file = as_file(path, "the picture")
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    try:
        name = format_of(head)
    except UnreadableKindError as error:
        # `read_image` says of which kind it is.
        return bool(str(error))
    if name not in MOVING_FORMATS:
        return True
    try:
        with quiet_pillow():
            picture = open_picture(name, file.read_bytes())
    except DAMAGE:
        return True
    return getattr(picture, "n_frames", 1) == 1


def decode_image(
    data: bytes, name: str = "the picture", max_side: int | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the content of a picture file as sRGB, upright, over white, with even
    sides.

    Grey and print colours become RGB, 16 bits become 8, and an animation gives its
    first frame. An odd last row or column is dropped, since H.264 with 4:2:0 colour
    needs even sides.

    Args:
      data: the content of a file in one of `FORMATS`.
      name: the file's name, for errors.
      max_side: longest side in pixels to which a larger picture is reduced; None
        leaves the size.

    Raises:
      ValueError: it is empty, no picture, cut short, damaged, too large, or under two
        pixels a side.
    """
    if not data:
        raise ValueError(
            f"{name} is empty (0 bytes): export or download the picture again"
        )
    try:
        with quiet_pillow():
            image = _decode(data)
    except UnreadableKindError as error:
        raise ValueError(_unreadable(name, str(error))) from error
    # Pillow has a limit of its own for some formats
    except (TooLargeError, MemoryError, Image.DecompressionBombError) as error:
        raise ValueError(_too_large(name)) from error
    except DAMAGE as error:
        raise ValueError(
            f"{name} is damaged or cut short: export or download the picture again"
        ) from error
    if max_side is not None:
        image = reduce(image, max_side)
    return trim_to_even(image, name)


def reduce(
    image: UInt8[np.ndarray, "h w 3"], max_side: int = 1280
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Shrink a picture so that its longer side is at most `max_side` pixels.

    Smaller pictures are returned unchanged.

    Source: LivePortrait reduces sources to 1280 px before it looks for a face; here by
    area, which does not alias.
    """
    height, width = image.shape[:2]
    factor = max_side / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return reduced.astype(np.uint8, copy=False)


def _decode(data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a whole picture.

    Raises:
      UnreadableKindError, TooLargeError, MemoryError: it is not read.
      one of `DAMAGE`: a part of it is lost or wrong.
    """
    name = format_of(data[:HEAD])
    if name == "PNG":
        data = without_remarks(data)
    # The header tells the size before any pixel is decoded.
    width, height = open_picture(name, data).size
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width}x{height} pixels")
    data = check_whole(name, data)
    picture = open_picture(name, data)
    if name == "PNG":
        scale_transparent_color(picture, data)
    return to_srgb_over_white(load_upright(picture))


def _unreadable(name: str, kind: str) -> str:
    """Return the message for a file that is no picture, or one of another kind."""
    remark = f"it is {kind}" if kind else "JPEG, PNG, WebP, AVIF, BMP, TIFF, GIF"
    return f"{name} is not a picture that can be read ({remark}): convert it to PNG or JPEG"


def _too_large(name: str) -> str:
    return f"{name} cannot be decoded (it is too large): convert it to a smaller PNG or JPEG"


def trim_to_even(
    image: UInt8[np.ndarray, "h w 3"], name: str = "the picture"
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Drop an odd last row or column.

    Raises:
      ValueError: the picture has under two pixels a side.
    """
    height, width = image.shape[:2]
    if min(height, width) < 2:
        raise ValueError(
            f"{name} has {width}x{height} pixels: a picture needs at least 2 a side"
        )
    even = image[: height // 2 * 2, : width // 2 * 2]
    return np.ascontiguousarray(even)
