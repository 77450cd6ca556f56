"""Frames of drawn heads, and a data set of them, for tests of the renderer's judge."""

from pathlib import Path

import cv2
import numpy as np

from tests.train.portraits import IMAGE_SIZE
from tests.train.videos import draw_head
from train.data.pictures import FrameRecord, encode_image
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import write_frames
from train.prepare.split import Piece

SIZE = 2 * IMAGE_SIZE
POINTS = 12
"""Landmarks of a head: 8 around the mouth, and 4 unknown ones of the eyes."""
GROUPS = {"lips_outer": tuple(range(4, 12)), "eye_left": (0, 1), "eye_right": (2, 3)}


def head(seconds: float, size: int = SIZE) -> np.ndarray:
    square = draw_head(seconds)[:, 16:144]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def record_of(clip: str, frames: int) -> FrameRecord:
    landmarks = np.full((frames, POINTS, 2), np.nan, np.float32)
    landmarks[:, 4:, 0] = np.linspace(-0.2, 0.2, 8)
    landmarks[:, 4:, 1] = np.linspace(0.3, 0.5, 8)
    # clips differ in where they start
    start = 0.07 * ord(clip[-1])
    pictures = [encode_image(head(start + 0.11 * frame)) for frame in range(frames)]
    pose = np.zeros((frames, 3), np.float32)
    subject = clip.split("/")[0]
    return FrameRecord(clip, subject, pictures, landmarks, pose, GROUPS)


def write_heads(path: Path, *clips: str, train: str = "", zoom: float = 1.0) -> Path:
    """Write a data set of clips of four frames; all but `train` are held out."""
    records = {clip: record_of(clip, 4) for clip in clips}
    pieces = []
    for clip in clips:
        split = "train" if clip == train else "validation"
        pieces.append(Piece(clip, split, 0, 4))
    recipe = FrameRecipe(size=SIZE, zoom=zoom)
    write_frames(path, pieces, records.__getitem__, recipe)
    return path
