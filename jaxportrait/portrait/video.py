"""`PortraitVideo`: the face of a source video, followed, cropped and read."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import jax
import numpy as np
from jaxtyping import Float, Float32, Int, Int16, UInt8

from jaxportrait.media.audio import Audio
from jaxportrait.media.crop import CROP_SIZE
from jaxportrait.media.faces import Detector
from jaxportrait.media.follow import follow_face
from jaxportrait.media.footage import Footage, to_and_fro
from jaxportrait.media.image import reduce
from jaxportrait.media.mouth import mouth_mask
from jaxportrait.media.paste import (
    PasteBack,
    color_correction,
    mask_border,
    soft_mask,
)
from jaxportrait.media.rates import exact_rate
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import rest_lips
from jaxportrait.motion.space import MOTION_FPS, KeypointGroups
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.rest import RestPolicy
from jaxportrait.pipeline.retarget_video import VideoFaces, held_openness
from jaxportrait.portrait.base import Frame, finish_in_threads
from jaxportrait.portrait.film import Cut, FilmedFace
from jaxportrait.renderer import READ_BATCH, Renderer

T = TypeVar("T")
CORRECTION_FRAMES = 8
"""Frames whose colours are compared with their unmoved renderings."""


@dataclass(frozen=True)
class PortraitVideo:
    """A source video, ready to be animated any number of times; a `Subject`.

    Its pictures are decoded again whenever they are needed. Of every frame a few hundred
    numbers are held.

    Attributes:
      film: the pictures, and the way of the face through them.
      faces: keypoints and motion of every frame; a frame without a face has those of
        the nearest one with a face.
      order: the video's frame in every frame of the clip.
      audio: sound of the video, from its first frame on; None for a silent one.
      mask: weights of a pasted crop.
      correction: colours to add to every crop.
    """

    film: FilmedFace
    faces: VideoFaces
    order: Int[np.ndarray, " n"]
    audio: Audio | None
    mask: Float32[np.ndarray, "c c"]
    correction: Int16[np.ndarray, "S S 3"] | None = None

    def __repr__(self) -> str:
        width, height = self.size
        count = len(self.faces)
        return f"PortraitVideo({count} frames of {width}x{height} pixels, {self.fps:g} a second)"

    @property
    def size(self) -> tuple[int, int]:
        return self.film.footage.size

    @property
    def fps(self) -> float:
        return rate_of(self.film.footage)

    @property
    def passed_over(self) -> int:
        return self.film.path.passed_over

    @property
    def doubt(self) -> str | None:
        return self.film.path.doubt

    @property
    def openness(self) -> Float32[np.ndarray, "frames 3"] | None:
        """Openness of eyes and lips in every frame, where it is known."""
        return self.faces.openness

    @property
    def absences(self) -> str:
        """A line that says when the face is out of sight; empty if it never is."""
        return self.film.path.absences

    def play(self, fps: float, count: int) -> Self:
        """Return the video as a clip shows it: forwards and backwards in turn, if it is
        shorter."""
        return replace(self, order=to_and_fro(self.film.path.times, fps, count))

    def most_frames(self, fps: float) -> int:
        """Return the frames of a clip that plays the video once."""
        # The first frame and the last one both count.
        return round(self.film.path.seconds * fps) + 1

    def with_lips_only(self, groups: KeypointGroups) -> Self:
        """Return the video for lip-sync: its own lips rest, and only the mouth is
        pasted.

        Args:
          groups: the keypoints of the lips.
        """
        shown = self.film.shown
        motion = self.faces.frames.motion
        # Frames without a face repeat another's motion, which would count twice.
        expression = np.asarray(motion.expression)[shown]
        lips = rest_lips(np.asarray(motion.keypoints)[shown], expression, groups)
        faces = replace(self.faces, lips_at_rest=lips)
        return replace(self, faces=faces, mask=mouth_mask(self.film.zoom))

    def keypoints(
        self,
        renderer: Renderer,
        motion: MotionClip,
        rest: RestPolicy | MotionClip,
        retargeting: Retargeting,
    ) -> Float[np.ndarray, "n k 3"]:
        """Return the driving keypoints of every frame; see
        `Renderer.video_keypoints`."""
        faces = self.faces.rows(self.order)
        return renderer.video_keypoints(faces, motion, rest, retargeting)

    def originals(self) -> Iterator[Frame]:
        """Decode the video's pictures, in the order of the clip."""
        return self.film.footage.play(self.film.path.times, self.order)

    def frames(
        self,
        renderer: Renderer,
        keypoints: Float[np.ndarray, "n k 3"],
        finish: Callable[[Frame], T],
    ) -> Iterator[T]:
        """Decode and crop frames, render them ahead on the devices, paste and finish
        them in threads, and yield them in order."""
        # Frames wait here while the devices work on their crops.
        waiting = deque[Cut]()

        def crops() -> Iterator[UInt8[np.ndarray, "s s 3"]]:
            for cut in self.film.cuts(self.order, renderer.chunk_size):
                waiting.append(cut)
                yield cut.crop

        def complete(pair: tuple[Cut, UInt8[np.ndarray, "S S 3"]]) -> T:
            return finish(self._paste(*pair))

        # frames k 3 -> n k 3
        source = np.asarray(self.faces.frames.keypoints)[self.order]
        rendered = renderer.video_frames(crops(), source, keypoints, self.film.zoom)
        pairs = ([(waiting.popleft(), crop) for crop in batch] for batch in rendered)
        return finish_in_threads(pairs, complete)

    def _paste(self, cut: Cut, crop: UInt8[np.ndarray, "S S 3"]) -> Frame:
        # Frames without a face stay as they are.
        if not cut.is_shown:
            return cut.picture
        paste = PasteBack(
            cut.picture, cut.crop_to_image, CROP_SIZE, self.mask, self.correction
        )
        return paste(crop)


