"""`Portrait`: the face of a picture, found, cropped and encoded."""

from collections.abc import Callable, Iterator
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
from jaxportrait.media.faces import Detector, Openness, choose_face, detect_faces
from jaxportrait.media.image import reduce
from jaxportrait.media.paste import (
    PasteBack,
    color_correction,
    mask_border,
    soft_mask,
)
from jaxportrait.motion.clip import MotionClip
from jaxportrait.pipeline.rest import RestPolicy
from jaxportrait.pipeline.retarget import Retargeting
from jaxportrait.portrait.base import Frame, finish_in_threads
from jaxportrait.ranges import OptionError
from jaxportrait.renderer import Renderer
from jaxportrait.types import Source

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
    if detector.keeps_crop and crop_scale != SOURCE_SCALE:
        raise OptionError(
            f"crop_scale is {crop_scale:g}, and detector {detector.name} crops nothing: leave out either"
        )
    # Detection and the networks need no more than a reduced picture.
    reduced = reduce(picture)
    faces = detect_faces(reduced, detector)
    chosen = choose_face(faces, face)
    zoom = 1.0 if detector.keeps_crop else renderer.crop_zoom
    crop = crop_face(reduced, frame_face(chosen.hull, crop_scale / zoom))
    network_crop = network_input(crop, renderer.image_size)
    source = renderer.source(network_crop, zoom)
    correction = None
    if zoom > 1:
        # The first chunk of a clip needs this program anyway.
        unmoved = renderer.frames(source, np.asarray(source.keypoints))
        correction = color_correction(network_crop, next(unmoved)[0])
    # Frames are pasted into the picture at its full resolution.
    crop = to_full_resolution(crop, reduced.shape, picture.shape)
    side = crop.image.shape[0]
    mask = soft_mask(side, mask_border(zoom))
    paste = PasteBack(picture, crop.crop_to_image, side, mask, correction)
    return Portrait(
        source,
        paste,
        (picture.shape[1], picture.shape[0]),
        network_crop,
        passed_over=len(faces) - 1,
        doubt=chosen.doubt,
        openness=chosen.openness,
        gaze=chosen.gaze,
    )
