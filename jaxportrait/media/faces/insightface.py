"""InsightFace's networks in LivePortrait's use: a detector, 106 landmarks and 203 finer
ones, in ONNX files.

The weights are for non-commercial use. This module is tested on generated graphs with
the published inputs and outputs, and not with the published weights.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import (
    FaceRectangle,
    crop_face,
    eye_centers,
    frame_face,
    landmark_hull,
    transform_points,
)
from jaxportrait.media.faces.dnn import best_boxes
from jaxportrait.media.faces.face import DetectorUnavailableError, Face

DETECTOR_FILE = "det_10g.onnx"
LANDMARK_FILE = "2d106det.onnx"
FINE_LANDMARK_FILE = "landmark.onnx"

# SCRFD: outputs are scores, boxes and keypoints, each at three strides, with two anchors
# per cell.
DETECTOR_SIDE = 512
STRIDES = (8, 16, 32)
ANCHORS = 2
SCORE_THRESHOLD = 0.1
OVERLAP_THRESHOLD = 0.4

# Crops that the landmark networks read: side in pixels, side in boxes or hulls of the
# face, shift down in sides of the crop.
LANDMARK_SIDE = 192
LANDMARK_SCALE = 1.5
FINE_SIDE = 224
FINE_SCALE = 1.5
FINE_SHIFT = -0.1


class InsightFaceDetector:
    """Finds faces with SCRFD and marks them with 106 points, and with 203 if that
    network is available.

    Args:
      detector: `det_10g.onnx`.
      landmarks: `2d106det.onnx`.
      fine_landmarks: LivePortrait's `landmark.onnx`.

    Raises:
      DetectorUnavailableError: ONNX Runtime is not installed or cannot read a file.

    Source: LivePortrait, `FaceAnalysisDIY` (threshold 0.1, input 512) and
    `LandmarkRunner`.
    """

    def __init__(
        self, detector: Path, landmarks: Path, fine_landmarks: Path | None = None
    ):
        self._detector = _open_session(detector)
        self._landmarks = _open_session(landmarks)
        self._fine_landmarks = None
        if fine_landmarks is not None:
            self._fine_landmarks = _open_session(fine_landmarks)

    @property
    def tells_openness(self) -> bool:
        """True with the 203 points; the 106 do not follow lids and lips."""
        return self._fine_landmarks is not None

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Find the faces of an RGB picture; the score lies between 0 and 1."""
        side = _input_side(self._detector, DETECTOR_SIDE)
        padded, scale = letterbox(image, side)
        # to [-1, 1], which SCRFD reads
        values = (padded - np.float32(127.5)) / 128
        boxes, scores = decode(_run(self._detector, values), side)
        faces = []
        for index in best_boxes(boxes, scores, SCORE_THRESHOLD, OVERLAP_THRESHOLD):
            box = boxes[index] / scale
            faces.append(self._face(image, box, float(scores[index])))
        return faces

    def _face(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        box: Float[np.ndarray, "4"],
        score: float,
    ) -> Face:
        points = find_landmarks(self._landmarks, image, box)
        fine = None
        if self._fine_landmarks is not None:
            fine = find_fine_landmarks(self._fine_landmarks, image, points)
        left, top, right, bottom = box.tolist()
        return Face(
            (left, top, right, bottom),
            score,
            landmark_hull(points),
            eyes=eye_centers(points),
            landmarks=points,
            fine_landmarks=fine,
        )


def letterbox(
    image: UInt8[np.ndarray, "h w 3"], side: int
) -> tuple[UInt8[np.ndarray, "side side 3"], float]:
    """Fit a picture into the upper left of a black square.

    Returns:
      The square, and its pixels per pixel of the picture.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    fitted = (max(1, side * width // longer), max(1, side * height // longer))
    padded = np.zeros((side, side, 3), np.uint8)
    padded[: fitted[1], : fitted[0]] = cv2.resize(image, fitted)
    return padded, fitted[1] / height


def decode(
    outputs: list[np.ndarray], side: int
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]]:
    """Return SCRFD's boxes (left, top, right, bottom) and scores above the threshold.

    Each anchor has distances to the four sides, in strides, from its cell's upper left
    pixel.
    """
    levels = len(STRIDES)
    boxes = []
    scores = []
    for level, stride in enumerate(STRIDES):
        score = outputs[level].reshape(-1)
        distances = stride * outputs[level + levels].reshape(-1, 4)
        anchors = anchor_pixels(side // stride, stride)
        first = anchors - distances[:, :2]
        last = anchors + distances[:, 2:]
        is_face = score >= SCORE_THRESHOLD
        boxes.append(np.concatenate([first, last], axis=1)[is_face])
        scores.append(score[is_face])
    return np.concatenate(boxes), np.concatenate(scores)


def anchor_pixels(cells: int, stride: int) -> Float[np.ndarray, "n 2"]:
    """Return (x, y) of every anchor of a square of cells, row by row."""
    rows, columns = np.divmod(np.arange(cells**2), cells)
    corners = stride * np.stack([columns, rows], axis=1)
    return np.repeat(corners, ANCHORS, axis=0)


def find_landmarks(
    session: Any, image: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "106 2"]:
    """Find 106 points of the face in a box.

    The network returns them in [-1, 1] of a crop of 1.5 times the box's side.
    """
    x, y = (box[:2] + box[2:]) / 2
    size = (box[2:] - box[:2]).max()
    rectangle = FaceRectangle((float(x), float(y)), LANDMARK_SCALE * float(size))
    crop = crop_face(image, rectangle, LANDMARK_SIDE, "black")
    points = _run(session, crop.image.astype(np.float32))[0].reshape(-1, 2)
    return transform_points((points + 1) * (LANDMARK_SIDE / 2), crop.crop_to_image)


def find_fine_landmarks(
    session: Any, image: UInt8[np.ndarray, "h w 3"], points: Float[np.ndarray, "106 2"]
) -> Float[np.ndarray, "203 2"]:
    """Find 203 points from coarser ones, or from those of the frame before.

    The network returns them in [0, 1] of a crop.
    """
    rectangle = frame_face(landmark_hull(points), FINE_SCALE, vy=FINE_SHIFT)
    crop = crop_face(image, rectangle, FINE_SIDE, "black")
    fine = _run(session, crop.image.astype(np.float32) / 255)[2].reshape(-1, 2)
    return transform_points(fine * FINE_SIDE, crop.crop_to_image)


def _open_session(path: Path) -> Any:
    try:
        from onnxruntime import InferenceSession
        from onnxruntime.capi.onnxruntime_pybind11_state import (
            Fail,
            InvalidGraph,
            InvalidProtobuf,
        )
    except ImportError as error:
        raise DetectorUnavailableError(
            "insightface needs ONNX Runtime, which is not installed",
            "pip install onnxruntime",
        ) from error
    try:
        return InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise DetectorUnavailableError(
            f"insightface needs {path}, which ONNX Runtime cannot read",
            "download it again",
        ) from error


def _input_side(session: Any, default: int) -> int:
    side = session.get_inputs()[0].shape[2]
    return side if isinstance(side, int) else default


def _run(session: Any, image: Float[np.ndarray, "h w 3"]) -> list[np.ndarray]:
    """Return the outputs of a network for one picture."""
    name = session.get_inputs()[0].name
    # ONNX has channels first
    batch = image.transpose(2, 0, 1)[None]
    return session.run(None, {name: batch})
