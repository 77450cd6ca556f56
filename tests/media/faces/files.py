"""Generated model files of the detectors, and what OpenCV itself has."""

from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest

from tests.media.faces.drawing import rotation
from tests.media.graphs import save_fine_landmarks, save_landmarks, save_scrfd

HAS_CASCADES = hasattr(cv2, "CascadeClassifier")
needs_cascades = pytest.mark.skipif(not HAS_CASCADES, reason="OpenCV 5 has none")

# 203 points in sides of a crop: the first 100 count from the spot, the rest from the
# crop's corner.
FINE_OUTLINE = np.random.default_rng(1).uniform(-0.3, 0.3, (203, 2))
FOLLOW = np.arange(203) < 100


def outline(turned: float) -> np.ndarray:
    """Return 106 points of a face turned by an angle, in [-1, 1] of the detector's
    crop."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (106, 2))
    # left eye, right eye, mouth
    points[[33, 35, 39, 40]] = (-0.2, -0.15)
    points[[87, 89, 93, 94]] = (0.2, -0.15)
    points[[52, 61]] = (0, 0.3)
    return points @ rotation(turned).T


def save_models(folder: Path) -> None:
    """Save LivePortrait's folder of weights, with generated graphs."""
    buffalo = folder / "insightface/models/buffalo_l"
    liveportrait = folder / "liveportrait"
    buffalo.mkdir(parents=True)
    liveportrait.mkdir()
    save_scrfd(buffalo / "det_10g.onnx")
    save_landmarks(buffalo / "2d106det.onnx", outline(0.3))
    save_fine_landmarks(liveportrait / "landmark.onnx", FINE_OUTLINE, FOLLOW)
