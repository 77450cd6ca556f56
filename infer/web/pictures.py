"""Small pictures within the page itself."""

import base64
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

LONGEST = 512
"""Longest side in pixels of a frame that is shown while a clip is rendered."""
QUALITY = 80
"""JPEG's quality, on Pillow's scale."""


def encode_small(frame: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Return a frame as a small JPEG."""
    picture = Image.fromarray(frame)
    # In place, and never larger than it was.
    picture.thumbnail((LONGEST, LONGEST))
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def data_address(jpeg: bytes) -> str:
    """Return the address of a JPEG that is within the page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
