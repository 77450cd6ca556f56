"""`Preparer`: portraits of pictures and videos, and motion of videos."""

from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TypeGuard

import numpy as np
from jaxtyping import UInt8

from jaxportrait.drivers.base import SourceFace
from jaxportrait.drivers.video import DrivingCrop, VideoDriver
from jaxportrait.media.crop import SOURCE_SCALE
from jaxportrait.media.faces import Detector, Face
from jaxportrait.media.faces.box import Box, open_box
from jaxportrait.media.footage import Footage, is_video
from jaxportrait.media.image import read_image
from jaxportrait.media.memory import FileSource, is_file_source
from jaxportrait.motion.clip import MotionClip
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.portrait.base import Subject
from jaxportrait.portrait.eyes import read_source_face
from jaxportrait.portrait.picture import (
    Portrait,
    copy_picture,
    prepare_portrait,
    prepare_portraits,
)
from jaxportrait.portrait.video import PortraitVideo, prepare_video
from jaxportrait.renderer import Renderer

AnyPicture = FileSource | UInt8[np.ndarray, "h w 3"]
"""A picture: a file, or RGB."""
AnySource = AnyPicture | Footage | Portrait | PortraitVideo
"""A source: a file, a picture, or one that was prepared."""


class Preparer:
    """A renderer and a face detector that make portraits.

    Attributes:
      renderer: makes frames of motion.
      detector: finds the face in a picture.
      detector_models: folder of model files.
    """

    def __init__(
        self,
        renderer: Renderer,
        detector: Detector,
        detector_models: str | Path | None = None,
    ):
        self.renderer = renderer
        self.detector = detector
        self.detector_models = detector_models
        self._detecting = Lock()

    def prepare(
        self,
        image: AnyPicture,
        *,
        face: int | None = None,
        crop_scale: float = SOURCE_SCALE,
        box: Box | None = None,
    ) -> Portrait:
        """Find the face, crop it, and encode it.

        Threads may call it at once; one of them detects at a time. For a crop that is
        tighter than LivePortrait's, the unmoved frame is rendered as well.

        Args:
          image: a picture file by its path, its content or a file object; or an RGB
            picture, which is copied. An odd last row or column is dropped.
          face: number of the face to animate, 0 the largest; by default that.
          crop_scale: side of the crop in sides of the face, before it is made tighter
            for networks that need that.
          box: left, top, width and height in pixels of a box around the face, for
            animals and other faces that no detector finds; by default one is detected.

        Raises:
          NoFaceError: none of the detectors finds a face.
          ValueError, OSError: the picture cannot be read, or there is no such face.
        """
        whole = open_picture(image)
        detector = self._shared_detector()
        if box is not None:
            detector = open_box(box, (whole.shape[1], whole.shape[0]))
        return prepare_portrait(whole, self.renderer, detector, face, crop_scale)

    def prepare_all(self, image: AnyPicture) -> list[Portrait]:
        """Find, crop and encode all faces of a picture, the largest first; see
        `prepare`."""
        whole = open_picture(image)
        return prepare_portraits(whole, self.renderer, self._shared_detector())

    def prepare_video(
        self,
        video: str | Path | Footage,
        *,
        face: int | None = None,
        every_frame: bool = False,
    ) -> PortraitVideo:
        """Follow the face of a source video, and read its motion.

        Args:
          video: a video by its path, or opened.
          face: number of the face to animate, 0 the largest; by default that.
          every_frame: look at every frame, for options that need the openness of eyes
            and lips.

        Raises:
          NoFaceError: the detector finds no face.
          ValueError, OSError: the file cannot be read, or there is no such face.
        """
        footage = video if isinstance(video, Footage) else Footage(video)
        return prepare_video(
            footage,
            self.renderer,
            self._shared_detector(),
            face=face,
            every_frame=every_frame,
        )

    def read_motion(self, video: str | Path, fps: float) -> MotionClip:
        """Read the motion of the largest face of a video, at so many frames a second,
        with the openness of eyes and lips where the detector tells it.

        Raises:
          NoFaceError: there is no steady face.
          ValueError, OSError: the file cannot be read.
        """
        return self.video_driver(fps, reads_openness=True).make(video)

    def video_driver(
        self,
        fps: float,
        *,
        crop: DrivingCrop = DrivingCrop(),
        reads_openness: bool = False,
    ) -> VideoDriver:
        """Return a reader of the motion of faces; see `VideoDriver` for details."""
        return VideoDriver(
            read=self.renderer.read,
            detector=self._shared_detector(),
            image_size=self.renderer.image_size,
            zoom=self.renderer.crop_zoom,
            fps=fps,
            crop=crop,
            reads_openness=reads_openness and self.detector.tells_openness,
        )

    def source_face(self, portrait: Portrait) -> SourceFace:
        """Return the face of a portrait as a driver reads it that is conditioned on the
        source.

        Raises:
          DetectorUnavailableError: the face mesh or its iris model is missing.
          NoFaceError: the mesh does not see the face.
        """
        with self._detecting:
            return read_source_face(portrait, self.detector, self.detector_models)

    def open_source(self, image: AnySource, retargeting: Retargeting) -> Subject:
        """Return a source that was prepared, or prepare it by its content."""
        if isinstance(image, Portrait | PortraitVideo):
            subject = image
        elif isinstance(image, Footage) or is_video_file(image):
            every_frame = retargeting.needs_openness
            subject = self.prepare_video(image, every_frame=every_frame)
        else:
            subject = self.prepare(image)
        retargeting.check_source(is_video=subject.fps is not None)
        return subject

    def _shared_detector(self) -> Detector:
        """Return the detector for threads that look for faces at once.

        Detectors keep the picture that they look at, so that one thread at a time may
        use them.
        """
        return replace(self.detector, find=self._find)

    def _find(self, picture: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        with self._detecting:
            return self.detector.find(picture)


def open_picture(image: AnyPicture) -> UInt8[np.ndarray, "h w 3"]:
    """Read a picture file, or copy a picture."""
    is_file = is_file_source(image)
    return read_image(image) if is_file else copy_picture(np.asarray(image))


def is_video_file(image: object) -> TypeGuard[str | Path]:
    """Return whether a source is a video by its path."""
    return isinstance(image, str | Path) and is_video(image)
