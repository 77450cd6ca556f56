"""Pictures as users have them: every kind, every orientation, whole or damaged."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxportrait.media.image import read_image, reduce


def ramp(height: int = 40, width: int = 60) -> np.ndarray:
    """Draw RGB, different in every corner and smooth enough for JPEG."""
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 4 * x
    image[..., 1] = 5 * y
    image[..., 2] = 200 - 2 * x - y
    return image


def write(path, image, *options):
    """Write RGB(A) or grey pixels through memory, so that any name works."""
    if image.ndim == 3:
        # OpenCV orders channels blue, green, red, opacity
        order = [2, 1, 0, 3]
        image = image[..., order[: image.shape[2]]]
    _, encoded = cv2.imencode(path.suffix, image, list(options))
    path.write_bytes(encoded.tobytes())
    return path


def exif(orientation: int, order: str = "<") -> bytes:
    """Return EXIF data of one tag, in the given order of bytes."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    # offset of the directory, its length, tag, type (short), count, value, end
    fields = (8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return mark + struct.pack(order + "IHHHIHHI", *fields)


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG file: length, kind, content, checksum."""
    length = struct.pack(">I", len(body))
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return length + kind + body + checksum


def add_exif(path, orientation: int, order: str = "<"):
    """Insert an EXIF orientation into a JPEG, PNG or WebP file."""
    tags = exif(orientation, order)
    add = {".jpg": exif_in_jpeg, ".png": exif_in_png, ".webp": exif_in_webp}
    data = add[path.suffix](path.read_bytes(), tags)
    path.write_bytes(data)
    return path


def exif_in_jpeg(data: bytes, tags: bytes) -> bytes:
    """Insert EXIF data into a JPEG file."""
    # the segment APP1 stands after the start marker
    length = struct.pack(">H", len(tags) + 8)
    segment = b"\xff\xe1" + length + b"Exif\0\0" + tags
    return data[:2] + segment + data[2:]


def exif_in_png(data: bytes, tags: bytes) -> bytes:
    """Insert EXIF data into a PNG file."""
    # signature and header take 33 bytes
    return data[:33] + chunk(b"eXIf", tags) + data[33:]


def exif_in_webp(data: bytes, tags: bytes) -> bytes:
    """Wrap a simple WebP file of 60x40 pixels in the extended format."""
    width = (60 - 1).to_bytes(3, "little")
    height = (40 - 1).to_bytes(3, "little")
    flags = bytes([0x18, 0, 0, 0])  # EXIF and opacity
    header = b"VP8X" + struct.pack("<I", 10) + flags + width + height
    if tags.startswith(b"MM"):
        # some writers put the mark of JPEG before it
        tags = b"Exif\0\0" + tags
    chunk = b"EXIF" + struct.pack("<I", len(tags)) + tags
    body = b"WEBP" + header + data[12:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


# EXIF orientation -> the turn of the stored pixels for viewing.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_exif_rotation_is_applied(tmp_path, suffix, orientation):
    path = write(tmp_path / f"picture{suffix}", ramp())
    stored = read_image(path)
    turn = UPRIGHT[orientation]
    read = read_image(add_exif(path, orientation))
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
    add_exif(path, orientation, order)
    # the transparent corner is white
    expected = ramp()
    expected[:10, :20] = 255
    turn = UPRIGHT[orientation]
    read = read_image(path)
    np.testing.assert_array_equal(read, turn(expected))


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
    "content",
    [b"not a picture at all", b"RIFF\x24\0\0\0WAVEfmt ", b"\0\0\0\x18ftypheic"],
)
def test_other_files_are_no_pictures(tmp_path, capfd, content):
    (tmp_path / "notes.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"notes\.jpg is not a picture"):
        read_image(tmp_path / "notes.jpg")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
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


def test_photographs_over_pillows_own_limit_are_read(tmp_path, monkeypatch):
    # Pillow's own functions warn over this, and refuse twice as much
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = write(tmp_path / "picture.png", ramp())
    read = read_image(path)
    np.testing.assert_array_equal(read, ramp())


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
