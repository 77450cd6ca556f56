"""A face that a detector has found."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces.openness import Openness, openness_of


@dataclass(frozen=True)
class Face:
    """A face in a picture, in its pixels.

    `hull` means the same for every detector: the square along the face's axes that
    holds its outline from the eyebrows to the chin and from ear to ear. LivePortrait
    reads it from InsightFace's 106 points. Detectors with fewer points estimate it by
    constants documented beside them, so that crops are alike.

    Attributes:
      box: left, top, right, bottom, from the detector.
      score: the detector's confidence; its scale differs from detector to detector.
      hull: the square that crops are framed from.
      eyes: centres of the left and right eye of the picture, if they are visible.
      landmarks: the detector's points (106, 468 or 5), if it has any.
      fine_landmarks: 203 points, if their model is available; they follow eyelids and
        lips closely.
      gaze: place of the iris in the picture's left and right eye, counted from the
        middle between its corners, across and down the eye, in widths of the eye; None
        without the iris model.
      doubt: a line for a user where the score is low: perhaps it is no human face.
    """

    box: tuple[float, float, float, float]
    score: float
    hull: FaceRectangle
    eyes: Float[np.ndarray, "2 2"] | None = None
    landmarks: Float[np.ndarray, "k 2"] | None = None
    fine_landmarks: Float[np.ndarray, "203 2"] | None = None
    gaze: Float[np.ndarray, "2 2"] | None = None
    doubt: str | None = None

    @property
    def openness(self) -> Openness | None:
        """Openness of eyes and lips; None where the landmarks do not tell it."""
        points = self.landmarks if self.fine_landmarks is None else self.fine_landmarks
        return None if points is None else openness_of(points)

    @property
    def area(self) -> float:
        """Area of the box, in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class DetectorUnavailableError(ValueError):
    """A detector's model files or runtime are missing or unreadable.

    Args:
      reason: the defect, with the detector's name.
      remedy: advice to the user.
    """

    def __init__(self, reason: str, remedy: str):
        super().__init__(f"{reason}: {remedy}")
        self.reason = reason
