"""BlazeFace, MediaPipe's face detector: boxes and six points, at any roll.

Source: Bazarevsky et al., "BlazeFace", 2019; MediaPipe (Apache-2.0), its short and full
range models. The model files are the user's.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from jaxportrait.media.faces.dnn import ModelFile, best_boxes, open_network

SHORT_RANGE = ModelFile("face_detection_short_range.tflite", "BlazeFace, short range")
FULL_RANGE = ModelFile("face_detection_full_range.tflite", "BlazeFace, full range")

VALUES = 16
"""Values of an anchor beside its score: centre and size of the box, and six points."""
SCORE_THRESHOLD = 0.5
OVERLAP_THRESHOLD = 0.3  # MediaPipe's, as intersection over union
LARGEST_LOGIT = 100.0


@dataclass(frozen=True)
class Detections:
    """Faces of a picture, in its pixels.

    Attributes:
      boxes: left, top, right, bottom.
      points: both eyes, the nose, the mouth and both tragions; the left of the picture
        comes first.
      scores: from 0 to 1.
    """

    boxes: Float[np.ndarray, "n 4"]
    points: Float[np.ndarray, "n 6 2"]
    scores: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, index: list[int]) -> "Detections":
        """Return the detections at these positions, in this order."""
        return Detections(self.boxes[index], self.points[index], self.scores[index])

    def shift(self, x: float, y: float) -> "Detections":
        """Return the detections of a tile in the pixels of the picture that holds it."""
        offset = np.array([x, y])
        boxes = self.boxes + np.tile(offset, 2)
        return Detections(boxes, self.points + offset, self.scores)


class BlazeFace:
    """One of MediaPipe's two models: faces within 2 m (short range) or 5 m (full).

    Not for several threads at once: OpenCV's networks keep state.

    Args:
      path: the model's file.
      side: side of the square that the network reads.
      strides: pixels a cell of each grid of anchors.
      anchors: anchors a cell of each grid.

    Raises:
      DetectorUnavailableError: the file cannot be read or is another network's.
    """

    def __init__(
        self,
        path: Path,
        side: int,
        strides: tuple[int, ...],
        anchors: tuple[int, ...],
    ):
        self._centers = anchor_centers(side, strides, anchors)
        count = len(self._centers)
        self._network = open_network(path, side, (count, VALUES * count))
        self._outputs = self._network.getUnconnectedOutLayersNames()
        self._side = side

    @classmethod
    def short_range(cls, path: Path) -> "BlazeFace":
        return cls(path, side=128, strides=(8, 16), anchors=(2, 6))

    @classmethod
    def full_range(cls, path: Path) -> "BlazeFace":
        return cls(path, side=192, strides=(4,), anchors=(1,))

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        """Return the faces of an RGB picture, best first; none overlaps a better one."""
        square, scale, border = pad_to_square(image, self._side)
        # The network reads values from -1 to 1.
        blob = cv2.dnn.blobFromImage(square, 1 / 127.5, mean=(127.5,) * 3)
        self._network.setInput(blob)
        outputs = self._network.forward(self._outputs)
        # Told apart by their width: a logit or 16 offsets an anchor.
        logits, offsets = sorted(outputs, key=lambda output: output.shape[-1])
        detections = self._decode(logits.reshape(-1), offsets.reshape(-1, VALUES))
        in_picture = Detections(
            (detections.boxes - np.tile(border, 2)) / scale,
            (detections.points - border) / scale,
            detections.scores,
        )
        return keep_best(in_picture)

    def _decode(
        self, logits: Float32[np.ndarray, " n"], offsets: Float32[np.ndarray, "n 16"]
    ) -> Detections:
        """Return the anchors' faces in pixels of the square, above the threshold."""
        # As in MediaPipe; and `exp` cannot overflow.
        clipped = np.clip(logits.astype(np.float64), -LARGEST_LOGIT, LARGEST_LOGIT)
        scores = 1 / (1 + np.exp(-clipped))
        sure = scores >= SCORE_THRESHOLD
        # A row holds the box's centre and size, and then six points; all positions are
        # relative to the anchor's centre.
        rows = offsets[sure].astype(np.float64).reshape(-1, 8, 2)
        centers = self._centers[sure]
        box_centers = rows[:, 0] + centers
        half_sizes = rows[:, 1] / 2
        boxes = np.concatenate(
            [box_centers - half_sizes, box_centers + half_sizes], axis=1
        )
        return Detections(boxes, rows[:, 2:] + centers[:, None], scores[sure])


def anchor_centers(
    side: int, strides: tuple[int, ...], anchors: tuple[int, ...]
) -> Float[np.ndarray, "n 2"]:
    """Return the centre of every anchor, in pixels, row by row of each grid."""
    grids = []
    for stride, count in zip(strides, anchors, strict=True):
        cells = side // stride
        row, column = np.divmod(np.arange(cells**2), cells)
        centers = (np.stack([column, row], axis=1) + 0.5) * stride
        grids.append(np.repeat(centers, count, axis=0))
    return np.concatenate(grids)


def pad_to_square(
    image: UInt8[np.ndarray, "h w 3"], side: int
) -> tuple[UInt8[np.ndarray, "side side 3"], float, Float[np.ndarray, "2"]]:
    """Return the picture within a black square, its scale, and its upper left corner."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    across = max(1, round(width * scale))
    down = max(1, round(height * scale))
    left = (side - across) // 2
    top = (side - down) // 2
    square = np.zeros((side, side, 3), np.uint8)
    resized = cv2.resize(image, (across, down), interpolation=cv2.INTER_AREA)
    square[top : top + down, left : left + across] = resized
    return square, scale, np.array([left, top], np.float64)


def keep_best(detections: Detections) -> Detections:
    """Return the detections that no better one overlaps, best first."""
    boxes, scores = detections.boxes, detections.scores
    return detections.take(
        best_boxes(boxes, scores, SCORE_THRESHOLD, OVERLAP_THRESHOLD)
    )


def join(parts: list[Detections]) -> Detections:
    """Return several lists of detections as one, without repeated faces."""
    boxes = np.concatenate([part.boxes for part in parts])
    points = np.concatenate([part.points for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    return keep_best(Detections(boxes, points, scores))
