"""Inputs of batches: a portrait, a voice, and what is no sound."""

from pathlib import Path

import cv2
import pytest

from tests.inputs import babble, draw_portrait, write_wave


@pytest.fixture(scope="session")
def batch_inputs(tmp_path_factory) -> Path:
    """A folder of two pictures, two voices, and a sound that is none."""
    folder = tmp_path_factory.mktemp("batch")
    portrait = draw_portrait(256)[..., ::-1]
    cv2.imwrite(str(folder / "a.png"), portrait)
    cv2.imwrite(str(folder / "b.png"), portrait[:, ::-1])
    # Half a second at 16 kHz.
    voice = babble(1.0)
    write_wave(folder / "a.wav", voice[:8_000])
    write_wave(folder / "b.wav", voice[8_000:])
    (folder / "bad.wav").write_text("no sound")
    return folder
