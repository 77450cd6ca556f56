"""Signatures of a video's pictures, taken as the pictures pass."""

import hashlib
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

SIDE = 16
"""Pixels a side of a signature: enough to tell a cut, too few to see noise."""
BLACK = 24
"""Brightest value of a signature that counts as black; codecs leave some noise."""

Picture = UInt8[np.ndarray, "h w 3"]


class PictureWatch:
    """An iteration over pictures that keeps their signatures.

    Args:
      pictures: times in seconds and RGB pictures, in order.
    """

    def __init__(self, pictures: Iterable[tuple[float, Picture]]):
        self._pictures = pictures
        self._signatures: list[UInt8[np.ndarray, "s s 3"]] = []

    def __iter__(self) -> Iterator[tuple[float, Picture]]:
        for seconds, picture in self._pictures:
            self._signatures.append(signature_of(picture))
            yield seconds, picture

    @property
    def signatures(self) -> UInt8[np.ndarray, "n s s 3"]:
        return np.stack(self._signatures)


def signature_of(picture: Picture) -> UInt8[np.ndarray, "s s 3"]:
    """Return a picture reduced by area to a few pixels."""
    reduced = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return reduced.astype(np.uint8, copy=False)


def differences(
    signatures: UInt8[np.ndarray, "n s s 3"],
) -> Float64[np.ndarray, " n"]:
    """Return how far each picture differs from the one before, in levels of 0 to 255;
    0 for the first."""
    steps = np.zeros(len(signatures))
    # signed, and picture by picture: long clips are not held as floats
    for index in range(1, len(signatures)):
        before = signatures[index - 1].astype(np.int16)
        steps[index] = np.abs(signatures[index] - before).mean()
    return steps


def is_black(signatures: UInt8[np.ndarray, "n s s 3"]) -> Bool[np.ndarray, " n"]:
    """Return which pictures are black."""
    return signatures.max(axis=(1, 2, 3)) < BLACK


def content_checksum(signatures: UInt8[np.ndarray, "n s s 3"]) -> str:
    """Return a checksum of the pictures that is the same in any container."""
    # 768 bytes a picture, whatever the video's size
    return hashlib.sha256(signatures.tobytes()).hexdigest()[:16]
