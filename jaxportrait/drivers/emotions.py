"""Emotions of a clip by choice: one emotion, or keyframes of several over time."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from jaxportrait.drivers.ditto_condition import (
    EMOTIONS,
    NEUTRAL,
    Emotions,
    emotion_weights,
    strengthen_emotion,
)
from jaxportrait.motion.keyframes import KeyframeTable, read_table
from jaxportrait.ranges import Strength, check_value


@dataclass(frozen=True)
class EmotionKeyframes(KeyframeTable):
    """The content of a file of keyframes, whose numbers are strengths of emotions."""

    noun: ClassVar[str] = "emotion"

    @classmethod
    def names(cls) -> list[str]:
        return list(EMOTIONS)

    @classmethod
    def check_numbers(cls, numbers: dict[str, float]) -> None:
        for name, number in numbers.items():
            check_value(name, number, Strength)

    def emotions(self, fps: float) -> Emotions:
        """Return the vectors of frames; the rest of the strengths is neutral."""
        # The last keyframe has a frame of its own.
        count = int(np.floor(self.length * fps + 1e-6)) + 1
        # All frames are neutral, as far as nothing else is felt.
        neutral = emotion_weights(NEUTRAL)
        rows = np.tile(neutral, (count, 1))
        for name, numbers in self.numbers(np.arange(count) / fps).items():
            # Strengths that add up to 1 leave nothing of the neutral one.
            change = emotion_weights(EMOTIONS.index(name)) - neutral
            rows += numbers[:, None] * change
        return Emotions(rows, repeats=False)


def read_emotions(path: str | Path, fps: float) -> Emotions:
    """Read emotions over time from a TOML file; see docs/models.md for its form.

    Raises:
      OSError: the file cannot be read.
      OptionError: it is no TOML, or a table, a name or a number is wrong.
    """
    return read_table(path, EmotionKeyframes).emotions(fps)


def one_emotion(name: str, strength: float) -> Emotions:
    """Return one emotion for all frames.

    Args:
      strength: 0 is neutral, 1 the emotion as it was trained.
    """
    return Emotions(strengthen_emotion(EMOTIONS.index(name), strength)[None])
