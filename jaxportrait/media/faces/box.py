"""A face whose place is told, where detectors find none: animals and drawings."""

import numpy as np
from jaxtyping import UInt8

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces.detect import Detector
from jaxportrait.media.faces.face import Face

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""


def open_box(box: Box, size: tuple[int, int]) -> Detector:
    """Return a detector that finds one face, in a box.

    The hull of the face is the square around the box's centre, as wide as its longer
    side, and not turned.

    Args:
      box: box around the face, brows to chin, in a picture.
      size: width and height of that picture; the detector may get it reduced.

    Raises:
      ValueError: the box is empty, or reaches beyond the picture.
    """
    left, top, width, height = box
    is_inside = left >= 0 and top >= 0 and left + width <= size[0]
    # A comparison with NaN is false, so that it is refused as well.
    if not (is_inside and top + height <= size[1] and width > 0 and height > 0):
        numbers = ",".join(f"{number:g}" for number in box)
        raise ValueError(
            f"the box {numbers} (left, top, width, height) is not within the picture of {size[0]}x{size[1]} pixels"
        )

    def find(image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        scale = image.shape[1] / size[0]
        x = scale * (left + width / 2)
        y = scale * (top + height / 2)
        hull = FaceRectangle((x, y), scale * max(width, height))
        edges = (left, top, left + width, top + height)
        return [Face(tuple(scale * edge for edge in edges), 1.0, hull)]  # pyright: ignore[reportArgumentType]

    return Detector("box", find)
