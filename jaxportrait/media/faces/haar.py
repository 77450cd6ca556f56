"""OpenCV's Haar cascades: no model files to download, a free licence, frontal faces
turned by up to some 20 degrees."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import FaceRectangle, resize_matrix
from jaxportrait.media.faces.face import DetectorUnavailableError, Face
from jaxportrait.media.image import reduce

FACE_CASCADE = "haarcascade_frontalface_alt2.xml"
EYE_CASCADE = "haarcascade_eye.xml"

# Faces are sought in a picture of at most this side, in pixels: a larger one finds no
# more and takes longer.
SEARCH_SIDE = 640
SMALLEST_FACE = 32

CERTAIN_SCORE = 55.5
"""Score from which the cascade is sure, by 42 public portraits."""

# The cascade's box -> the hull, in sides of the box: means over 13 faces (photographs,
# paintings, a statue, computer graphics) whose brows, chin and cheeks were marked by
# hand; they deviate by 0.034 in size and 0.04 in position.
HULL_SIZE = 0.82
HULL_DOWN = 0.155

# Eyes are sought in the upper part of the box, scaled to this width in pixels.
FACE_SIDE = 200
UPPER_PART = 0.65
SMALLEST_EYE = 24
LARGEST_EYE = 80
# Places across the box, in its sides, where faces have eyes.
LEFT_EYE = (0.15, 0.48)
RIGHT_EYE = (0.52, 0.85)
STEEPEST_EYES = np.radians(25)


class HaarDetector:
    """Finds faces with the frontal cascade, and turns them by their eyes where both are
    found.

    Not for several threads at once: OpenCV's cascades keep state.

    Raises:
      DetectorUnavailableError: this OpenCV came without its cascades.
    """

    def __init__(self):
        self._faces = _open_cascade(FACE_CASCADE)
        self._eyes = _open_cascade(EYE_CASCADE)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Find the faces of an RGB picture; the score is the sum of the last stage's
        votes."""
        small = reduce(image, SEARCH_SIDE)
        # OpenCV gives scores only where levels are asked for.
        boxes, _, scores = self._faces.detectMultiScale3(
            cv2.cvtColor(small, cv2.COLOR_RGB2GRAY),
            scaleFactor=1.1,
            minNeighbors=3,
            minSize=(SMALLEST_FACE, SMALLEST_FACE),
            outputRejectLevels=True,
        )
        enlarge = resize_matrix(small.shape, image.shape)
        faces = []
        for small_box, score in zip(boxes, scores, strict=True):
            box = _enlarge(small_box, enlarge)
            faces.append(self._face(image, box, float(score)))
        return faces

    def _face(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        box: Float[np.ndarray, "4"],
        score: float,
    ) -> Face:
        eyes = self._find_eyes(image, box)
        left, top, right, bottom = box.tolist()
        doubt = None
        if score < CERTAIN_SCORE:
            doubt = f"the Haar cascade is not sure of the face (score {score:.1f}, sure from {CERTAIN_SCORE:g})"
        corners = (left, top, right, bottom)
        return Face(corners, score, _hull(box, eyes), eyes=eyes, doubt=doubt)

    def _find_eyes(
        self, image: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"]
    ) -> Float[np.ndarray, "2 2"] | None:
        # A negative index would count from the other end.
        left, top, right, bottom = np.maximum(np.rint(box), 0).astype(int)
        face = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
        part = face[: int(UPPER_PART * (bottom - top))]
        scale = part.shape[1] / FACE_SIDE
        size = (FACE_SIDE, round(part.shape[0] / scale))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        boxes = self._eyes.detectMultiScale(
            part,
            1.05,
            3,
            minSize=(SMALLEST_EYE, SMALLEST_EYE),
            maxSize=(LARGEST_EYE, LARGEST_EYE),
        )
        # Where there are none, OpenCV returns an empty tuple.
        pair = _plausible_pair(np.reshape(boxes, (-1, 4)))
        if pair is None:
            return None
        # centres of pixels, back in the picture
        return (pair + 0.5) * scale - 0.5 + (left, top)


def _open_cascade(name: str) -> "cv2.CascadeClassifier":
    # OpenCV 5 has neither cascades nor their class.
    if not hasattr(cv2, "CascadeClassifier"):
        raise DetectorUnavailableError(
            f"haar needs OpenCV 4: OpenCV {cv2.__version__} has no cascades",
            "use the detector mesh, or install opencv-python-headless>=4.10,<5",
        )
    from cv2.data import haarcascades

    cascade = cv2.CascadeClassifier(str(Path(haarcascades) / name))
    if cascade.empty():
        raise DetectorUnavailableError(
            f"haar needs {name}, which OpenCV {cv2.__version__} came without",
            "install opencv-python-headless>=4.10,<5",
        )
    return cascade


def _enlarge(
    box: Sequence[int], enlarge: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "4"]:
    """Return a box of the reduced picture (x, y, width, height) as left, top, right,
    bottom of the full one."""
    x, y, width, height = box
    first = enlarge[:2] @ (x, y, 1)
    last = enlarge[:2] @ (x + width, y + height, 1)
    return np.concatenate([first, last])


def _plausible_pair(boxes: np.ndarray) -> Float[np.ndarray, "2 2"] | None:
    """Return the centres of the largest eye on either side, if they are level enough
    for a face.

    Args:
      boxes: x, y, width and height of every eye, (n, 4).
    """
    # (width, x, y) of every eye, of which `max` chooses the widest
    eyes = [(w, x + w / 2, y + h / 2) for x, y, w, h in boxes]
    pair = []
    for low, high in (LEFT_EYE, RIGHT_EYE):
        side = [eye for eye in eyes if low <= eye[1] / FACE_SIDE <= high]
        if not side:
            return None
        pair.append(max(side)[1:])
    centers = np.array(pair)
    return centers if abs(_slope(centers)) <= STEEPEST_EYES else None


def _slope(eyes: Float[np.ndarray, "2 2"]) -> float:
    x, y = eyes[1] - eyes[0]
    return float(np.arctan2(y, x))


def _hull(
    box: Float[np.ndarray, "4"], eyes: Float[np.ndarray, "2 2"] | None
) -> FaceRectangle:
    side = float(box[2] - box[0])
    angle = 0.0 if eyes is None else _slope(eyes)
    x, y = (box[:2] + box[2:]) / 2
    down = HULL_DOWN * side
    # The way down the face turns with it; y grows downwards.
    center = (float(x - down * np.sin(angle)), float(y + down * np.cos(angle)))
    return FaceRectangle(center, HULL_SIZE * side, angle)
