"""Colours of pictures: any depth, colour space and opacity become 8-bit sRGB over
white."""

from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT

from jaxportrait.media.image.formats import UnreadableKindError

GREY_MODES = ("1", "L", "LA")
"""Pillow's names of 8-bit grey."""
SIGNED = 2
"""Value of a TIFF's tag SampleFormat for signed integers."""
FLOAT_SLACK = 0.02
"""Distance from 0 and 1 by which resizing moves floating-point grey, and which is
clipped."""
PNG_DEPTH = 24
"""Place of the bits a sample in a PNG file."""
PROFILE_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
"""Colour space of a profile -> Pillow's name of pixels that it describes."""


def to_srgb_over_white(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """Return the colours of a decoded picture as screens without colour management show
    them.

    Transparent parts are laid over white, as viewers show them: the colour a file keeps
    under them is arbitrary, often black.

    Raises:
      UnreadableKindError: the pixels are floating-point numbers beyond [0, 1].
    """
    profile = picture.info.get("icc_profile")
    colors, opacity = _split_opacity(picture)
    rgb = _to_srgb(colors, profile)
    if opacity is None:
        return np.asarray(rgb)
    result = Image.new("RGB", rgb.size, "white")
    result.paste(rgb, mask=opacity)
    return np.asarray(result)


def _split_opacity(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return 8-bit colours, and their opacity if there is any."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey_to_eight_bits(picture), _deep_opacity(picture)
    if not picture.has_transparency_data:
        return picture, None
    if picture.mode == "La":
        # grey that was multiplied by its opacity
        picture = picture.convert("LA")
    # Palettes and colours that stand for transparency become a channel.
    pixels = picture.convert("RGBA")
    # A profile of grey describes grey pixels only.
    mode = "L" if picture.mode in GREY_MODES else "RGB"
    return pixels.convert("RGB").convert(mode), pixels.getchannel("A")


def scale_transparent_color(picture: Image.Image, png: bytes) -> None:
    """Bring a PNG's transparent colour to the depth of Pillow's pixels, before they are
    decoded.

    Pillow reads grey of 2 and 4 bits, and RGB of 16, as 8 bits, but leaves the colour.
    """
    color = picture.info.get("transparency")
    depth = png[PNG_DEPTH]
    if isinstance(color, int) and depth in (2, 4):
        picture.info["transparency"] = color * 255 // (2**depth - 1)
    elif isinstance(color, tuple) and depth == 16:
        picture.info["transparency"] = tuple(value >> 8 for value in color)


def _deep_opacity(picture: Image.Image) -> Image.Image | None:
    """Return the opacity of grey of 16 bits, of which one level may be transparent."""
    level = picture.info.get("transparency")
    if level is None:
        return None
    opaque = np.asarray(picture) != level
    return Image.fromarray(np.where(opaque, 255, 0).astype(np.uint8))


def _grey_to_eight_bits(picture: Image.Image) -> Image.Image:
    """Scale grey of 16 or 32 bits, which Pillow would clip to 255."""
    if picture.mode == "F":
        return _float_to_eight_bits(picture)
    # Modes of Pillow for 16 bits differ in sign and order of bytes.
    values = np.asarray(picture).astype(np.int64)
    bits, is_signed = _integer_kind(picture)
    if not is_signed:
        # Pillow keeps 32 bits as signed numbers.
        values %= 2**bits
    # Negative light is black.
    eight = np.clip(values >> (bits - is_signed - 8), 0, 255)
    return Image.fromarray(eight.astype(np.uint8))


def _integer_kind(picture: Image.Image) -> tuple[int, bool]:
    """Return the bits of a sample and whether it is signed, by a TIFF's tags; other
    formats have 16 bits without a sign."""
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(BITSPERSAMPLE, (16,))[0]
    sample_format = tags.get(SAMPLEFORMAT, (1,))[0]
    return max(bits, 16), sample_format == SIGNED


def _float_to_eight_bits(picture: Image.Image) -> Image.Image:
    """Scale floating-point grey, from 0 (black) to 1 (white).

    Raises:
      UnreadableKindError: values are not finite, or lie farther out.
    """
    values = np.asarray(picture)
    low = values.min()
    high = values.max()
    if not (low >= -FLOAT_SLACK and high <= 1 + FLOAT_SLACK):
        raise UnreadableKindError(
            f"grey in floating-point numbers from {low:g} to {high:g}, and 0 to 1 is read"
        )
    eight = np.rint(np.clip(values, 0, 1) * 255)
    return Image.fromarray(eight.astype(np.uint8))


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture in sRGB; a profile that is broken or of other pixels is passed
    over."""
    if profile:
        try:
            return _apply_profile(picture, profile)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    if picture.mode == "LAB":
        return _transform(picture, ImageCms.createProfile("LAB"))
    # Palettes, grey and CMYK.
    return picture.convert("RGB")


def _apply_profile(picture: Image.Image, data: bytes) -> Image.Image:
    """Convert the colours that a profile describes to sRGB.

    Raises:
      PyCMSError, OSError: the profile is broken, or a kind that describes no pixels.
      ValueError: it describes other pixels than the picture has.
    """
    profile = ImageCms.ImageCmsProfile(BytesIO(data))
    core: Any = profile.profile
    space = core.xcolor_space.strip()
    is_print = picture.mode == "CMYK"
    fits = {
        "GRAY": picture.mode in GREY_MODES,
        "RGB": not is_print,
        "CMYK": is_print,
    }
    if not fits.get(space, False):
        raise ValueError(f"the profile is of {space}, the pixels are {picture.mode}")
    return _transform(picture.convert(PROFILE_MODES[space]), profile)


def _transform(picture: Image.Image, profile: Any) -> Image.Image:
    """Convert a picture from a profile's colours to sRGB."""
    # Pillow has two kinds of profiles, and takes both.
    srgb = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, profile, srgb, outputMode="RGB")
    assert converted is not None
    return converted
