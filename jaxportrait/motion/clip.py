"""`MotionClip`: the motion that every driver makes and that retargeting reads."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class MotionClip:
    """The motion of n frames, on the host; a field is None where a driver makes none.

    A driver of the lips leaves the head's pose to the source, for example.

    Attributes:
      expression: offsets of the keypoints; zero where a driver moves only some of them.
      rotation: matrices that rotate row vectors, as `ops.geometry.rotation_matrix`
        makes them.
      translation: of the head.
      scale: of the head.
      fps: frames a second.
      eyes: openness of the left and right eye, height over width.
      lips: openness of the lips, height over width.
    """

    expression: Float32[np.ndarray, "n 21 3"] | None
    rotation: Float32[np.ndarray, "n 3 3"] | None
    translation: Float32[np.ndarray, "n 3"] | None
    scale: Float32[np.ndarray, "n 1"] | None
    fps: float
    eyes: Float32[np.ndarray, "n 2"] | None = None
    lips: Float32[np.ndarray, "n 1"] | None = None

    def __len__(self) -> int:
        fields = (self.expression, self.rotation, self.translation, self.scale)
        return next(len(field) for field in fields if field is not None)
