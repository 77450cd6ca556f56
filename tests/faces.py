"""A drawn head whose landmarks are known, and the face mesh where its models are."""

import numpy as np
import pytest

from jaxportrait.media.faces import Detector, DetectorUnavailableError, open_detector
from train.synthetic.clip import PAINT, ClipPlan
from train.synthetic.landmarks import landmarks
from train.synthetic.scene import Moment, Scene


def open_mesh() -> Detector:
    """Return the face mesh; skip the test where its models are not installed."""
    try:
        return open_detector("mesh")
    except DetectorUnavailableError as error:
        pytest.skip(str(error))


def draw_known_head(
    size: int, moment: Moment | None = None, subject: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a head at a moment of its motion.

    Returns:
      The picture, (size, size, 3) RGB, and its landmarks in pixels; see
      `train.synthetic.landmarks.GROUPS`.
    """
    plan = ClipPlan(3, subject=subject, clip=0, seconds=1.0, size=size)
    scene = Scene(plan.person[1], size, plan.random(PAINT))
    moment = moment or Moment()
    return scene.draw(moment), landmarks(scene, moment)
