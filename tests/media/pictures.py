"""Pictures drawn and written for tests, with what files keep beside the pixels."""

import struct
import zlib

import cv2
import numpy as np
import PIL
import pytest

PILLOW = int(PIL.__version__.partition(".")[0])
# Gradio holds Pillow at 12. CI runs these tests with its newest version as well.
needs_pillow_13 = pytest.mark.skipif(PILLOW < 13, reason="Pillow 13 is not installed")


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


ORIENTATION = 0x0112
"""Number of the EXIF tag."""
TYPES = {"byte": 1, "short": 3, "long": 4}
"""Numbers of EXIF's types of integers."""

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
"""EXIF orientation -> the turn of the stored pixels for viewing."""


def exif(orientation: int, order: str = "<", kind: str = "short") -> bytes:
    """Return EXIF data of one tag, in the given order of bytes."""
    # offset of the directory, its length, the tag, end
    head = struct.pack(order + "IH", 8, 1)
    end = struct.pack(order + "I", 0)
    return mark(order) + head + tag(orientation, order, kind) + end


def mark(order: str) -> bytes:
    """Return the first bytes of EXIF data in this order of bytes."""
    return b"II*\0" if order == "<" else b"MM\0*"


def tag(orientation: int, order: str = "<", kind: str = "short") -> bytes:
    """Return an entry of an EXIF directory: number, type, count, value."""
    letter = {"byte": "B", "short": "H", "long": "I"}[kind]
    value = struct.pack(order + letter, orientation).ljust(4, b"\0")
    return struct.pack(order + "HHI", ORIENTATION, TYPES[kind], 1) + value


def exif_of_a_thumbnail(orientation: int) -> bytes:
    """Return EXIF data in which only the thumbnail has an orientation."""
    # an empty directory at byte 8, and that of the thumbnail at byte 14
    first = struct.pack("<IHI", 8, 0, 14)
    second = struct.pack("<H", 1) + tag(orientation) + bytes(4)
    return mark("<") + first + second


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG file: length, kind, content, checksum."""
    length = struct.pack(">I", len(body))
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return length + kind + body + checksum


def add_exif(path, tags: bytes):
    """Insert EXIF data into a JPEG, PNG or WebP file."""
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
