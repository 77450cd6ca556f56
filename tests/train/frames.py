"""Synthetic data sets of frames, for tests of their readers."""

from pathlib import Path

import numpy as np

from train.data.frames import FrameDataset
from train.data.landmarks import LandmarkGroups
from train.data.pictures import FrameRecord, encode_image
from train.data.shards import Split
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import write_frames
from train.prepare.split import Piece

SIZE = 32
NO_GROUPS: LandmarkGroups = {}


def record_of(
    clip: str, frames: int, points: int = 4, groups: LandmarkGroups = NO_GROUPS
) -> FrameRecord:
    """Return grey pictures whose level is ten times their number; every value of their
    landmarks and pose is that number, too."""
    numbers = np.arange(frames, dtype=np.float32)
    images = []
    for frame in range(frames):
        grey = np.full((SIZE, SIZE, 3), 10 * frame, np.uint8)
        images.append(encode_image(grey))
    landmarks = np.tile(numbers[:, None, None], (1, points, 2))
    pose = np.tile(numbers[:, None], (1, 3))
    subject = clip.split("/")[0]
    return FrameRecord(clip, subject, images, landmarks, pose, groups)


def make_frames(
    path: Path,
    train: int = 5,
    validation: int = 2,
    points: int = 4,
    groups: LandmarkGroups = NO_GROUPS,
) -> FrameDataset:
    """Write a data set whose clips differ in length; the first one of each split has no
    landmarks."""
    path.mkdir(parents=True)
    # Two frames or more: a pair needs two.
    counts: dict[Split, int] = {"train": train, "validation": validation}
    records: dict[str, FrameRecord] = {}
    pieces = []
    for split, count in counts.items():
        for index in range(count):
            clip = f"{split}/{index}.mp4"
            marks = (points, groups) if index else (0, NO_GROUPS)
            record = record_of(clip, 2 + index, *marks)
            records[clip] = record
            pieces.append(Piece(clip, split, 0, record.frames))
    recipe = FrameRecipe(size=SIZE, detector="haar")
    return write_frames(path, pieces, records.__getitem__, recipe)
