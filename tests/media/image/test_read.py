"""Pictures as users have them: every kind and name, and files that are none."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxportrait.media.image import decode_image, read_image, reduce
from tests.media.pictures import chunk, needs_pillow_13, ramp, write


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".ppm"])
def test_lossless_kinds_keep_their_pixels(tmp_path, suffix):
    # OpenCV writes WebP without loss at a quality over 100
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    image = ramp()
    path = write(tmp_path / f"picture{suffix}", image, *options)
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, image)


def test_jpeg_is_read_as_rgb(tmp_path):
    read = read_image(
        write(tmp_path / "picture.jpg", ramp(), cv2.IMWRITE_JPEG_QUALITY, 98)
    )
    difference = read.astype(int) - ramp()
    # JPEG loses a little
    assert np.abs(difference).mean() < 3


def test_any_name_is_read(tmp_path):
    path = write(tmp_path / "портрет 人物 ü'\".png", ramp())
    read = read_image(str(path))
    np.testing.assert_array_equal(read, ramp())


def test_odd_sides_are_trimmed(tmp_path):
    # H.264 needs even sides
    image = ramp(41, 63)
    read = read_image(write(tmp_path / "p.png", image))
    np.testing.assert_array_equal(read, image[:40, :62])


def test_animation_gives_its_first_frame(tmp_path):
    white = np.full((8, 8, 4), 255, np.uint8)
    black = white * np.array([0, 0, 0, 1], np.uint8)
    # the first frame is white, the second black
    frames = cv2.Animation()
    frames.frames = [white, black]
    frames.durations = [100, 100]
    path = tmp_path / "animated.webp"
    assert cv2.imwriteanimation(str(path), frames)
    read = read_image(path)
    np.testing.assert_array_equal(read, white[..., :3])


def test_bytes_behind_the_picture_are_ignored(tmp_path):
    # phones append a short film to a picture
    for suffix in (".jpg", ".png"):
        path = write(tmp_path / f"picture{suffix}", ramp())
        whole = read_image(path)
        path.write_bytes(path.read_bytes() + b"a motion photo's film")
        np.testing.assert_array_equal(read_image(path), whole)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no picture at .*absent\.png"):
        read_image(tmp_path / "absent.png")


def test_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_image(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ValueError, match="0 bytes"):
        read_image(tmp_path / "empty.png")


@pytest.mark.parametrize(
    "content", [b"not a picture at all", b"RIFF\x24\0\0\0WAVEfmt "]
)
def test_other_files_are_no_pictures(tmp_path, capfd, content):
    (tmp_path / "notes.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.jpg is not a picture .*\(JPEG, PNG"):
        read_image(tmp_path / "notes.jpg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n", "Radiance HDR"),
        (b"8BPS\0\1", "Photoshop"),
    ],
)
def test_pictures_of_other_kinds_are_named(content, kind):
    with pytest.raises(ValueError, match=rf"the picture is not .*\(it is {kind}\)"):
        decode_image(content + bytes(100))


def test_bytes_of_a_file_are_read_like_the_file(tmp_path):
    path = write(tmp_path / "picture.png", ramp())
    np.testing.assert_array_equal(decode_image(path.read_bytes()), read_image(path))
    with pytest.raises(ValueError, match="the upload is empty"):
        decode_image(b"", "the upload")


def test_photographs_over_pillows_own_limit_are_read(tmp_path, monkeypatch):
    # Pillow's own functions warn over this, and refuse twice as much
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = write(tmp_path / "picture.png", ramp())
    read = read_image(path)
    np.testing.assert_array_equal(read, ramp())


def test_a_picture_too_large_to_decode(tmp_path):
    """The size stands in the header, which is read before any pixel."""
    size = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    header = chunk(b"IHDR", size)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    end = chunk(b"IEND", b"")
    path = tmp_path / "large.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + end)
    with pytest.raises(ValueError, match=r"large\.png cannot be decoded .*smaller"):
        read_image(path)


def test_a_file_of_20_gigabytes_is_not_read(tmp_path):
    path = write(tmp_path / "picture.bmp", ramp())
    # no bytes are stored for the added length
    with path.open("r+b") as file:
        file.truncate(20 * 10**9)
    with pytest.raises(ValueError, match=r"picture\.bmp cannot be decoded .*smaller"):
        read_image(path)


def test_a_picture_beyond_the_memory(tmp_path, monkeypatch):
    path = write(tmp_path / "picture.png", ramp())

    def refuse(self):
        raise MemoryError

    # the picture itself, and a file that is larger than the memory
    for place in (Image.Image, type(path)):
        with monkeypatch.context() as patch:
            name = "load" if place is Image.Image else "read_bytes"
            patch.setattr(place, name, refuse)
            with pytest.raises(ValueError, match=r"picture\.png cannot be decoded"):
                read_image(path)


@needs_pillow_13  # earlier versions have no limit for WebP
def test_a_webp_over_pillows_limit_is_too_large_and_not_damaged(monkeypatch):
    file = BytesIO()
    Image.fromarray(ramp()).save(file, "WEBP")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="it is too large"):
        decode_image(file.getvalue())


def test_too_small(tmp_path):
    with pytest.raises(ValueError, match="1x9 pixels"):
        read_image(write(tmp_path / "p.png", ramp(9, 1)))


def test_reduce_keeps_the_shape_of_things():
    size = (1500, 1000)
    image = cv2.resize(ramp(), size, interpolation=cv2.INTER_LINEAR)
    small = reduce(image, 300)
    assert small.shape == (200, 300, 3)

    # blocks of 5 x 5 pixels
    blocks = image.reshape(200, 5, 300, 5, 3)
    means = blocks.mean(axis=(1, 3))
    np.testing.assert_allclose(small, means, atol=0.51)
    assert reduce(small, 300) is small


def test_the_longest_side_can_be_limited(tmp_path):
    path = write(tmp_path / "picture.png", ramp(90, 60))
    small = read_image(path, max_side=31)
    # reduced to 31 x 21, then an odd row and column are dropped
    assert small.shape == (30, 20, 3)
    assert read_image(path, max_side=90).shape == (90, 60, 3)
