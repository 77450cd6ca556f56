"""Motion that tests draw."""

import numpy as np

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, POSE, SCALE, KeypointGroups

FACE = MOTION_SPACES["face"]
LIP = MOTION_SPACES["lip"]
GROUPS = KeypointGroups(eyes=(2, 11, 13), brows=(3,))


def draw_heads(frames: int) -> np.ndarray:
    """Draw whole heads that turn and grow."""
    random = np.random.default_rng(0)
    values = draw_face_motion(frames)
    values[:, POSE] = random.uniform(-20, 20, (frames, 3))
    values[:, SCALE] = random.uniform(1.0, 1.5, (frames, 1))
    return values


def draw_face_motion(frames: int) -> np.ndarray:
    values = np.random.default_rng(0).normal(0, 0.02, (frames, FACE.width))
    return values.astype(np.float32)


def face_clip(values: np.ndarray) -> MotionClip:
    return MotionClip.from_values(values, FACE, 30)
