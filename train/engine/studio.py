"""Films of motion: a portrait moves as networks in training would have it."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.animator import Animator
from jaxportrait.checkpoint import Checkpoint
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MotionSpace
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.portrait import Frame
from train.engine.writers import Film

MOST_FPS = 15
"""Frames a second of a film: more would make an event file large."""
LARGEST_SIDE = 256
"""Longest side of a film's pictures."""


class Studio:
    """A portrait, and a checkpoint's renderer that moves it.

    Attributes:
      clips: number of clips to film.

    Raises:
      CheckpointError: the checkpoint has no renderer.
      NoFaceError: the portrait shows no face.
      ValueError, OSError: the portrait cannot be read.
    """

    def __init__(self, checkpoint: Checkpoint, portrait: Path, clips: int):
        self.clips = clips
        animator = Animator(checkpoint, devices=1, driver=None)
        self._renderer = animator.renderer
        self._portrait = animator.prepare(portrait)
        self._true: dict[str, UInt8[np.ndarray, "n h w 3"]] = {}

    def compare(
        self,
        name: str,
        truth: Float[np.ndarray, "frames d"],
        motion: Float[np.ndarray, "frames d"],
        space: MotionSpace,
        fps: float,
    ) -> Film:
        """Return a film of the true motion on the left and of sampled motion on the
        right.

        Args:
          name: name of the clip, whose true motion is rendered once.
          truth: values of the space.
          motion: values of as many frames.
          space: the motion space.
          fps: frames a second of both.
        """
        step = max(1, round(fps / MOST_FPS))
        if name not in self._true:
            self._true[name] = self._render(truth, space, fps, step)
        sampled = self._render(motion, space, fps, step)
        # n h w 3 -> n h 2w 3
        frames = np.concatenate([self._true[name], sampled], axis=2)
        return Film(frames, fps / step)

    def _render(
        self,
        motion: Float[np.ndarray, "frames d"],
        space: MotionSpace,
        fps: float,
        step: int,
    ) -> UInt8[np.ndarray, "n h w 3"]:
        """Render every `step`th frame of motion as inference does."""
        clip = MotionClip.from_values(motion, space, fps)
        keypoints = self._portrait.keypoints(
            self._renderer, clip, "mixed", Retargeting()
        )
        frames = self._portrait.frames(self._renderer, keypoints[::step], _reduce)
        return np.stack(list(frames))


def _reduce(frame: Frame) -> Frame:
    """Return a frame whose longest side is at most that of a film."""
    height, width = frame.shape[:2]
    share = min(1.0, LARGEST_SIDE / max(height, width))
    size = round(width * share), round(height * share)
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
