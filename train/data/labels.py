"""Emotions of a data set's clips, as their labels name them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from train.data.dataset import Dataset
from train.data.records import Label


def emotion_levels(dataset: Dataset) -> dict[str, int]:
    """Return emotion -> its highest level, over the training clips of a data set."""
    levels: dict[str, int] = {}
    for part, _ in dataset.parts:
        for entry in part.records("train").entries:
            emotion = str(entry.labels.get("emotion", ""))
            level = int(entry.labels.get("level", 0))
            if emotion:
                levels[emotion] = max(levels.get(emotion, 0), level)
    return levels


def emotion_strengths(
    labels: Mapping[str, Label], levels: Mapping[str, int]
) -> Float32[np.ndarray, " emotions"]:
    """Return the strength of each emotion in a clip: its level by the highest one.

    A clip without a label, or of another emotion, has strength 0 in all of them. A clip
    without a level has strength 1.

    Args:
      labels: labels of the clip's record.
      levels: emotion -> its highest level.
    """
    strengths = np.zeros(len(levels), np.float32)
    for index, (emotion, highest) in enumerate(levels.items()):
        if labels.get("emotion") == emotion:
            level = int(labels.get("level", 0))
            # A clip without a level shows the whole emotion.
            strengths[index] = level / highest if level else 1
    return strengths
