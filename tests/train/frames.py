"""Made data sets of frames, for tests of what reads them."""

from pathlib import Path

import numpy as np

from train.data.frames import FrameDataset, FrameRecord, encode_image
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import write_frames
from train.prepare.split import Piece

SIZE = 32


def record_of(clip: str, frames: int, points: int = 4) -> FrameRecord:
    """Grey pictures whose level is ten times their number, which is also all of their
    landmarks and their pose."""
    numbers = np.arange(frames, dtype=np.float32)
    return FrameRecord(
        clip,
        clip.split("/")[0],
        [
            encode_image(np.full((SIZE, SIZE, 3), 10 * frame, np.uint8))
            for frame in range(frames)
        ],
        np.tile(numbers[:, None, None], (1, points, 2)),
        np.tile(numbers[:, None], (1, 3)),
    )


def make_frames(
    path: Path, train: int = 5, validation: int = 2, points: int = 4
) -> FrameDataset:
    """A data set whose clips differ in length; the first one of each split has no
    landmarks."""
    path.mkdir(parents=True)
    splits = {"train": train, "validation": validation}
    records = {
        f"{split}/{i}.mp4": record_of(f"{split}/{i}.mp4", 2 + i, points if i else 0)
        for split, count in splits.items()
        for i in range(count)
    }
    pieces = [
        Piece(
            clip,
            "train" if clip.startswith("train") else "validation",
            0,
            record.frames,
        )
        for clip, record in records.items()
    ]
    return write_frames(path, pieces, records.__getitem__, FrameRecipe(size=SIZE))
