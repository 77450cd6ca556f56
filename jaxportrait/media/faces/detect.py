"""Choose a detector, find the faces of a picture, choose one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from jaxportrait.media.crop import SOURCE_SCALE, SOURCE_SHIFT, FaceRectangle
from jaxportrait.media.faces import blazeface, insightface, yunet
from jaxportrait.media.faces.dnn import MESH_REMEDY, find_model, find_optional
from jaxportrait.media.faces.face import DetectorUnavailableError, Face
from jaxportrait.media.faces.haar import HaarDetector
from jaxportrait.media.faces.insightface import InsightFaceDetector
from jaxportrait.media.faces.iris import IRIS_FILE
from jaxportrait.media.faces.mesh import MESH_FILE, MeshDetector
from jaxportrait.media.faces.openness import Openness
from jaxportrait.media.faces.yunet import YunetDetector

DetectorName = Literal["auto", "insightface", "mesh", "yunet", "haar", "none"]
AUTO_ORDER = ("insightface", "mesh", "yunet", "haar")
"""The detectors that `auto` tries, best first."""

# Folders of model files below the one that is passed: LivePortrait's
# `pretrained_weights`, InsightFace's layout, or none.
MODEL_FOLDERS = (
    "",
    "insightface/models/buffalo_l",
    "models/buffalo_l",
    "buffalo_l",
    "liveportrait",
)


Find = Callable[[UInt8[np.ndarray, "h w 3"]], list[Face]]
"""Finds the faces of an RGB picture, in any order."""


class NoFaceError(ValueError):
    """No face was found in a picture."""


@dataclass(frozen=True)
class Detector:
    """A face detector, ready for use.

    Attributes:
      name: name of the detector.
      find: finds the faces of an RGB picture, in any order.
      passed_over: reasons why better detectors were not used, one line each.
      recorded: true where it was preferred because the networks' crops were made with
        it.
    """

    name: str
    find: Find
    passed_over: tuple[str, ...] = ()
    recorded: bool = False

    @property
    def summary(self) -> str:
        """A line for the user about the choice."""
        reason = ", as in the networks' training" if self.recorded else ""
        return f"faces are found by {self.name}{reason}"

    @property
    def is_fallback(self) -> bool:
        """True for the Haar cascade where nothing better is available."""
        return self.name == "haar" and bool(self.passed_over)

    @property
    def tells_openness(self) -> bool:
        """True where its landmarks tell how far eyes and lips are open."""
        return getattr(self.find, "tells_openness", False)

    def find_openness(self, crop: UInt8[np.ndarray, "s s 3"]) -> Openness | None:
        """Return the openness of the largest face in a picture, where it tells it."""
        faces = self.find(crop)
        if not faces:
            return None
        return max(faces, key=lambda face: face.area).openness

    @property
    def keeps_crop(self) -> bool:
        """True for pictures that are already cropped, so that nothing else is cut out
        of them."""
        return self.name == "none"


def open_detector(
    name: DetectorName = "auto",
    models: str | Path | None = None,
    *,
    recorded: str | None = None,
) -> Detector:
    """Load a detector.

    Args:
      name: `insightface`, `mesh`, `yunet`, `haar`; `none` for pictures already cropped,
        whose largest centred square is the crop; `auto` for `recorded`, or else for the
        first of InsightFace, mesh, YuNet and Haar that is available.
      models: folder of the model files, which InsightFace and YuNet need; the mesh's
        files are found in other places too (see `dnn.find_model`).
      recorded: the detector that the networks' crops were made with, if it is known.

    Raises:
      FileNotFoundError: `models` is no folder.
      DetectorUnavailableError: a detector chosen by name lacks its files or runtime, or
        `auto` finds none.
      ValueError: no such detector.
    """
    folder = None if models is None else Path(models)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder} of detector models: check the name"
        )
    if name == "auto":
        return _open_first(folder, recorded)
    if name not in OPENERS:
        raise ValueError(
            f"there is no detector {name!r}: choose one of auto, {', '.join(OPENERS)}"
        )
    return Detector(name, OPENERS[name](folder))


def open_irises(models: str | Path | None = None) -> MeshDetector:
    """Open the face mesh with its iris model.

    Args:
      models: see `open_detector`.

    Raises:
      DetectorUnavailableError: a file is missing.
    """
    folder = None if models is None else Path(models)
    # Without the iris model the mesh is no use here: its absence is named.
    find_model(IRIS_FILE, folder)
    return _open_mesh(folder)


def detect_faces(image: UInt8[np.ndarray, "h w 3"], detector: Detector) -> list[Face]:
    """Find the faces of a picture, largest first.

    Args:
      image: RGB; `reduce` it first, since detectors need at most some 1280 pixels.
      detector: from `open_detector`.

    Raises:
      NoFaceError: there is none; the message names the detectors that were tried.
    """
    faces = detector.find(image)
    if not faces:
        raise NoFaceError(_no_face_message(image, detector))
    # The largest face is the one that users mean.
    return sorted(faces, key=lambda face: face.area, reverse=True)


def choose_face(faces: list[Face], index: int | None = None) -> Face:
    """Return one of the faces of a picture.

    Args:
      faces: faces of the picture, largest first.
      index: number of the face, from 0; by default the largest.

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


