"""Damaged pictures are refused, and whole ones with flaws beside the pixels are read."""

import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxportrait.media.image import decode_image, read_image
from tests.media.pictures import chunk, ramp, write

SUFFIXES = (
    ".jpg",
    ".png",
    ".webp",
    ".bmp",
    ".tiff",
    ".gif",
)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_cut_short(tmp_path, capfd, suffix, share):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = write(tmp_path / f"picture{suffix}", noise)
    data = path.read_bytes()
    length = int(share * len(data))
    path.write_bytes(data[:length])
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_with_lost_blocks(tmp_path, progressive):
    """Decoders read such a file and fill the rest with grey, since the end marker is in
    place."""
    path = write(tmp_path / "p.jpg", ramp(), cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    data = path.read_bytes()
    part = data[: len(data) * 3 // 4]
    end = b"\xff\xd9"
    path.write_bytes(part + end)
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_image(path)


def test_jpeg_whose_download_stopped(tmp_path):
    """Downloaders reserve a file's full length: the part never received is zeros."""
    path = write(tmp_path / "p.jpg", ramp(480, 640))
    data = path.read_bytes()
    half = data[: len(data) // 2]
    path.write_bytes(half.ljust(len(data), b"\0"))
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_image(path)


def test_png_with_a_wrong_byte(tmp_path, capfd):
    path = write(tmp_path / "picture.png", ramp())
    data = bytearray(path.read_bytes())
    # one bit of the compressed pixels
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "remark",
    [
        chunk(b"tEXt", b"Comment\0a wrong checksum")[:-1] + b"?",
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**21))),
    ],
    ids=["damaged", "long"],
)
@pytest.mark.parametrize("place", [33, -12], ids=["before", "after"])
def test_remarks_do_not_damage_a_png(tmp_path, remark, place):
    # Pillow refuses both: damage, and more than a megabyte of text.
    path = write(tmp_path / "picture.png", ramp())
    data = path.read_bytes()
    path.write_bytes(data[:place] + remark + data[place:])
    np.testing.assert_array_equal(read_image(path), ramp())


def test_a_damaged_tiff_is_refused_without_a_line_of_libtiff(capfd):
    file = BytesIO()
    Image.fromarray(ramp()).save(file, "TIFF", compression="tiff_lzw")
    data = bytearray(file.getvalue())
    # within the packed pixels, which lie before the directory or behind it
    middle = len(data) // 2
    data[middle : middle + 50] = b"\xff" * 50
    with pytest.raises(ValueError, match="damaged or cut short"):
        decode_image(bytes(data))
    assert capfd.readouterr().err == ""


def jpeg(image: np.ndarray, *options: int) -> bytes:
    """Return a JPEG file with its last marker, of 2 bytes."""
    _, encoded = cv2.imencode(".jpg", image, list(options))
    return encoded.tobytes()


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("quality", [50, 95])
def test_a_jpeg_may_lack_its_last_marker_and_nothing_else(progressive, quality):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    progress = (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    data = jpeg(noise, *progress, cv2.IMWRITE_JPEG_QUALITY, quality)
    np.testing.assert_array_equal(decode_image(data[:-2]), decode_image(data))
    # half of the marker
    np.testing.assert_array_equal(decode_image(data[:-1]), decode_image(data))
    for cut in (4, 5, 8, 16, 100):
        with pytest.raises(ValueError, match="damaged or cut short"):
            decode_image(data[:-cut])


@pytest.mark.parametrize("kind", [b"iCCP", b"eXIf"])
def test_broken_facts_beside_the_pixels_of_a_png_are_passed_over(tmp_path, kind):
    path = write(tmp_path / "picture.png", ramp())
    data = path.read_bytes()
    broken = chunk(kind, b"name\0\0no profile")
    # damaged within its checksum, and beside it
    for piece in (broken, broken[:-1] + b"?"):
        read = decode_image(data[:33] + piece + data[33:])
        np.testing.assert_array_equal(read, ramp())
