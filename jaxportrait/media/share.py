"""Shares of a picture among the crops of several faces, which overlap where people stand
close together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.media.crop import Matrix

SEAM = 0.1
"""Width of the soft seam between two crops, in their sides."""


@dataclass(frozen=True)
class Place:
    """A crop's place in its picture.

    Attributes:
      crop_to_image: matrix from the crop's pixels to the picture's.
      side: side of the crop in its pixels.
    """

    crop_to_image: Matrix
    side: int

    @property
    def center(self) -> Float[np.ndarray, " 2"]:
        # Pixels are counted from the middle of the first.
        middle = (self.side - 1) / 2
        return (self.crop_to_image @ np.array([middle, middle, 1.0]))[:2]

    @property
    def side_in_image(self) -> float:
        return self.side * float(np.sqrt(np.linalg.det(self.crop_to_image[:2, :2])))

    def distance(self, points: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w"]:
        """Return the distances of the picture's points from the center, in sides."""
        offsets = points - self.center
        return np.linalg.norm(offsets, axis=-1) / self.side_in_image


def crop_share(place: Place, others: Sequence[Place]) -> Float32[np.ndarray, "s s"]:
    """Return the share that a crop has in each of its pixels: 1 where its center is the
    nearest, 0 where another one's is.

    A crop holds parts of the faces beside it, unmoved: they would cover what is pasted
    there.

    Args:
      others: the crops of the other faces.
    """
    index = np.arange(place.side)
    x, y = np.meshgrid(index, index)
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
    # (s, s, 3) -> positions in the picture, (s, s, 2)
    points = (pixels @ place.crop_to_image.T)[..., :2]
    share = np.ones((place.side, place.side))
    for other in others:
        # In sides, so that a small face keeps its own pixels.
        nearer = other.distance(points) - place.distance(points)
        ramp = np.clip(0.5 + nearer / SEAM, 0, 1)
        # The nearest of several others decides.
        share = np.minimum(share, ramp)
    return share.astype(np.float32)
