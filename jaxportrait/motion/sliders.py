"""Sliders of expression: a number becomes offsets of the keypoints.

The offsets belong to keypoints with one meaning each, which a motion extractor decides.
So there are two tables: LivePortrait's own, and one that is derived from where the
keypoints of eyes, brows and lips lie, for networks that learned them from landmarks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.motion.space import KEYPOINTS

AXES = "xyz"
Entries = Mapping[str, float]
"""Value of the expression, such as "11 y" -> its offset for one unit of a slider."""


@dataclass(frozen=True)
class Slider:
    """Offsets of an expression for one unit of a number, by the number's sign.

    Attributes:
      above: for numbers above 0.
      below: for numbers below 0.
    """

    above: Float32[np.ndarray, "k 3"]
    below: Float32[np.ndarray, "k 3"]

    @classmethod
    def of_entries(cls, above: Entries, below: Entries | None = None) -> Self:
        """Make a slider; without `below` it is the same on both sides of 0."""
        return cls(_offsets(above), _offsets(above if below is None else below))

    def offsets(self, numbers: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n k 3"]:
        """Return the offsets for each number; within compiled programs too."""
        # (n,) meets (k, 3).
        column = numbers[:, None, None]
        is_above = (column > 0).astype(np.float32)
        # Products with masks, since a choice is a function of NumPy's or of JAX's.
        unit = self.above[None] * is_above + self.below[None] * (1 - is_above)
        return (unit * column).astype(np.float32)


Sliders = Mapping[str, Slider]
"""Name of a number of `pipeline.edits.Edits`, or `BLINK` -> its slider."""

BLINK = "blink"
"""Slider of both lids, from 0, as they are, to 1, shut."""
LIDS_SHUT = 39.0
"""Largest value of LivePortrait's slider of one lid, which shuts it."""


def _offsets(entries: Entries) -> Float32[np.ndarray, "k 3"]:
    offsets = np.zeros((KEYPOINTS, 3), np.float32)
    for name, offset in entries.items():
        keypoint, axis = name.split()
        offsets[int(keypoint), AXES.index(axis)] = offset
    return offsets


PUBLISHED_SLIDERS: Sliders = {
    # Keypoint 5 carries the place of the head.
    "x": Slider.of_entries({"5 x": -1.0}),
    "y": Slider.of_entries({"5 y": 1.0}),
    "gaze_x": Slider.of_entries(
        {"11 x": 0.0007, "15 x": 0.001}, below={"11 x": 0.001, "15 x": 0.0007}
    ),
    # The lids follow the gaze: half of it also opens or shuts them.
    "gaze_y": Slider.of_entries(
        {"11 y": -0.0005, "13 y": -0.00015, "15 y": -0.0005, "16 y": -0.00015}
    ),
    "wink": Slider.of_entries(
        {"11 y": 0.001, "13 y": -0.0003, "17 x": 0.0003, "17 y": 0.0003, "3 y": -0.0003}
    ),
    # Raised brows go up; lowered ones also come together.
    "brows": Slider.of_entries(
        {"1 y": 0.001, "2 y": -0.001},
        below={"1 x": -0.001, "2 x": 0.001, "1 y": 0.0003, "2 y": -0.0003},
    ),
    "smile": Slider.of_entries(
        {
            "20 y": -0.01,
            "14 y": -0.02,
            "17 y": 0.0065,
            "17 z": 0.003,
            "13 y": -0.00275,
            "16 y": -0.00275,
            "3 y": -0.0035,
            "7 y": -0.0035,
        }
    ),
    "lip_variation_zero": Slider.of_entries({"19 x": 1.0}),
    "lip_variation_one": Slider.of_entries(
        {"14 y": 0.001, "3 y": -0.0005, "7 y": -0.0005, "17 z": -0.0005}
    ),
    "lip_variation_two": Slider.of_entries(
        {"20 z": -0.001, "20 y": -0.001, "14 y": -0.001}
    ),
    "lip_variation_three": Slider.of_entries(
        {"19 y": 0.001, "19 z": 0.0001, "17 y": -0.0001}
    ),
    # The published lid offsets of both eyes, as far as a wink moves one.
    BLINK: Slider.of_entries(
        {
            "11 y": 0.001 * LIDS_SHUT,
            "13 y": -0.0003 * LIDS_SHUT,
            "15 y": 0.001 * LIDS_SHUT,
            "16 y": -0.0003 * LIDS_SHUT,
        }
    ),
}
"""Sliders of networks with LivePortrait's keypoints.

Source: LivePortrait, the sliders of its page for editing a picture. It has no slider
for both lids; the offsets of the second are those by which its gaze moves lids.
"""
