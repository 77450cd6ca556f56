"""`Portrait`: the face of a picture, found, cropped and encoded."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Self, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import (
    SOURCE_SCALE,
    crop_face,
    frame_face,
    network_input,
    to_full_resolution,
)
from jaxportrait.media.faces import (
    Detector,
    Face,
    Openness,
    choose_face,
    detect_faces,
)
from jaxportrait.media.image import reduce, trim_to_even
from jaxportrait.media.paste import (
    PasteBack,
    color_correction,
    mask_border,
    soft_mask,
)
from jaxportrait.media.share import Place, crop_share
from jaxportrait.motion.clip import MotionClip
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.rest import RestPolicy
from jaxportrait.portrait.base import Frame, finish_in_threads
from jaxportrait.ranges import OptionError
from jaxportrait.renderer import Renderer
from jaxportrait.types import FaceCrop, Source

T = TypeVar("T")


@dataclass(frozen=True)
class Portrait:
    """A source picture, ready to be animated any number of times; a `Subject`.

    Attributes:
      source: the face, as the renderer needs it.
      paste: puts a rendered crop back into the whole picture.
      size: width and height of the whole picture.
      crop: the face as the networks read it.
      passed_over: number of faces that were detected and not chosen.
      doubt: a line for a user where the detector is not sure of the face.
      openness: openness of the face's eyes and lips, where its landmarks tell it.
      gaze: place of the iris in each eye, where it is known; see `Face`.
    """

    source: Source
    paste: PasteBack
    size: tuple[int, int]
    crop: UInt8[np.ndarray, "s s 3"]
    passed_over: int
    doubt: str | None = None
    openness: Openness | None = None
    gaze: Float[np.ndarray, "2 2"] | None = None

    def __repr__(self) -> str:
        width, height = self.size
        side = len(self.crop)
        return f"Portrait({width}x{height} pixels, face of {side}x{side})"

    @property
    def fps(self) -> None:
        return None

    @property
    def audio(self) -> None:
        return None

    def play(self, fps: float, count: int) -> Self:
        """Return the portrait: it is the same in every frame."""
        return self

    def most_frames(self, fps: float) -> None:
        return None

    def keypoints(
        self,
        renderer: Renderer,
        motion: MotionClip,
        rest: RestPolicy | MotionClip,
        retargeting: Retargeting,
    ) -> Float[np.ndarray, "n k 3"]:
        """Return the driving keypoints of every frame; see `Renderer.keypoints`."""
        return renderer.keypoints(self.source, motion, rest, retargeting, self.openness)

    def originals(self) -> Iterator[Frame]:
        """Yield the whole picture, again and again."""
        return repeat(self.paste.image)

    def frames(
        self,
        renderer: Renderer,
        keypoints: Float[np.ndarray, "n k 3"],
        finish: Callable[[Frame], T],
    ) -> Iterator[T]:
        """Render batches ahead on the devices, paste and finish frames in threads, and
        yield them in order."""

        def complete(crop: UInt8[np.ndarray, "S S 3"]) -> T:
            return finish(self.paste(crop))

        return finish_in_threads(renderer.frames(self.source, keypoints), complete)


def prepare_portrait(
    picture: UInt8[np.ndarray, "h w 3"],
    renderer: Renderer,
    detector: Detector,
    face: int | None = None,
    crop_scale: float = SOURCE_SCALE,
) -> Portrait:
    """Find the face of a picture, crop it, and encode it.

    For a crop that is tighter than LivePortrait's, the unmoved frame is rendered as
    well.

    Args:
      picture: RGB, with even sides; it is kept.
      detector: used by one thread at a time.
      face: number of the face to animate, 0 the largest; by default that.
      crop_scale: side of the crop in sides of the face, before the networks' zoom.

    Raises:
      NoFaceError: there is no face.
      ValueError: there is no such face, or nothing is cropped.
    """
    scene = _Scene.find(picture, renderer, detector, crop_scale)
    chosen = choose_face(scene.faces, face)
    return scene.encode(chosen, scene.cut(chosen))


def prepare_portraits(
    picture: UInt8[np.ndarray, "h w 3"],
    renderer: Renderer,
    detector: Detector,
    crop_scale: float = SOURCE_SCALE,
) -> list[Portrait]:
    """Find, crop and encode all faces of a picture, the largest first; see
    `prepare_portrait`.

    Where their crops overlap, each has the part that is nearest to its center.
    """
    scene = _Scene.find(picture, renderer, detector, crop_scale)
    crops = [scene.cut(face) for face in scene.faces]
    portraits = []
    for face, crop in zip(scene.faces, crops, strict=True):
        # Equal crops are different faces: identity tells them apart.
        others = [other for other in crops if other is not crop]
        portraits.append(scene.encode(face, crop, others))
    return portraits


def copy_picture(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return a copy of a picture, without an odd last row or column.

    Raises:
      ValueError: it is no RGB picture, or too small.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"the picture is {image.dtype}, {image.shape}: "
            "give RGB as uint8 (height, width, 3)"
        )
    return trim_to_even(image).copy()


@dataclass(frozen=True)
class _Scene:
    """A picture whose faces are found.

    Attributes:
      reduced: the picture as detector and networks see it.
      faces: its faces, the largest first.
      zoom: how many times tighter than LivePortrait's the networks' crops are.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    reduced: UInt8[np.ndarray, "r c 3"]
    faces: list[Face]
    renderer: Renderer
    zoom: float
    crop_scale: float

    @classmethod
    def find(
        cls,
        picture: UInt8[np.ndarray, "h w 3"],
        renderer: Renderer,
        detector: Detector,
        crop_scale: float,
    ) -> Self:
        if detector.keeps_crop and crop_scale != SOURCE_SCALE:
            raise OptionError(
                f"crop_scale is {crop_scale:g}, and detector {detector.name} crops nothing: leave out either"
            )
        # Detection and the networks need no more than a reduced picture.
        reduced = reduce(picture)
        faces = detect_faces(reduced, detector)
        zoom = 1.0 if detector.keeps_crop else renderer.crop_zoom
        return cls(picture, reduced, faces, renderer, zoom, crop_scale)

    def cut(self, face: Face) -> FaceCrop:
        """Cut a face out of the reduced picture."""
        scale = self.crop_scale / self.zoom
        return crop_face(self.reduced, frame_face(face.hull, scale))

    def place(self, crop: FaceCrop) -> Place:
        """Return a crop's place in the picture at its full resolution."""
        whole = to_full_resolution(crop, self.reduced.shape, self.picture.shape)
        # Crops are square: the height is the side.
        return Place(whole.crop_to_image, whole.image.shape[0])

    def encode(
        self, face: Face, crop: FaceCrop, others: Sequence[FaceCrop] = ()
    ) -> Portrait:
        """Encode a face.

        Args:
          others: crops of faces that are pasted beside it.
        """
        network_crop = network_input(crop, self.renderer.image_size)
        source = self.renderer.source(network_crop, self.zoom)
        correction = None
        if self.zoom > 1:
            # The first chunk of a clip needs this program anyway.
            unmoved = self.renderer.frames(source, np.asarray(source.keypoints))
            correction = color_correction(network_crop, next(unmoved)[0])
        # Frames are pasted into the picture at its full resolution.
        place = self.place(crop)
        # The share of a crop multiplies its soft border.
        mask = soft_mask(place.side, mask_border(self.zoom))
        if others:
            mask = mask * crop_share(place, [self.place(other) for other in others])
        paste = PasteBack(
            self.picture, place.crop_to_image, place.side, mask, correction
        )
        height, width = self.picture.shape[:2]
        return Portrait(
            source,
            paste,
            (width, height),
            network_crop,
            passed_over=len(self.faces) - 1,
            doubt=face.doubt,
            openness=face.openness,
            gaze=face.gaze,
        )
