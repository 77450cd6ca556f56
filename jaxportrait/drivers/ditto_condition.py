"""The condition of Ditto's network beside the sound: emotion, eyes and keypoints of the
face whose motion it makes.

Source: Ditto, its condition handler.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Int

from jaxportrait.drivers.base import SourceFace
from jaxportrait.types import source_logits

Emotion = Literal[
    "angry",
    "disgust",
    "fear",
    "happy",
    "neutral",
    "sad",
    "surprise",
    "contempt",
]
EMOTIONS = get_args(Emotion)
NEUTRAL = EMOTIONS.index("neutral")
EMOTION_LOGIT = 8.0
"""Logit of an emotion that is there; that of the others is 0."""
TAIL_WIDTH = 8 + 2 + 6 + 63
"""Values of a frame of the condition after those of the sound."""


@dataclass(frozen=True)
class Face:
    """The face whose motion the network makes; several frames are played to and fro.

    Attributes:
      openness: openness of the left and right eye.
      eyeballs: positions of the irises; see `eyeball_offsets`.
      keypoints: canonical keypoints of the first frame.
    """

    openness: Float32[np.ndarray, "n 2"]
    eyeballs: Float32[np.ndarray, "n 6"]
    keypoints: Float32[np.ndarray, " 63"]

    def first(self) -> "Face":
        """Return the face of the first frame only."""
        return Face(self.openness[:1], self.eyeballs[:1], self.keypoints)


@dataclass(frozen=True)
class Emotions:
    """Vectors of emotions, a row a frame.

    Attributes:
      rows: the vectors.
      repeats: they are played again and again; otherwise the last one stays.
    """

    rows: Float32[np.ndarray, "m 8"]
    repeats: bool = True

    def at(self, frames: Int[np.ndarray, " n"]) -> Float32[np.ndarray, "n 8"]:
        """Return the vectors of frames by their numbers."""
        # A published table of 600 frames is played again, keyframes are not.
        if self.repeats:
            return self.rows[frames % len(self.rows)]
        return self.rows[np.minimum(frames, len(self.rows) - 1)]


def emotion_weights(indices: int | Sequence[int]) -> Float32[np.ndarray, " 8"]:
    """Return the vector of one emotion or of a mixture.

    Args:
      indices: positions in `EMOTIONS`.

    Raises:
      ValueError: there is no such emotion.
    """
    chosen = np.atleast_1d(np.asarray(indices))
    if chosen.size == 0 or not np.isin(chosen, range(len(EMOTIONS))).all():
        raise ValueError(
            f"emotion is {indices!r}: choose from 0 to {len(EMOTIONS) - 1}, {', '.join(EMOTIONS)}"
        )
    # Any mixture has a softmax, also of all labels.
    logits = np.zeros(len(EMOTIONS), np.float32)
    logits[chosen] = EMOTION_LOGIT
    powers = np.exp(logits)
    return powers / powers.sum()


def strengthen_emotion(index: int, strength: float) -> Float32[np.ndarray, " 8"]:
    """Return `strength` times an emotion and the rest of the neutral one.

    Args:
      index: position in `EMOTIONS`.
      strength: 0 is neutral, 1 the emotion as it was trained.
    """
    emotion = np.float32(strength) * emotion_weights(index)
    return emotion + np.float32(1 - strength) * emotion_weights(NEUTRAL)


def condition_tail(
    face: Face, emotions: Emotions, start: int, count: int
) -> Float32[np.ndarray, "count 79"]:
    """Return the values after those of the sound, for frames from `start` on.

    Args:
      face: the face.
      emotions: vectors of frames.
      start: number of the first frame; frames before the sound are as frame 0.
      count: how many frames.
    """
    frames = np.maximum(np.arange(start, start + count), 0)
    # Faces are played to and fro.
    mirrored = mirror_frames(frames, len(face.openness))
    parts = [
        emotions.at(frames),
        face.openness[mirrored],
        face.eyeballs[mirrored],
        np.tile(face.keypoints, (count, 1)),
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def mirror_frames(frames: Int[np.ndarray, " n"], length: int) -> Int[np.ndarray, " n"]:
    """Return frames of a clip that is played to and fro; both ends are shown twice."""
    turn = frames // length
    place = frames % length
    return np.where(turn % 2 == 0, place, length - place - 1)


def pack_reference(
    scale: Float[np.ndarray, " 1"],
    angles: Sequence[Float[np.ndarray, " 66"]],
    translation: Float[np.ndarray, " 3"],
    expression: Float[np.ndarray, " 63"],
) -> Float32[np.ndarray, " 265"]:
    """Return a face's motion as the network reads it before the first window.

    Args:
      scale: size of the head.
      angles: logits of pitch, yaw and roll.
      translation: position of the head.
      expression: offsets of its keypoints.
    """
    # Like the frames it makes, the network reads sizes less 1.
    parts = [np.asarray(scale) - 1, *angles, translation, expression]
    return np.concatenate(parts).astype(np.float32)


def read_source(source: SourceFace) -> tuple[Face, Float32[np.ndarray, " 265"]]:
    """Return a source as the face whose motion the network makes, and its motion as the
    frame before the first window."""
    motion = source.motion
    # The first frame, without its axis.
    reference = pack_reference(
        np.asarray(motion.scale)[0],
        list(np.asarray(source_logits(motion))[0]),
        np.asarray(motion.translation)[0],
        np.asarray(motion.expression)[0].ravel(),
    )
    keypoints = np.asarray(motion.keypoints)[0].ravel()
    return Face(source.openness, source.eyeballs, keypoints), reference
