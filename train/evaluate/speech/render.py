"""Held-out heads as a checkpoint makes them speak: rendered videos, and how their heads
move."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.drivers.video import crop_frames
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.motion.space import MOTION_FPS, POSE, TRANSLATION
from train.data.clips import Clip
from train.evaluate.speech.heads import TrueMotion, neutral_frame, pictures_of, tighten


def render_clip(
    animator: Animator, clip: Clip, truth: TrueMotion, path: Path, sampling: Sampling
) -> None:
    """Write a video of a clip's neutral frame, animated by the clip's sound.

    Raises:
      ValueError, OSError: no face in that frame, or a file that cannot be read or
        written.
    """
    source = pictures_of(clip.video)[neutral_frame(truth)]
    animator.animate(source, clip.sound, sampling=sampling).save(path)


def head_motion(
    animator: Animator, video: Path, box: FaceRectangle
) -> Float[np.ndarray, "f 5"]:
    """Read the motion of the head in a video: pitch, yaw and roll in degrees, and x and
    y in parts of the picture's side.

    Args:
      animator: M and its crops.
      video: file of the video.
      box: box of the face, at zoom 1.
    """
    renderer = animator.renderer
    pictures = pictures_of(video)
    tight = box if animator.detector.keeps_crop else tighten(box, renderer.crop_zoom)
    crops = crop_frames(pictures, tight, renderer.image_size)
    motion = renderer.read(crops, MOTION_FPS).to_frames().astype(np.float64)
    # the crop reaches from -1 to 1
    to_picture = tight.size / 2 / len(pictures[0])
    place = motion[:, TRANSLATION][:, :2]
    return np.concatenate([motion[:, POSE], place * to_picture], axis=1)
