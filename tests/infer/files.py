"""Small files, good and bad."""

from pathlib import Path

import cv2
import numpy as np

from jaxportrait.checkpoint import (
    Contents,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.media.audio import Audio
from jaxportrait.media.write import VideoWriter


def no_audio(path: Path) -> Path:
    with VideoWriter(path, size=(64, 64), fps=10, audio=None) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    return path


def talking(path: Path, voice: np.ndarray) -> Path:
    with VideoWriter(
        path, size=(64, 64), fps=10, audio=Audio.from_samples(voice, 16_000)
    ) as writer:
        for _ in range(10):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    return path


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def blank(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((300, 300, 3), 200, np.uint8))
    return path


def cut(path: Path, whole: Path) -> Path:
    return write(path, whole.read_bytes()[: whole.stat().st_size // 2])


def part_of(path: Path, checkpoint: Path) -> Path:
    whisper = open_checkpoint(checkpoint).network("whisper")
    save_checkpoint(
        path,
        Contents(parts={"whisper": whisper.config}),
        {"whisper": leaves_of(whisper)},
    )
    return path
