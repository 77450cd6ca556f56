"""Pictures of every depth, opacity and colour space, as they look on screens."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from jaxportrait.media.image import decode_image, read_image
from tests.media.pictures import chunk, needs_pillow_13, ramp, write
from tests.media.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    Profile,
    grey_profile,
    to_srgb,
)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_parts_are_white(tmp_path, dtype):
    full = np.iinfo(dtype).max
    image = np.zeros((4, 6, 4), dtype)
    # three stripes: transparent, opaque, a fifth opaque
    image[:, 2:, 3] = full
    image[:, 4:, 3] = full // 5
    read = read_image(write(tmp_path / "picture.png", image))
    row = read[0, :, 0].tolist()
    assert row == [255, 255, 0, 0, 204, 204]


def test_grey_becomes_rgb(tmp_path):
    grey = ramp()[..., 0]
    read = read_image(write(tmp_path / "g.png", grey))
    for channel in range(3):
        np.testing.assert_array_equal(read[..., channel], grey)


def test_sixteen_bits_become_eight(tmp_path):
    deep = ramp().astype(np.uint16) * 257
    read = read_image(write(tmp_path / "deep.png", deep))
    difference = read.astype(int) - ramp()
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_grey_of_sixteen_bits_is_scaled_and_not_clipped(tmp_path, suffix):
    grey = ramp()[..., 0]
    deep = grey.astype(np.uint16) * 257
    read = read_image(write(tmp_path / f"deep{suffix}", deep))
    difference = read.astype(int) - grey[..., None]
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_a_transparent_colour_of_a_palette_is_white(tmp_path, suffix):
    # the first colour is transparent, and a pixel has the second
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((0, 0), 1)
    picture.save(tmp_path / f"palette{suffix}", transparency=0)
    read = read_image(tmp_path / f"palette{suffix}")
    assert read[0, 0].tolist() == [200, 100, 50]
    assert read[1, 3].tolist() == [255, 255, 255]


def test_a_picture_in_printing_colours_becomes_rgb(tmp_path):
    path = tmp_path / "print.tiff"
    picture = Image.fromarray(ramp())
    picture.convert("CMYK").save(path)
    np.testing.assert_array_equal(read_image(path), ramp())


def save(picture: Image.Image, kind: str, **options) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def grey_png(depth: int, rows: bytes, transparent: int) -> bytes:
    """Return a PNG of 2 x 2 grey pixels, one level of which is transparent."""
    header = struct.pack(">IIBBBBB", 2, 2, depth, 0, 0, 0, 0)
    chunks = [
        chunk(b"IHDR", header),
        chunk(b"tRNS", struct.pack(">H", transparent)),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("depth", "rows", "transparent", "opaque"),
    [
        (1, b"\0\x40\0\x40", 0, 255),
        (2, b"\0\x90\0\x90", 2, 85),
        (4, b"\0\x73\0\x73", 7, 51),
        (8, b"\0\x07\xc8\0\x07\xc8", 7, 200),
        (16, b"\0\xc8\x07\xc8\0\0\xc8\x07\xc8\0", 0xC807, 200),
    ],
)
def test_a_transparent_grey_is_white(depth, rows, transparent, opaque):
    # the left pixels are transparent, the right ones are not
    read = decode_image(grey_png(depth, rows, transparent))
    assert read[:, 0].tolist() == [[255] * 3] * 2
    assert read[:, 1].tolist() == [[opaque] * 3] * 2


def test_a_transparent_colour_of_16_bits_is_white():
    deep = np.array([[[0xC807, 0x6403, 0x3201], [0x1111, 0x2222, 0x3333]]] * 2, ">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    chunks = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)),
        chunk(b"tRNS", deep[0, 0].tobytes()),
        chunk(b"IDAT", zlib.compress(rows)),
        chunk(b"IEND", b""),
    ]
    read = decode_image(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert read[0].tolist() == [[255, 255, 255], [0x11, 0x22, 0x33]]


ASSOCIATED = 1
UNASSOCIATED = 2


def tiff(samples: np.ndarray, **tags: int) -> bytes:
    """Return an uncompressed TIFF of pixels side by side.

    Args:
      samples: (h, w, channels).
      tags: values of tags that are not usual, by name.
    """
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    values = {
        "width": (256, 4, [width]),
        "height": (257, 4, [height]),
        "bits": (258, 3, [bits] * channels),
        "compression": (259, 3, [1]),
        "photometric": (262, 3, [2 if channels > 2 else 1]),
        "offset": (273, 4, [0]),
        "channels": (277, 3, [channels]),
        "rows": (278, 4, [height]),
        "size": (279, 4, [samples.nbytes]),
    }
    if channels in (2, 4):
        values["extra"] = (338, 3, [tags["extra"]])
    if "format" in tags:
        values["format"] = (339, 3, [tags["format"]] * channels)
    return tiff_file(list(values.values()), samples.tobytes())


def tiff_file(entries: list, pixels: bytes) -> bytes:
    """Return the file of a directory and the pixels behind it."""
    long_values = b""
    start = 8 + 2 + 12 * len(entries) + 4
    directory = b""
    total = sum(len(values) * 2 for _, _, values in entries if len(values) > 2)
    for number, kind, values in entries:
        if number == 273:
            values = [start + total]
        letter = "H" if kind == 3 else "I"
        packed = struct.pack(f"<{len(values)}{letter}", *values).ljust(4, b"\0")
        directory += struct.pack("<HHI", number, kind, len(values))
        # more than four bytes lie behind the directory
        place = struct.pack("<I", start + len(long_values))
        directory += packed if len(packed) == 4 else place
        long_values += packed if len(packed) > 4 else b""
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + bytes(4) + long_values + pixels


def pixels_of(*values: float, dtype: type = np.uint8) -> np.ndarray:
    """Return 4 x 4 equal pixels."""
    return np.full((4, 4, len(values)), values, dtype)


@pytest.mark.parametrize(
    ("samples", "extra", "expected"),
    [
        (pixels_of(100, 50, 25, 128), ASSOCIATED, (227, 177, 152)),
        (pixels_of(200, 100, 50, 128), UNASSOCIATED, (227, 177, 152)),
        pytest.param(
            pixels_of(50, 128), ASSOCIATED, (177, 177, 177), marks=needs_pillow_13
        ),
        (pixels_of(100, 128), UNASSOCIATED, (177, 177, 177)),
        (
            pixels_of(200 * 257, 100 * 257, 50 * 257, 128 * 257, dtype=np.uint16),
            UNASSOCIATED,
            (227, 177, 152),
        ),
    ],
)
def test_opacity_of_a_tiff_that_is_multiplied_or_not(samples, extra, expected):
    read = decode_image(tiff(samples, extra=extra))
    difference = read.astype(int) - expected
    assert np.abs(difference).max() <= 1


UNSIGNED = 1
SIGNED = 2
FLOAT = 3


@pytest.mark.parametrize(
    ("value", "dtype", "kind"),
    [
        (0.6, np.float32, FLOAT),
        (0.6 * 2**16, np.uint16, UNSIGNED),
        (0.6 * 2**15, np.int16, SIGNED),
        (0.6 * 2**32, np.uint32, UNSIGNED),
        (0.6 * 2**31, np.int32, SIGNED),
    ],
)
def test_grey_of_every_depth_is_scaled(value, dtype, kind):
    read = decode_image(tiff(pixels_of(value, dtype=dtype), format=kind))
    assert read.min() == read.max() == 153


@pytest.mark.parametrize("value", [255.0, -3.0, np.nan])
def test_floating_point_grey_beyond_its_range_is_said_to_be_so(value):
    data = tiff(pixels_of(value, dtype=np.float32), format=FLOAT)
    message = (
        rf"not a picture that can be read \(it is grey in floating-point .*{value:g}"
    )
    with pytest.raises(ValueError, match=message):
        decode_image(data)


def test_a_kind_of_tiff_that_is_not_read_is_named():
    data = tiff(pixels_of(0.1, 0.2, 0.3, dtype=np.float32), format=FLOAT)
    message = (
        r"\(it is TIFF of 3 floating-point samples of 32 bits\): convert it to PNG"
    )
    with pytest.raises(ValueError, match=message):
        decode_image(data)


LOSSLESS = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG": {"quality": 98, "subsampling": "4:4:4"},
}
"""Formats that hold colour profiles, and options that keep colours."""


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("profile", [DISPLAY_P3, ADOBE_RGB], ids=["p3", "adobe"])
def test_colours_of_a_profile_become_srgb(kind, profile: Profile):
    color = (200, 120, 100)
    patch = Image.new("RGB", (64, 64), color)
    data = save(patch, kind, icc_profile=profile.icc(), **LOSSLESS[kind])
    difference = decode_image(data).astype(float) - to_srgb(profile, color)
    tolerance = 4 if kind == "JPEG" else 2
    assert np.abs(difference).max() <= tolerance


def test_the_colours_of_display_p3_are_the_known_ones():
    # a known pair of colours
    np.testing.assert_allclose(
        to_srgb(DISPLAY_P3, (200, 120, 100)), (213, 115, 95), atol=1
    )


@pytest.mark.parametrize("palette", [True, False])
def test_profiles_of_palettes_and_opacity(palette):
    patch = Image.new("RGB", (8, 8), (200, 120, 100))
    picture = patch.quantize(2) if palette else patch.convert("RGBA")
    data = save(picture, "PNG", icc_profile=DISPLAY_P3.icc())
    difference = decode_image(data).astype(int) - (213, 115, 95)
    assert np.abs(difference).max() <= 2


def test_a_profile_of_grey():
    grey = Image.new("L", (8, 8), 128)
    # linear light
    data = save(grey, "PNG", icc_profile=grey_profile(1.0))
    assert np.abs(decode_image(data).astype(int) - 188).max() <= 2


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize(
    "profile",
    [b"no profile", DISPLAY_P3.icc()[:300], grey_profile(1.8)],
    ids=["text", "cut", "grey"],
)
def test_a_profile_that_is_broken_or_does_not_fit_is_passed_over(kind, profile):
    patch = Image.new("RGB", (64, 64), (200, 120, 100))
    data = save(patch, kind, icc_profile=profile, **LOSSLESS[kind])
    plain = save(patch, kind, **LOSSLESS[kind])
    np.testing.assert_array_equal(decode_image(data), decode_image(plain))


def test_a_picture_in_cie_lab_becomes_srgb():
    lab = Image.new("LAB", (8, 8), (137, 128, 128))
    read = decode_image(save(lab, "TIFF"))
    # half of the lightness, neutral
    assert np.abs(read.astype(int) - 128).max() <= 2
