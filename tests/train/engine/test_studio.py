"""Films of motion: a portrait beside itself."""

import numpy as np
import pytest
from PIL import Image

from jaxportrait import demo
from jaxportrait.checkpoint import CheckpointError, open_checkpoint
from jaxportrait.media.faces import NoFaceError
from jaxportrait.motion.space import MOTION_SPACES, neutral_frames
from jaxportrait.ranges import OptionError
from tests.train.portraits import save_small_checkpoint
from tests.train.runs import make_checkpoint
from train.engine.studio import LARGEST_SIDE, Studio
from train.options import FilmOptions

FACE = MOTION_SPACES["face"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Studio:
    folder = tmp_path_factory.mktemp("studio")
    checkpoint = open_checkpoint(save_small_checkpoint(folder / "small"))
    return Studio(checkpoint, demo.PORTRAIT, 1)


def turning(degrees: float, frames: int = 9) -> np.ndarray:
    """Motion that lowers the head from where it is."""
    motion = neutral_frames(frames)
    pitch = int(np.flatnonzero(FACE.pose)[0])
    motion[:, pitch] = np.linspace(0, degrees, frames)
    return motion


def test_the_truth_is_left_and_the_sampled_motion_right(studio: Studio):
    still, turned = turning(0), turning(25)
    film = studio.compare("a.mp4", still, turned, FACE, 30)
    # every second frame of nine
    assert film.fps == 15
    count, height, width, _ = film.frames.shape
    assert (count, max(height, width // 2)) == (5, LARGEST_SIDE)
    true, sampled = np.split(film.frames.astype(float), 2, axis=2)
    assert np.ptp(true, axis=0).max() <= 1
    assert np.ptp(sampled, axis=0).max() > 10

    # the truth is known from before
    again = studio.compare("a.mp4", turned, still, FACE, 30)
    np.testing.assert_array_equal(np.split(again.frames, 2, axis=2)[0], true)


def test_no_portrait_makes_no_films(tmp_path):
    assert FilmOptions().open(tmp_path) is None
    with pytest.raises(
        OptionError, match=r"--films\.portrait, which makes them, is missing"
    ):
        FilmOptions(clips=3)


def test_a_portrait_or_a_renderer_that_is_missing_is_named(tmp_path):
    base = make_checkpoint(tmp_path / "base")
    with pytest.raises(CheckpointError, match="appearance"):
        FilmOptions(demo.PORTRAIT).open(base)
    blank = tmp_path / "blank.png"
    Image.new("RGB", (64, 64)).save(blank)
    small = save_small_checkpoint(tmp_path / "small")
    with pytest.raises(NoFaceError, match="face"):
        FilmOptions(blank).open(small)
