"""What a detector finds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxportrait.media.crop import FaceRectangle


@dataclass(frozen=True)
class Face:
    """A face in a picture, in its pixels.

    Whatever found it, `hull` means the same: the square along the face's axes that
    holds its outline from the eyebrows to the chin and from ear to ear, which is what
    LivePortrait takes from InsightFace's 106 points. Detectors that see less estimate
    it by constants documented beside them, so crops are alike.

    Attributes:
      box: left, top, right, bottom, as the detector reports it.
      score: the detector's confidence; its scale differs from detector to detector.
      hull: the square that crops are framed from.
      eyes: centres of the left and right eye of the picture, if seen.
      landmarks: the detector's own points (106 or 5), if it has any.
      fine_landmarks: 203 points, if the model for them was given; they follow eyelids
        and lips closely.
    """

    box: tuple[float, float, float, float]
    score: float
    hull: FaceRectangle
    eyes: Float[np.ndarray, "2 2"] | None = None
    landmarks: Float[np.ndarray, "k 2"] | None = None
    fine_landmarks: Float[np.ndarray, "203 2"] | None = None

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class DetectorUnavailableError(ValueError):
    """A detector was asked for whose model files or runtime are missing or unreadable.

    Args:
      reason: what is wrong, with the detector's name.
      mend: what to do.
    """

    def __init__(self, reason: str, mend: str):
        super().__init__(f"{reason}: {mend}")
        self.reason = reason