def _open_first(folder: Path | None, recorded: str | None) -> Detector:
    """Return the recorded detector, or else the first that is available."""
    # A stable sort: the recorded one comes first, the others keep their order.
    order = sorted(AUTO_ORDER, key=lambda name: name != recorded)
    passed_over = []
    for name in order:
        try:
            find = OPENERS[name](folder)
        except DetectorUnavailableError as error:
            passed_over.append(error.reason)
            continue
        return Detector(name, find, tuple(passed_over), recorded=name == recorded)
    raise DetectorUnavailableError(
        f"no face detector is available ({'; '.join(passed_over)})", MESH_REMEDY
    )


def _open_insightface(folder: Path | None) -> InsightFaceDetector:
    detector = _require_model(folder, insightface.DETECTOR_FILE, "insightface")
    landmarks = _require_model(folder, insightface.LANDMARK_FILE, "insightface")
    return InsightFaceDetector(
        detector, landmarks, _find_model(folder, insightface.FINE_LANDMARK_FILE)
    )


def _open_yunet(folder: Path | None) -> YunetDetector:
    return YunetDetector(_require_model(folder, yunet.FILES, "yunet"))


def _open_mesh(folder: Path | None) -> MeshDetector:
    return MeshDetector(
        find_model(blazeface.SHORT_RANGE, folder),
        find_model(blazeface.FULL_RANGE, folder),
        find_model(MESH_FILE, folder),
        find_optional(IRIS_FILE, folder),
    )


def _open_haar(_: Path | None) -> HaarDetector:
    return HaarDetector()


def _open_none(_: Path | None) -> Find:
    return lambda image: [_whole_picture(image)]


OPENERS: dict[str, Callable[[Path | None], Find]] = {
    "insightface": _open_insightface,
    "mesh": _open_mesh,
    "yunet": _open_yunet,
    "haar": _open_haar,
    "none": _open_none,
}
"""Name -> function that opens a detector, given a folder of model files."""


def _whole_picture(image: UInt8[np.ndarray, "h w 3"]) -> Face:
    """Return a face whose crop, framed like that of a source, is the largest centred
    square."""
    height, width = image.shape[:2]
    side = min(height, width)
    x = width / 2
    y = height / 2
    half = side / 2
    box = (x - half, y - half, x + half, y + half)
    hull = FaceRectangle((x, y - SOURCE_SHIFT * side), side / SOURCE_SCALE)
    return Face(box, 1.0, hull)


def _find_model(folder: Path | None, pattern: str) -> Path | None:
    if folder is None:
        return None
    for name in MODEL_FOLDERS:
        paths = sorted((folder / name).glob(pattern))
        if paths:
            return paths[0]
    return None


def _require_model(folder: Path | None, pattern: str, detector: str) -> Path:
    path = _find_model(folder, pattern)
    if path is None:
        place = "no folder of models was given"
        if folder is not None:
            place = f"{folder} holds none"
        raise DetectorUnavailableError(
            f"{detector} needs {pattern}, {place}",
            "name its folder",
        )
    return path


def _no_face_message(image: UInt8[np.ndarray, "h w 3"], detector: Detector) -> str:
    height, width = image.shape[:2]
    passed_over = ""
    better = ""
    if detector.passed_over:
        passed_over = f" (passed over: {'; '.join(detector.passed_over)})"
    if detector.is_fallback:
        better = f", or get the face mesh ({MESH_REMEDY})"
    return (
        f"no face found in the {width}x{height} picture by {detector.name}{passed_over}: "
        f"use a picture with a larger face seen from the front{better}; if the picture is already "
        "cropped to the face, choose the detector none"
    )
