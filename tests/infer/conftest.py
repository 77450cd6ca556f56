"""Inputs of the program."""

from pathlib import Path

import cv2
import pytest

from tests.inputs import write_wave


@pytest.fixture
def inputs(tmp_path, portrait, voice, tiny_checkpoint) -> dict[str, Path]:
    cv2.imwrite(str(tmp_path / "face.png"), portrait[..., ::-1])
    write_wave(tmp_path / "voice.wav", voice[:16_000])
    return {
        "-s": tmp_path / "face.png",
        "-d": tmp_path / "voice.wav",
        "-o": tmp_path / "out",
        "--checkpoint": tiny_checkpoint,
    }
