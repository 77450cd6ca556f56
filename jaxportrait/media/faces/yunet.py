"""OpenCV's YuNet: a small network with a free licence (MIT), whose file the user passes.

This module is tested on generated graphs with the published inputs and outputs, and not
with the published weights.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import (
    FaceRectangle,
    landmark_hull,
    resize_matrix,
    transform_points,
)
from jaxportrait.media.faces.face import DetectorUnavailableError, Face
from jaxportrait.media.image import reduce

FILES = "face_detection_yunet*.onnx"

SEARCH_SIDE = 640
"""Longer side of the picture that is searched, in pixels: YuNet finds faces of 10 to 300
pixels, so that it would miss a portrait in a larger one."""
SCORE_THRESHOLD = 0.6
OVERLAP_THRESHOLD = 0.3

# Five points -> the hull: means over 13 faces marked by hand, as for the Haar cascades.
# The centre lies this part of the way from the eyes to the mouth; the side is the
# larger of two estimates, since a face that looks down shortens one and a face that
# looks aside the other.
HULL_DOWN = 0.65
HULL_IN_EYE_TO_MOUTH = 1.95
HULL_IN_EYE_TO_EYE = 2.05


class YunetDetector:
    """Finds faces with YuNet: boxes, and eyes, nose and mouth corners.

    Not for several threads at once: OpenCV's detector keeps state.

    Args:
      path: `face_detection_yunet_2023mar.onnx` or a variant of it, from OpenCV's model
        zoo.

    Raises:
      DetectorUnavailableError: the file is not YuNet's, or another version's.
    """

    def __init__(self, path: Path):
        size = (SEARCH_SIDE, SEARCH_SIDE)
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(path), "", size, SCORE_THRESHOLD, OVERLAP_THRESHOLD
            )
            # only a run shows whether a file holds another network
            self._network.detect(np.zeros((*size, 3), np.uint8))
        except cv2.error as error:
            raise DetectorUnavailableError(
                f"yunet needs {path}, which OpenCV cannot use",
                "download it again from OpenCV's model zoo",
            ) from error

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Find the faces of an RGB picture; the score lies between 0 and 1."""
        small = reduce(image, SEARCH_SIDE)
        self._network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        enlarge = resize_matrix(small.shape, image.shape)
        return [] if rows is None else [_face(row, enlarge) for row in rows]


def _face(row: Float[np.ndarray, "15"], enlarge: Float[np.ndarray, "3 3"]) -> Face:
    """Return the face of a row of YuNet's output.

    Args:
      row: x, y, width, height, five points, score; the first point is the left eye of
        the picture.
      enlarge: matrix from the searched picture to the full one.
    """
    corner = row[:2]
    opposite = corner + row[2:4]
    places = np.concatenate([[corner, opposite], row[4:14].reshape(5, 2)])
    places = transform_points(places, enlarge)
    (left, top), (right, bottom) = places[:2].tolist()
    points = places[2:]
    return Face(
        (left, top, right, bottom),
        float(row[14]),
        _hull(points),
        eyes=points[:2],
        landmarks=points,
    )


def _hull(points: Float[np.ndarray, "5 2"]) -> FaceRectangle:
    """Estimate the square around a face from eyes, nose and mouth corners."""
    left_eye, right_eye = points[:2]
    mouth = points[3:].mean(axis=0)
    eyes = (left_eye + right_eye) / 2
    x, y = eyes + HULL_DOWN * (mouth - eyes)
    size = max(
        HULL_IN_EYE_TO_MOUTH * np.linalg.norm(mouth - eyes),
        HULL_IN_EYE_TO_EYE * np.linalg.norm(right_eye - left_eye),
    )
    angle = landmark_hull(points).angle
    return FaceRectangle((float(x), float(y)), float(size), angle)