def prepare_video(
    footage: Footage,
    renderer: Renderer,
    detector: Detector,
    *,
    face: int | None = None,
    every_frame: bool = False,
) -> PortraitVideo:
    """Follow the face of a video, and read its motion.

    The video is decoded twice. For crops that are tighter than LivePortrait's, a few
    unmoved frames are rendered as well.

    Args:
      face: number of the face to animate, 0 the largest; by default that.
      every_frame: look at every frame, for the openness of eyes and lips.

    Raises:
      NoFaceError: there is no face.
      ValueError: there is no such face, or the file is damaged.
    """
    looks = ((seconds, reduce(picture)) for seconds, picture in footage)
    path = follow_face(looks, detector, face=face, every_frame=every_frame)
    zoom = 1.0 if detector.keeps_crop else renderer.crop_zoom
    film = FilmedFace(footage, path, zoom, renderer.image_size)
    audio = None
    if footage.has_sound:
        sound = Audio.open(footage.path, allow_video=True)
        # The first picture may come later than the first sample.
        audio = sound.since(float(path.times[0]))
    return PortraitVideo(
        film,
        _read_faces(film, renderer),
        np.arange(len(path.times)),
        audio,
        soft_mask(CROP_SIZE, mask_border(zoom)),
        _correct_colors(film, renderer) if zoom > 1 else None,
    )


def rate_of(footage: Footage) -> float:
    """Return the exact rate of a video; that of motion where it states none."""
    return float(exact_rate(footage.fps)) or MOTION_FPS


def _read_faces(film: FilmedFace, renderer: Renderer) -> VideoFaces:
    """Return the faces of all frames of a video."""
    shown = np.flatnonzero(film.shown)
    crops = (cut.crop for cut in film.cuts(shown, READ_BATCH))
    frames = renderer.read_video(crops)
    # A frame without a face has the motion of the nearest one with a face.
    number = np.arange(len(film.shown))
    nearest = np.rint(np.interp(number, shown, np.arange(len(shown)))).astype(int)
    frames = jax.tree.map(lambda array: array[nearest], frames)
    openness = film.path.openness
    if openness is None:
        return VideoFaces(frames, film.path.shots)
    rows = openness.astype(np.float32)
    # Columns: the left eye, the right eye, the lips.
    first_eyes = held_openness(rows[shown[0], :2])
    return VideoFaces(frames, film.path.shots, rows, first_eyes)


def _correct_colors(film: FilmedFace, renderer: Renderer) -> Int16[np.ndarray, "S S 3"]:
    """Return the colours to add to crops: those that the unmoved frames lack, in the
    mean over a few of them, so that nothing flickers."""
    shown = np.flatnonzero(film.shown)
    # Spread over the whole video; a very short one's frames count repeatedly.
    places = np.linspace(0, len(shown) - 1, CORRECTION_FRAMES).round().astype(int)
    crops = [cut.crop for cut in film.cuts(shown[places], READ_BATCH)]
    keypoints = np.asarray(renderer.read_video(crops).keypoints)
    # Driven by the source's own keypoints, nothing moves.
    batches = list(renderer.video_frames(crops, keypoints, keypoints, film.zoom))
    corrections = []
    for crop, unmoved in zip(crops, np.concatenate(batches), strict=True):
        corrections.append(color_correction(crop, unmoved))
    return np.mean(corrections, axis=0).round().astype(np.int16)
