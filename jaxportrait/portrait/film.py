"""`FilmedFace`: the face of a source video, cut out of its frames while they are
decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8

from jaxportrait.media.crop import (
    SOURCE_SCALE,
    Matrix,
    crop_face,
    frame_face,
    network_input,
    to_full_resolution,
)
from jaxportrait.media.follow import FacePath
from jaxportrait.media.footage import Footage
from jaxportrait.media.image import reduce
from jaxportrait.portrait.base import Frame, finish_in_threads


class Cut(NamedTuple):
    """A frame, and its face.

    Attributes:
      picture: the whole frame.
      crop: the face as the networks read it; black where there is none.
      crop_to_image: pixels of the crop at its full size -> pixels of the frame.
      is_shown: whether there is a face.
    """

    picture: Frame
    crop: UInt8[np.ndarray, "s s 3"]
    crop_to_image: Matrix
    is_shown: bool


@dataclass(frozen=True)
class FilmedFace:
    """A face in a video.

    Attributes:
      footage: the pictures.
      path: the way of the face through them.
      zoom: how many times tighter than LivePortrait's it is cropped.
      image_size: side in pixels of the crops.
    """

    footage: Footage
    path: FacePath
    zoom: float
    image_size: int

    @property
    def shown(self) -> Bool[np.ndarray, " frames"]:
        """True in frames that show the face."""
        return self.path.shown

    def cuts(self, order: Int[np.ndarray, " n"], batch_size: int) -> Iterator[Cut]:
        """Decode frames in this order, and yield them with their faces.

        Args:
          batch_size: frames that threads work on at once.
        """
        pictures = self.footage.play(self.path.times, order)
        numbered = zip(order.tolist(), pictures, strict=True)
        # Once the frames are used up, an empty list ends the batches.
        batches = iter(lambda: list(islice(numbered, batch_size)), [])
        return finish_in_threads(batches, self._cut)

    def _cut(self, frame: tuple[int, Frame]) -> Cut:
        number, picture = frame
        if not self.shown[number]:
            # Rendered with its batch, and never pasted.
            blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
            return Cut(picture, blank, np.eye(3), is_shown=False)
        # As for a picture, the networks need no more than a reduced frame.
        reduced = reduce(picture)
        square = frame_face(self.path.hull(number), SOURCE_SCALE / self.zoom)
        crop = crop_face(reduced, square)
        place = to_full_resolution(crop, reduced.shape, picture.shape).crop_to_image
        return Cut(picture, network_input(crop, self.image_size), place, is_shown=True)
