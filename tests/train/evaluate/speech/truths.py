"""True motion of heads, made up for tests of their measures."""

from pathlib import Path

import numpy as np

from tests.train.videos import HEIGHT, WIDTH
from train.data.truth import truth_path
from train.evaluate.speech.heads import TrueMotion

HALF = 36
"""Half the width of the head that `draw_head` draws, in pixels."""
NAMES = ["lips_outer"] * 4 + ["eye_left"] * 4
AROUND = np.array([(-1, 0), (0, -1), (1, 0), (0, 1)])


def truth_of(opening: np.ndarray, **motion: np.ndarray) -> TrueMotion:
    """A head that only opens its mouth, unless it is told more."""
    frames = len(opening)
    rest = {
        "blink": np.zeros(frames),
        "pose": np.zeros((frames, 3)),
        "translation": np.zeros((frames, 2)),
        "closures": np.zeros((0, 2)),
    }
    return TrueMotion(opening, **{**rest, **motion})


def smooth(seed: int, frames: int = 120) -> np.ndarray:
    # the window has 9 frames, of which 4 are cut at each end
    noise = np.random.default_rng(seed).standard_normal(frames + 8)
    return np.convolve(noise, np.hanning(9), "valid")


def landmarks(frames: int) -> np.ndarray:
    """Points around mouth and left eye of the head that `draw_head` draws, in pixels."""
    # the head sways as `draw_head` draws it
    seconds = np.arange(frames) / 30
    x = WIDTH / 2 + 3 * np.sin(2 * np.pi * 0.7 * seconds)
    center = np.stack([x, np.full(frames, HEIGHT / 2 - 6)], axis=1)

    # in halves of the head's width
    mouth = np.array([0, 0.85]) + AROUND * np.array([0.36, 0.15])
    eye = np.array([-0.42, 0]) + AROUND * np.array([0.27, 0.13])

    return center[:, None] + HALF * np.concatenate([mouth, eye])


def save_truth(video: Path, opening: np.ndarray) -> None:
    """Write the truth file of a head that `draw_head` draws, with one blink and two
    closures."""
    frames = len(opening)
    truth = truth_of(
        opening,
        blink=np.eye(frames)[5],
        closures=np.array([[0.2, 0.3], [0.5, 0.6]]),
    )

    points = {"landmarks": landmarks(frames), "landmark_groups": np.array(NAMES)}
    np.savez(truth_path(video), **vars(truth), **points)
