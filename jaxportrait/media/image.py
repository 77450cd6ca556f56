"""Read pictures of any kind from files, as 8-bit RGB."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError, InvalidDataError
from jaxtyping import UInt8
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "BMP",
    "TIFF",
    "GIF",
    "PPM",
    "JPEG2000",
    "AVIF",
    "SUN",
)
"""Pillow's names of the formats that are read: pictures, no documents or programs."""
HEAD = 16
"""Bytes by which Pillow recognises a format."""
MAX_PIXELS = 2**30
"""Pixels of the largest picture that is decoded, 3 GB; also OpenCV's limit."""
PNG_HEAD = 8
"""Bytes of a PNG file before its first chunk."""
PNG_EXTRAS = (b"tRNS", b"eXIf")
"""Optional chunks of a PNG file that change its picture: transparency, orientation."""
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
    Image.DecompressionBombError,
)
"""Errors that Pillow's readers raise for a damaged file."""


def read_image(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture as RGB, upright, with even sides.

    EXIF rotation is applied, grey becomes RGB, 16 bits become 8, and an animation gives
    its first frame. Transparent parts are laid over white, as viewers show them: the
    colour a file keeps under them is arbitrary, often black. An odd last row or column
    is dropped, since H.264 with 4:2:0 colour needs even sides.

    Args:
      path: a file in one of `FORMATS`; its name may hold any character.

    Raises:
      FileNotFoundError: there is no such file.
      IsADirectoryError: it is a folder.
      ValueError: it is empty, no picture, cut short, damaged, too large, or under two
        pixels a side.
    """
    path = Path(path)
    data = _read_bytes(path)
    name = _format_of(data)
    if name is None:
        raise ValueError(
            f"{path} is not a picture that can be read (JPEG, PNG, WebP, BMP, TIFF, GIF): convert it to PNG or JPEG"
        )
    try:
        with _quiet_pillow():
            image = _read(name, data)
    except DAMAGE as error:
        raise ValueError(
            f"{path} is damaged or cut short: export or download the picture again"
        ) from error
    except MemoryError:
        image = None
    if image is None:
        raise ValueError(
            f"{path} cannot be decoded (it is too large): convert it to a smaller PNG or JPEG"
        )
    return _trim_to_even(image, path)


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


def _format_of(data: bytes) -> str | None:
    """Return Pillow's name of a file's format; None if it is in none of `FORMATS`."""
    # Pillow registers its formats lazily.
    Image.init()
    for name in FORMATS:
        # a build of Pillow may lack a format
        _, accept = Image.OPEN.get(name, (None, None))
        if accept is not None and accept(data[:HEAD]):
            return name
    return None


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Keep Pillow from printing about damage; the error raised here says it once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\b")
        yield


def _read(name: str, data: bytes) -> UInt8[np.ndarray, "h w 3"] | None:
    """Decode a whole picture; None if it is too large.

    Raises:
      one of `DAMAGE`: a part of it is lost or wrong.
    """
    if name == "PNG":
        data = _without_remarks(data)
    # The header tells the size before any pixel is decoded.
    picture = _open(name, data)
    width, height = picture.size
    if width * height > MAX_PIXELS:
        return None
    _check_whole(name, data)
    return _decode(picture)


def _open(name: str, data: bytes) -> ImageFile:
    """Read the header of a picture.

    `Image.open` refuses photographs of 200 megapixels, so its reader is called here.
    """
    reader, _ = Image.OPEN[name]
    return reader(BytesIO(data), "")


def _without_remarks(data: bytes) -> bytes:
    """Return a PNG file without chunks that its picture does not need, such as text.

    Pillow refuses a file whose text is damaged or long.
    """
    pieces = [data[:PNG_HEAD]]
    position = PNG_HEAD
    while position < len(data):
        # A chunk is its length, its kind, its content and a checksum.
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        # Chunks that every reader needs have a capital letter.
        if kind[:1].isupper() or kind in PNG_EXTRAS:
            pieces.append(data[position:end])
        position = end
    return b"".join(pieces)


def _check_whole(name: str, data: bytes) -> None:
    """Raise one of `DAMAGE` if a part of a JPEG or PNG is lost.

    Pillow notices it in the other formats when it decodes them.
    """
    if name == "JPEG":
        _check_jpeg_blocks(data)
    elif name == "PNG":
        # compares the checksum of every chunk
        _open(name, data).verify()


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


def _decode(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the first frame, upright, over white."""
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):
        upright = _to_eight_bits(upright)
    if upright.has_transparency_data:
        return _over_white(np.asarray(upright.convert("RGBA")))
    # Palettes, grey and CMYK.
    return np.asarray(upright.convert("RGB"))


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Scale grey of 16 bits, which Pillow would clip to 255."""
    # Modes of Pillow for 16 bits differ in sign and order of bytes.
    values = np.asarray(picture).astype(np.int64) // 256
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _over_white(picture: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    """Lay colours (RGB) with opacity over white."""
    colors = picture[..., :3].astype(np.float32)
    opacity = picture[..., 3:] / np.float32(255)
    return np.rint(255 + (colors - 255) * opacity).astype(np.uint8)


def _trim_to_even(
    image: UInt8[np.ndarray, "h w 3"], path: Path
) -> UInt8[np.ndarray, "_ _ 3"]:
    height, width = image.shape[:2]
    if min(height, width) < 2:
        raise ValueError(
            f"{path} has {width}x{height} pixels: a picture needs at least 2 a side"
        )
    even = image[: height // 2 * 2, : width // 2 * 2]
    return np.ascontiguousarray(even)
