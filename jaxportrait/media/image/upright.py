"""Orientation of pictures, of any format."""

from typing import Any

from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile

ORIENTATION = ExifTags.Base.Orientation
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation, a number of EXIF -> the turn of the stored pixels for viewing."""


def load_upright(picture: ImageFile) -> Image.Image:
    """Decode an open picture and turn it upright."""
    orientation = _orientation(picture)
    if picture.format == "TIFF":
        # Pillow turns TIFFs itself, if the number is a plain one.
        picture.getexif()[ORIENTATION] = orientation
        picture.load()
        return picture
    picture.load()
    turn = TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def _orientation(picture: ImageFile) -> int:
    """Return the orientation that a picture states for itself; 1, upright, if there is
    none.

    Pillow reads it from EXIF data, XMP data, a TIFF's tags or AVIF's own properties; a
    thumbnail's is not among them.
    """
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, LookupError):
        return 1  # damaged EXIF data are no part of the picture
    return _first_number(value)


def _first_number(value: Any) -> int:
    """Return the number of a tag; some writers store it as bytes, or repeat it."""
    if isinstance(value, bytes | tuple) and value:
        return int(value[0])
    return value if isinstance(value, int) else 1
