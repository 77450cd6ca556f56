"""Colour profiles made of a matrix and a curve, and the colours that they describe."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
"""White of every profile, in XYZ."""
CURVE_POINTS = 1024
SRGB_MATRIX = np.array(
    [
        [0.43607, 0.38515, 0.14307],
        [0.22249, 0.71687, 0.06061],
        [0.01392, 0.09708, 0.71410],
    ]
)
"""Linear sRGB -> XYZ at D50."""


Decode = Callable[[np.ndarray], np.ndarray]


def decode_srgb(levels: np.ndarray) -> np.ndarray:
    """Return the linear light of levels of sRGB, all from 0 to 1."""
    bright = ((levels + 0.055) / 1.055) ** 2.4
    return np.where(levels <= 0.04045, levels / 12.92, bright)


@dataclass(frozen=True)
class Profile:
    """A colour space of screens.

    Attributes:
      matrix: linear RGB -> XYZ at D50.
      decode: levels from 0 to 1 -> linear light.
    """

    matrix: np.ndarray
    decode: Decode

    def icc(self) -> bytes:
        """Return the profile as files hold it."""
        tags = {b"wtpt": xyz(D50)}
        for index, channel in enumerate(b"rgb"):
            letter = bytes([channel])
            tags[letter + b"XYZ"] = xyz(self.matrix[:, index])
            tags[letter + b"TRC"] = curve(self.decode)
        return pack(b"RGB ", tags)


DISPLAY_P3 = Profile(
    np.array(
        [
            [0.51512, 0.29198, 0.15710],
            [0.24120, 0.69225, 0.06657],
            [-0.00105, 0.04189, 0.78407],
        ]
    ),
    decode_srgb,
)
ADOBE_RGB = Profile(
    np.array(
        [
            [0.60974, 0.20528, 0.14919],
            [0.31111, 0.62567, 0.06322],
            [0.01947, 0.06087, 0.74457],
        ]
    ),
    lambda levels: levels ** (563 / 256),
)


def grey_profile(gamma: float) -> bytes:
    """Return a profile of grey."""
    levels = curve(lambda levels: levels**gamma)
    return pack(b"GRAY", {b"wtpt": xyz(D50), b"kTRC": levels})


def to_srgb(profile: Profile, color: tuple[int, int, int]) -> np.ndarray:
    """Return the levels of sRGB for a colour, by the definition of both."""
    linear = profile.decode(np.array(color) / 255)
    light = np.linalg.solve(SRGB_MATRIX, profile.matrix @ linear)
    light = np.clip(light, 0, 1)
    bright = 1.055 * light ** (1 / 2.4) - 0.055
    return 255 * np.where(light <= 0.0031308, 12.92 * light, bright)


def xyz(values) -> bytes:
    """Return a tag of three numbers with 16 bits after the point."""
    fixed = [round(value * 65536) for value in values]
    return b"XYZ " + bytes(4) + struct.pack(">3i", *fixed)


def curve(decode: Decode) -> bytes:
    """Return a tag of a curve, as a table of 16 bits."""
    table = decode(np.linspace(0, 1, CURVE_POINTS))
    levels = np.rint(65535 * table).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", CURVE_POINTS) + levels.tobytes()


def pack(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of a screen: a header, a table of its tags, and the tags."""
    start = 128 + 4 + 12 * len(tags)
    table = struct.pack(">I", len(tags))
    body = b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag
    size = struct.pack(">I", start + len(body))
    kind = bytes(4) + b"\x02\x40\0\0" + b"mntr" + space + b"XYZ "
    facts = bytes(12) + b"acsp" + bytes(28) + xyz(D50)[8:]
    header = (size + kind + facts).ljust(128, b"\0")
    return header + table + body
