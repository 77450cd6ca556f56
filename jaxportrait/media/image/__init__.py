"""Read pictures of any kind from files, as 8-bit sRGB."""

from jaxportrait.media.image.read import (
    decode_image,
    holds_picture,
    read_image,
    reduce,
    trim_to_even,
)

__all__ = ["decode_image", "holds_picture", "read_image", "reduce", "trim_to_even"]
