"""Sliders of keypoints that were learned from landmarks, and so lie on lids, brows and
lips: each slider moves what its name says, by a share of the face's size.

LivePortrait's keypoints have no such places, and sliders of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxportrait.motion.sliders import AXES, BLINK, LIDS_SHUT, Slider, Sliders
from jaxportrait.motion.space import KEYPOINTS, KeypointGroups

UPPER_LID = 0.8
"""Share of the opening by which the upper lid comes down; the lower one does the
rest."""

# Movements at the end of a slider's range, in distances between the eyes.
SHIFT = 0.3
GAZE = 0.1
BROWS = 0.12
CORNERS_UP = 0.12
CORNERS_OUT = 0.07
POUT = 0.1
PRESS = 0.03
GRIN = 0.08
OPEN = 0.15

# The ends of the published ranges, where those movements are reached.
MOST_SHIFT = 0.19
MOST_GAZE_X = 30
MOST_GAZE_Y = 63
MOST_BROWS = 30
MOST_SMILE = 1.3
MOST_POUT = 0.09
MOST_PURSE = 15
MOST_GRIN = 15
MOST_OPEN = 120
MOST_SHUT = 90


@dataclass(frozen=True)
class Eye:
    """Keypoints of an eye: its lids, and between them its iris."""

    upper: int
    lower: int
    middle: tuple[int, ...]


@dataclass(frozen=True)
class Mouth:
    """Keypoints of the mouth: its corners, and the lips above and below their line."""

    left: int
    right: int
    upper: tuple[int, ...]
    lower: tuple[int, ...]


class Moves:
    """Offsets of keypoints, collected one after the other."""

    def __init__(self) -> None:
        self.offsets = np.zeros((KEYPOINTS, 3), np.float32)

    def add(self, keypoints: Sequence[int], axis: str, amount: float) -> "Moves":
        self.offsets[list(keypoints), AXES.index(axis)] += amount
        return self


def landmark_sliders(
    groups: KeypointGroups, points: Float[np.ndarray, "k 3"]
) -> Sliders:
    """Return the sliders of keypoints that lie on lids, brows and lips.

    A slider whose keypoints were not learned moves nothing.

    Args:
      groups: the keypoints of eyes, brows and lips.
      points: their positions in a face, y downwards.
    """
    eyes = _find_eyes(groups.eyes, points)
    unit = _face_unit(groups, points)
    shift = SHIFT * unit / MOST_SHIFT
    sliders = {"x": _even(Moves().add(range(KEYPOINTS), "x", shift))}
    # Up is negative in pictures.
    sliders["y"] = _even(Moves().add(range(KEYPOINTS), "y", -shift))
    sliders |= _eye_sliders(eyes, points, unit)
    raised = Moves().add(groups.brows, "y", -BROWS * unit / MOST_BROWS)
    sliders["brows"] = _even(raised)
    mouth = _find_mouth(groups.lips, points)
    return sliders | _mouth_sliders(mouth, points, unit)


def _even(move: Moves) -> Slider:
    return Slider(move.offsets, move.offsets)


def _find_eyes(
    keypoints: tuple[int, ...], points: Float[np.ndarray, "k 3"]
) -> list[Eye]:
    """Return the eyes, the picture's left one first; one without both lids is left
    out."""
    # Between both eyes; a network without guided eyes has none.
    center = points[list(keypoints), 0].mean() if keypoints else 0.0
    left = [keypoint for keypoint in keypoints if points[keypoint, 0] < center]
    right = [keypoint for keypoint in keypoints if keypoint not in left]
    eyes = []
    for side in (left, right):
        # The outermost are the lids, and the iris lies between.
        downwards = sorted(side, key=lambda keypoint: points[keypoint, 1])
        if len(downwards) >= 2:
            upper, *middle, lower = downwards
            eyes.append(Eye(upper, lower, tuple(middle)))
    return eyes


def _find_mouth(
    keypoints: tuple[int, ...], points: Float[np.ndarray, "k 3"]
) -> Mouth | None:
    if len(keypoints) < 4:
        return None
    # The corners are the outermost from side to side.
    left, *between, right = sorted(keypoints, key=lambda keypoint: points[keypoint, 0])
    downwards = sorted(between, key=lambda keypoint: points[keypoint, 1])
    # Lips are guided in pairs, as many above as below.
    half = len(downwards) // 2
    return Mouth(left, right, tuple(downwards[:half]), tuple(downwards[half:]))


def _face_unit(groups: KeypointGroups, points: Float[np.ndarray, "k 3"]) -> float:
    """Return the distance between the eyes, or else half the width of all keypoints."""
    eyes = _find_eyes(groups.eyes, points)
    if len(eyes) < 2:
        return float(np.ptp(points[:, 0])) / 2
    left, right = eyes
    return abs(float(points[right.upper, 0] - points[left.upper, 0]))


def _eye_sliders(
    eyes: list[Eye], points: Float[np.ndarray, "k 3"], unit: float
) -> dict[str, Slider]:
    wink = Moves()
    blink = Moves()
    gaze_x = Moves()
    gaze_y = Moves()
    for index, eye in enumerate(eyes):
        opening = float(points[eye.lower, 1] - points[eye.upper, 1])
        _shut(blink, eye, opening)
        if index == 0:
            _shut(wink, eye, opening / LIDS_SHUT)
        # Both irises go the same way.
        gaze_x.add(eye.middle, "x", GAZE * unit / MOST_GAZE_X)
        gaze_y.add(eye.middle, "y", -GAZE * unit / MOST_GAZE_Y)
        # The upper lid follows the gaze.
        gaze_y.add([eye.upper], "y", -GAZE * unit / MOST_GAZE_Y)
    moves = {"wink": wink, BLINK: blink, "gaze_x": gaze_x, "gaze_y": gaze_y}
    return {name: _even(move) for name, move in moves.items()}


def _shut(moves: Moves, eye: Eye, opening: float) -> None:
    """Move the lids of an eye towards each other by `opening` in all."""
    moves.add([eye.upper], "y", UPPER_LID * opening)
    moves.add([eye.lower], "y", (UPPER_LID - 1) * opening)


def _mouth_sliders(
    mouth: Mouth | None, points: Float[np.ndarray, "k 3"], unit: float
) -> dict[str, Slider]:
    smile = Moves()
    pout = Moves()
    purse = Moves()
    grin = Moves()
    widen = Moves()
    shut = Moves()
    if mouth is not None:
        corners = [mouth.left, mouth.right]
        smile.add(corners, "y", -CORNERS_UP * unit / MOST_SMILE)
        _spread(smile, mouth, CORNERS_OUT * unit / MOST_SMILE)
        _spread(pout, mouth, -POUT * unit / MOST_POUT)
        _spread(purse, mouth, -PRESS * unit / MOST_PURSE)
        _part(purse, mouth, -PRESS * unit / MOST_PURSE)
        _spread(grin, mouth, GRIN * unit / MOST_GRIN)
        _part(grin, mouth, PRESS * unit / MOST_GRIN)
        # The lower lips open with the jaw.
        widen.add(mouth.lower, "y", OPEN * unit / MOST_OPEN)
        # Numbers below 0 shut the lips: the sign turns the move around.
        shut.add(mouth.lower, "y", _gap(mouth, points) / MOST_SHUT)
    moves = {
        "smile": smile,
        "lip_variation_zero": pout,
        "lip_variation_one": purse,
        "lip_variation_two": grin,
    }
    sliders = {name: _even(move) for name, move in moves.items()}
    sliders["lip_variation_three"] = Slider(widen.offsets, shut.offsets)
    return sliders


def _spread(moves: Moves, mouth: Mouth, amount: float) -> None:
    """Move each corner of the mouth outwards."""
    moves.add([mouth.left], "x", -amount)
    moves.add([mouth.right], "x", amount)


def _part(moves: Moves, mouth: Mouth, amount: float) -> None:
    """Move the upper lips up and the lower ones down."""
    moves.add(mouth.upper, "y", -amount)
    moves.add(mouth.lower, "y", amount)


def _gap(mouth: Mouth, points: Float[np.ndarray, "k 3"]) -> float:
    """Return the opening between the upper lips and the lower ones."""
    # The inner lips bound the opening.
    above = max((points[keypoint, 1] for keypoint in mouth.upper), default=0.0)
    below = min((points[keypoint, 1] for keypoint in mouth.lower), default=0.0)
    return max(0.0, float(below - above))
