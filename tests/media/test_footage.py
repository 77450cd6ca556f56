"""Pictures of a source video: told from its content, played in any order."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait.media import footage
from jaxportrait.media.footage import Footage, is_video, split_at_turns, to_and_fro
from tests.media.videos import noise_sound, write

COUNT = 50


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Frames that become brighter; H.264 with one keyframe and frames between others."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    frames = [np.full((64, 64, 3), 5 * index, np.uint8) for index in range(COUNT)]
    return write(path, frames, fps=25, audio=noise_sound(2.0))


def numbers(pictures) -> list[int]:
    return [round(float(picture.mean()) / 5) for picture in pictures]


def times_of(film: Footage) -> np.ndarray:
    return np.array([seconds for seconds, _ in film])


def test_the_content_tells_a_video_from_a_picture(video, tmp_path):
    unnamed = tmp_path / "face.png"
    unnamed.write_bytes(video.read_bytes())
    assert is_video(unnamed)
    picture = tmp_path / "film.mp4"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    picture.write_bytes((tmp_path / "a.png").read_bytes())
    assert not is_video(picture)
    for content in (b"", b"no picture", b"%PDF-1.4"):
        picture.write_bytes(content)
        assert not is_video(picture)
    # FFmpeg takes the name's word for it.
    unnamed.with_suffix(".jpg").write_bytes(b"no picture")
    assert not is_video(unnamed.with_suffix(".jpg"))
    assert not is_video(tmp_path / "missing.mp4")
    assert not is_video(tmp_path)


@pytest.mark.parametrize(
    "order",
    [
        np.arange(COUNT),
        np.array([0, 0, 1, 3, 3, 8, 49]),
        np.array([17, 18, 19]),
        np.array([40, 41, 42, 41, 40, 39, 38, 38, 39]),
        np.arange(COUNT)[::-1],
        np.array([7]),
    ],
    ids=["all", "some", "middle", "turns", "backwards", "one"],
)
def test_pictures_come_in_any_order(video, order, monkeypatch):
    # Three pictures are held at a time.
    monkeypatch.setattr(footage, "CHUNK_BYTES", 3 * 64 * 64 * 3)
    film = Footage(video)
    pictures = film.play(times_of(film), order)
    assert numbers(pictures) == order.tolist()


def test_sides_become_even_and_are_limited(tmp_path):
    frames = np.zeros((3, 50, 98, 3), np.uint8)
    path = write(tmp_path / "wide.mkv", frames, size=(98, 50))
    assert Footage(path).size == (98, 50)
    small = Footage(path, max_side=31)
    # 98 x 50 becomes 31 x 16, and then even.
    assert small.size == (30, 16)
    for _, picture in small:
        assert picture.shape == (16, 30, 3)
    assert not small.has_sound


def test_sound_is_known(video):
    film = Footage(video)
    assert film.has_sound
    assert film.fps == 25


def test_a_cut_file_is_named(video, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"cut\.mp4"):
        list(Footage(path))


def test_a_longer_clip_plays_to_and_fro():
    # The clock of a file may start anywhere.
    times = 3.5 + np.arange(5) / 10
    assert to_and_fro(times, 10, 12).tolist() == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    assert to_and_fro(times, 10, 3).tolist() == [0, 1, 2]
    # Twice the rate shows every frame twice.
    assert to_and_fro(times, 20, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert to_and_fro(times[:1], 30, 4).tolist() == [0, 0, 0, 0]


def test_a_variable_rate_is_evened_out():
    # The fourth frame stands for half a second.
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.8, 0.9])
    order = to_and_fro(times, 10, 10)
    assert order.tolist() == [0, 1, 2, 3, 3, 3, 4, 4, 4, 5]
    # Half of the longest step.
    assert np.abs(times[order] - np.arange(10) / 10).max() <= 0.25


def test_runs_end_at_turns():
    order = np.array([0, 1, 1, 2, 1, 1, 0, 1])
    runs = [run.tolist() for run in split_at_turns(order)]
    assert runs == [[0, 1, 1, 2], [1, 1, 0], [1]]
    assert_array_equal(np.concatenate(runs), order)
