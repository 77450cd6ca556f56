"""Formats of pictures: those that are read, and those that are recognised only."""

from io import BytesIO

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT, ImageFileDirectory_v2

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
HEAD = 64
"""Bytes by which a format is recognised."""
OTHER_FORMATS = {
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"v/1\x01": "OpenEXR",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"<svg": "SVG",
}
"""First bytes of formats that are not read, with their names."""
HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"msf1")
"""Brands of HEIF files, whose pictures are HEVC unless another brand is AVIF's."""
UNKNOWN_PIXELS = "unknown pixel mode"
"""Message of Pillow for a TIFF whose kind of pixels it does not know."""
SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point"}
"""Values of a TIFF's tag SampleFormat."""


class UnreadableKindError(ValueError):
    """An intact picture of a kind that is not read; the message says which."""


def format_of(head: bytes) -> str:
    """Return Pillow's name of a file's format.

    Args:
      head: the first `HEAD` bytes of the file.

    Raises:
      UnreadableKindError: it is in none of `FORMATS`.
    """
    if _is_heif(head):
        raise UnreadableKindError("HEIC")
    # Pillow registers its formats lazily.
    Image.init()
    for name in FORMATS:
        # a build of Pillow may lack a format
        _, accept = Image.OPEN.get(name, (None, None))
        # an accept function may return text, which says what the build lacks
        if accept is not None and accept(head) is True:
            return name
    for start, name in OTHER_FORMATS.items():
        if head.startswith(start):
            raise UnreadableKindError(name)
    raise UnreadableKindError("")


def _is_heif(head: bytes) -> bool:
    """Return whether a file is HEIF without AVIF in it, as telephones make it."""
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS:
        return False
    # The box lists all brands that the file fits.
    length = int.from_bytes(head[:4], "big")
    return b"avif" not in head[8:length]


def open_picture(name: str, data: bytes) -> ImageFile:
    """Read the header of a picture.

    `Image.open` refuses photographs of 200 megapixels, so its reader is called here.

    Args:
      name: Pillow's name of the format.
      data: the whole file.

    Raises:
      UnreadableKindError: it is a TIFF with pixels of a kind that Pillow does not read.
    """
    reader, _ = Image.OPEN[name]
    try:
        return reader(BytesIO(data), "")
    except SyntaxError as error:
        if UNKNOWN_PIXELS not in str(error):
            raise
        raise UnreadableKindError(_describe_tiff(data)) from error


def _describe_tiff(data: bytes) -> str:
    """Return the kind of a TIFF's pixels in words."""
    tags = ImageFileDirectory_v2(data[:8])
    file = BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    bits = tags.get(BITSPERSAMPLE, (1,))
    sample_format = tags.get(SAMPLEFORMAT, (1,))[0]
    kind = SAMPLE_FORMATS.get(sample_format, "unusual")
    return f"TIFF of {len(bits)} {kind} samples of {bits[0]} bits"
