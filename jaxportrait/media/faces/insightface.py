"""InsightFace's networks as LivePortrait uses them: a detector, 106 landmarks and 203
finer ones, in ONNX files.

The weights are for non-commercial use. What is written here is proved on generated
graphs with the published inputs and outputs; the published weights themselves were not
at hand.
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
)
from jaxportrait.media.faces.face import DetectorUnavailableError, Face

DETECTOR_FILE = "det_10g.onnx"
LANDMARK_FILE = "2d106det.onnx"
FINE_LANDMARK_FILE = "landmark.onnx"

# SCRFD: outputs are scores, boxes and keypoints, each at three strides, two anchors a
# cell.
DETECTOR_SIDE = 512
STRIDES = (8, 16, 32)
ANCHORS = 2
SCORE_THRESHOLD = 0.1
OVERLAP_THRESHOLD = 0.4

# Crops that the landmark networks read.
LANDMARK_SIDE, LANDMARK_SCALE = 192, 1.5
FINE_SIDE, FINE_SCALE, FINE_SHIFT = 224, 1.5, -0.1


class InsightFaceDetector:
    """Find faces with SCRFD and mark them with 106 points, refined to 203 where that
    network is given.

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
        self._fine_landmarks = (
            None if fine_landmarks is None else _open_session(fine_landmarks)
        )

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """The faces of an RGB picture; the score lies between 0 and 1."""
        padded, scale = letterbox(image, _input_side(self._detector, DETECTOR_SIDE))
        boxes, scores = decode(
            _run(self._detector, (padded - np.float32(127.5)) / 128), padded.shape[0]
        )
        return [
            self._face(image, boxes[k] / scale, float(scores[k]))
            for k in keep_best(boxes, scores)
        ]

    def _face(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        box: Float[np.ndarray, "4"],
        score: float,
    ) -> Face:
        points = find_landmarks(self._landmarks, image, box)
        fine = (
            None
            if self._fine_landmarks is None
            else find_fine_landmarks(self._fine_landmarks, image, points)
        )
        left, top, right, bottom = box.tolist()
        return Face(
            (left, top, right, bottom),
            score,
            landmark_hull(points),
            eye_centers(points),
            points,
            fine,
        )


def letterbox(
    image: UInt8[np.ndarray, "h w 3"], side: int
) -> tuple[UInt8[np.ndarray, "side side 3"], float]:
    """Fit a picture into the upper left of a black square; also gives pixels of the
    square per pixel of the picture."""
    height, width = image.shape[:2]
    longer = max(height, width)
    fitted = (max(1, side * width // longer), max(1, side * height // longer))
    padded = np.zeros((side, side, 3), np.uint8)
    padded[: fitted[1], : fitted[0]] = cv2.resize(image, fitted)
    return padded, fitted[1] / height


def decode(
    outputs: list[np.ndarray], side: int
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]]:
    """SCRFD's outputs as boxes (left, top, right, bottom) and scores, those above the
    threshold.

    Each anchor gives distances to the four sides, in strides, from its cell's upper
    left pixel.
    """
    levels = len(STRIDES)
    boxes, scores = [], []
    for level, stride in enumerate(STRIDES):
        score, distance = (
            outputs[level].reshape(-1),
            outputs[level + levels].reshape(-1, 4) * stride,
        )
        rows, columns = np.divmod(np.arange((side // stride) ** 2), side // stride)
        anchors = np.repeat(np.stack([columns, rows], axis=1) * stride, ANCHORS, axis=0)
        sure = score >= SCORE_THRESHOLD
        boxes.append(
            np.concatenate(
                [anchors - distance[:, :2], anchors + distance[:, 2:]], axis=1
            )[sure]
        )
        scores.append(score[sure])
    return np.concatenate(boxes), np.concatenate(scores)


def keep_best(
    boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, " n"]
) -> list[int]:
    """Indices of the boxes that no better box overlaps (non-maximum suppression)."""
    corners_and_sizes = np.concatenate(
        [boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1
    )
    kept = cv2.dnn.NMSBoxes(
        corners_and_sizes.tolist(), scores.tolist(), SCORE_THRESHOLD, OVERLAP_THRESHOLD
    )
    return [int(k) for k in kept]


def find_landmarks(
    session: Any, image: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "106 2"]:
    """106 points of the face in a box; the network gives them in [-1, 1] of a crop of
    1.5 times the box's side."""
    x, y = (box[:2] + box[2:]) / 2
    side = LANDMARK_SCALE * float((box[2:] - box[:2]).max())
    crop = crop_face(image, FaceRectangle((float(x), float(y)), side), LANDMARK_SIDE)
    points = _run(session, crop.image.astype(np.float32))[0].reshape(-1, 2)
    return _to_image((points + 1) * (LANDMARK_SIDE / 2), crop.crop_to_image)


def find_fine_landmarks(
    session: Any, image: UInt8[np.ndarray, "h w 3"], points: Float[np.ndarray, "106 2"]
) -> Float[np.ndarray, "203 2"]:
    """203 points from coarser ones, or from those of the frame before; the network
    gives them in [0, 1] of a crop."""
    crop = crop_face(
        image, frame_face(landmark_hull(points), FINE_SCALE, vy=FINE_SHIFT), FINE_SIDE
    )
    fine = _run(session, crop.image.astype(np.float32) / 255)[2].reshape(-1, 2)
    return _to_image(fine * FINE_SIDE, crop.crop_to_image)


def _to_image(
    points: Float[np.ndarray, "k 2"], crop_to_image: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "k 2"]:
    return points @ crop_to_image[:2, :2].T + crop_to_image[:2, 2]


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
    """ONNX has channels first."""
    return session.run(
        None, {session.get_inputs()[0].name: image.transpose(2, 0, 1)[None]}
    )
