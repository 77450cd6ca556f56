"""Evidence about a clip that is kept beside its record: material of the gates that
compare clips, and of the report."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float16, Float32, UInt8

THUMBNAIL_SIDE = 80
THUMBNAILS = 4
"""Pictures of a clip in the report."""
JPEG_QUALITY = 70


@dataclass(frozen=True)
class Evidence:
    """Evidence about a clip.

    Attributes:
      thumbnail: JPEG of a few pictures side by side; empty if there are none.
      lips: lips by the face mesh, 25 a second from the record's start; None without the
        mesh.
      spectrum: log-mel bands, 50 a second from the record's start.
    """

    thumbnail: bytes = b""
    lips: Float32[np.ndarray, "n 3"] | None = None
    spectrum: Float16[np.ndarray, "m bands"] | None = None


def make_thumbnail(pictures: Sequence[UInt8[np.ndarray, "h w 3"]]) -> bytes:
    """Return a JPEG of square pictures side by side; empty if there are none."""
    if not pictures:
        return b""
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    small = [
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in pictures
    ]
    # OpenCV writes BGR
    strip = cv2.cvtColor(np.concatenate(small, axis=1), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
