"""Pictures of every format and orientation, which must look alike."""

import struct
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxportrait import demo
from jaxportrait.media.image import decode_image, read_image, reduce
from tests.media.pictures import (
    ORIENTATION,
    TYPES,
    UPRIGHT,
    add_exif,
    exif,
    exif_of_a_thumbnail,
    ramp,
    write,
)

INPUTS = Path(__file__).parent.parent / "inputs"

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}
"""Formats in which Pillow keeps pixels, and the options for it."""


def save(kind: str, **options) -> bytes:
    file = BytesIO()
    Image.fromarray(ramp()).save(file, kind, **options)
    return file.getvalue()


def save_turned(kind: str, orientation: int, **options) -> bytes:
    """Save the ramp with an orientation."""
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return save(kind, exif=tags, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_exif_rotation_is_applied(tmp_path, suffix, orientation):
    path = write(tmp_path / f"picture{suffix}", ramp())
    stored = read_image(path)
    turn = UPRIGHT[orientation]
    read = read_image(add_exif(path, exif(orientation)))
    np.testing.assert_array_equal(read, turn(stored))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_opacity_turns_with_the_colours(tmp_path, orientation, suffix, order):
    opaque = np.full((40, 60), 255, np.uint8)
    image = np.dstack([ramp(), opaque])
    image[:10, :20, 3] = 0
    lossless = (cv2.IMWRITE_WEBP_QUALITY, 101)
    path = write(tmp_path / f"picture{suffix}", image, *lossless)
    add_exif(path, exif(orientation, order))
    # the transparent corner is white
    expected = ramp()
    expected[:10, :20] = 255
    turn = UPRIGHT[orientation]
    read = read_image(path)
    np.testing.assert_array_equal(read, turn(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_is_turned_upright(kind, orientation):
    options = LOSSLESS.get(kind, {"quality": 100, "subsampling": "4:4:4"})
    stored = decode_image(save(kind, **options))
    read = decode_image(save_turned(kind, orientation, **options))
    np.testing.assert_array_equal(read, UPRIGHT[orientation](stored))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("kind", ["byte", "long"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_orientations_of_unusual_types_in_a_tiff(orientation, kind, compression):
    data = save_turned("TIFF", orientation, compression=compression)
    usual = struct.pack("<HHI", ORIENTATION, TYPES["short"], 1)
    unusual = struct.pack("<HHI", ORIENTATION, TYPES[kind], 1)
    assert data.count(usual) == 1
    read = decode_image(data.replace(usual, unusual))
    np.testing.assert_array_equal(read, UPRIGHT[orientation](ramp()))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["byte", "long"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_orientations_of_unusual_types(tmp_path, suffix, kind, order):
    path = write(tmp_path / f"picture{suffix}", ramp(), cv2.IMWRITE_WEBP_QUALITY, 101)
    stored = read_image(path)
    read = read_image(add_exif(path, exif(6, order, kind)))
    np.testing.assert_array_equal(read, UPRIGHT[6](stored))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_orientation_of_a_thumbnail_is_ignored(tmp_path, suffix):
    path = write(tmp_path / f"picture{suffix}", ramp())
    stored = read_image(path)
    read = read_image(add_exif(path, exif_of_a_thumbnail(6)))
    np.testing.assert_array_equal(read, stored)


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_avif_that_states_its_orientation_twice_is_turned_once(orientation):
    # as telephones write it: a property of AVIF, and EXIF data
    read = read_image(INPUTS / f"orientation{orientation}.avif")
    expected = reduce(read_image(demo.PORTRAIT), 256)
    difference = read.astype(float) - expected
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize(
    "tags", [b"no EXIF data at all", exif(6)[:13], exif(0), exif(9)]
)
def test_damaged_exif_data_turn_nothing(tmp_path, tags):
    path = write(tmp_path / "picture.png", ramp())
    read = read_image(add_exif(path, tags))
    np.testing.assert_array_equal(read, ramp())
