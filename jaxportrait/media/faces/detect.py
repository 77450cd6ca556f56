"""Choose a detector, find the faces of a picture, choose one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from jaxportrait.media.crop import SOURCE_SCALE, SOURCE_SHIFT, FaceRectangle
from jaxportrait.media.faces import insightface, yunet
from jaxportrait.media.faces.face import DetectorUnavailableError, Face
from jaxportrait.media.faces.haar import HaarDetector
from jaxportrait.media.faces.insightface import InsightFaceDetector
from jaxportrait.media.faces.yunet import YunetDetector

DetectorName = Literal["auto", "insightface", "yunet", "haar", "none"]

# Where model files lie below the folder given: LivePortrait's `pretrained_weights`,
# InsightFace's own, or loose.
MODEL_FOLDERS = (
    "",
    "insightface/models/buffalo_l",
    "models/buffalo_l",
    "buffalo_l",
    "liveportrait",
)


class NoFaceError(ValueError):
    """No face was found in a picture."""


@dataclass(frozen=True)
class Detector:
    """A way to find faces, ready for use.

    Attributes:
      name: which one it is.
      find: the faces of an RGB picture, in any order.
      passed_over: why better ones were not taken, one line each.
    """

    name: str
    find: Callable[[UInt8[np.ndarray, "h w 3"]], list[Face]]
    passed_over: tuple[str, ...] = ()

    @property
    def keeps_crop(self) -> bool:
        """Whether pictures are taken as cropped already, so that nothing else is cut
        out of them."""
        return self.name == "none"


def open_detector(
    name: DetectorName = "auto", models: str | Path | None = None
) -> Detector:
    """Load a detector.

    Args:
      name: `insightface`, `yunet`, `haar`; `none` for pictures already cropped: the
        largest centred square is the crop; `auto` for the first of the three that is
        available.
      models: the folder of the model files, which InsightFace and YuNet need.

    Raises:
      FileNotFoundError: `models` is no folder.
      DetectorUnavailableError: the detector asked for by name lacks its files or
        runtime.
      ValueError: no such detector.
    """
    folder = None if models is None else Path(models)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder} of detector models: check the name"
        )
    openers = {
        "insightface": _open_insightface,
        "yunet": _open_yunet,
        "haar": _open_haar,
        "none": _open_none,
    }
    if name == "auto":
        return _open_first(folder)
    if name not in openers:
        raise ValueError(
            f"there is no detector {name!r}: choose one of auto, {', '.join(openers)}"
        )
    return Detector(name, openers[name](folder))


def detect_faces(image: UInt8[np.ndarray, "h w 3"], detector: Detector) -> list[Face]:
    """The faces of a picture, largest first.

    Args:
      image: RGB; `reduce` it first, since detectors want no more than some 1280 pixels.
      detector: from `open_detector`.

    Raises:
      NoFaceError: there is none; says which detectors were tried and what can be done.
    """
    faces = detector.find(image)
    if not faces:
        raise NoFaceError(_no_face_message(image, detector))
    return sorted(faces, key=lambda face: face.area, reverse=True)


def choose_face(faces: list[Face], index: int | None = None) -> Face:
    """One of the faces found.

    Args:
      faces: largest first.
      index: which one, from 0; the largest if left out.

    Raises:
      ValueError: there is no face of that number.
    """
    if index is None:
        return faces[0]
    if not 0 <= index < len(faces):
        raise ValueError(
            f"there is no face {index}: the picture has {len(faces)}, numbered from 0, largest first"
        )
    return faces[index]


def _open_first(folder: Path | None) -> Detector:
    passed_over = []
    for name, opener in (("insightface", _open_insightface), ("yunet", _open_yunet)):
        try:
            return Detector(name, opener(folder), tuple(passed_over))
        except DetectorUnavailableError as error:
            passed_over.append(error.reason)
    return Detector("haar", _open_haar(folder), tuple(passed_over))


def _open_insightface(folder: Path | None) -> InsightFaceDetector:
    detector = _require_model(folder, insightface.DETECTOR_FILE, "insightface")
    landmarks = _require_model(folder, insightface.LANDMARK_FILE, "insightface")
    return InsightFaceDetector(
        detector, landmarks, _find_model(folder, insightface.FINE_LANDMARK_FILE)
    )


def _open_yunet(folder: Path | None) -> YunetDetector:
    return YunetDetector(_require_model(folder, yunet.FILES, "yunet"))


def _open_haar(_: Path | None) -> HaarDetector:
    return HaarDetector()


def _open_none(_: Path | None) -> Callable[[UInt8[np.ndarray, "h w 3"]], list[Face]]:
    return lambda image: [_whole_picture(image)]


def _whole_picture(image: UInt8[np.ndarray, "h w 3"]) -> Face:
    """The largest centred square as a face whose crop, framed as sources are, is that
    square."""
    height, width = image.shape[:2]
    side = min(height, width)
    x, y = width / 2, height / 2
    hull = FaceRectangle((x, y - SOURCE_SHIFT * side), side / SOURCE_SCALE)
    return Face((x - side / 2, y - side / 2, x + side / 2, y + side / 2), 1.0, hull)


def _find_model(folder: Path | None, pattern: str) -> Path | None:
    found = (
        ()
        if folder is None
        else (
            path
            for sub in MODEL_FOLDERS
            for path in sorted((folder / sub).glob(pattern))
        )
    )
    return next(iter(found), None)


def _require_model(folder: Path | None, pattern: str, detector: str) -> Path:
    path = _find_model(folder, pattern)
    if path is None:
        where = (
            "no folder of models was given"
            if folder is None
            else f"{folder} holds none"
        )
        raise DetectorUnavailableError(
            f"{detector} needs {pattern}, {where}",
            "name its folder by --detector-models",
        )
    return path


def _no_face_message(image: UInt8[np.ndarray, "h w 3"], detector: Detector) -> str:
    height, width = image.shape[:2]
    passed_over = (
        f" (passed over: {'; '.join(detector.passed_over)})"
        if detector.passed_over
        else ""
    )
    return (
        f"no face found in the {width}x{height} picture by {detector.name}{passed_over}: take a picture with a larger "
        "face seen from the front, give model files by --detector-models, or, if the picture is already cropped to "
        "the face, --detector none"
    )
