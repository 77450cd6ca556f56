"""Clips: into files, file objects and notebooks, without any network."""

import base64
import re
from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image

from jaxportrait.animation import Animation
from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, neutral_frames
from jaxportrait.portrait.picture import copy_picture
from tests.media.videos import noise_sound

FRAMES = [np.full((48, 64, 3), 20 * index, np.uint8) for index in range(6)]


@pytest.fixture
def animation() -> Animation:
    """Six frames that become brighter, and their sound."""

    def make_frames(finish):
        for frame in FRAMES:
            yield finish(frame)

    keypoints = np.zeros((6, 21, 3), np.float32)
    motion = MotionClip.from_values(neutral_frames(6), MOTION_SPACES["face"], 12.0)
    # As long as six frames at 12 a second.
    sound = noise_sound(0.5)
    return Animation((64, 48), 12.0, sound, motion, keypoints, make_frames)


def decode(data: bytes) -> list[np.ndarray]:
    with av.open(BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


class Pipe:
    """A file object that can only be written to."""

    def __init__(self):
        self.pieces = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)


@pytest.mark.parametrize("format", ["mp4", "mkv", "webm"])
def test_a_file_object_gets_what_a_file_would(animation, format, tmp_path):
    for target in (BytesIO(), Pipe()):
        animation.save(target, format=format)
        is_pipe = isinstance(target, Pipe)
        data = b"".join(target.pieces) if is_pipe else target.getvalue()
        frames = decode(data)
        assert len(frames) == 6
        for frame, expected in zip(frames, FRAMES, strict=True):
            # Encoding is lossy, and flat frames lose little.
            assert abs(frame.mean() - expected.mean()) < 2
        assert Audio.open(data, allow_video=True).duration > 0.4
    path = tmp_path / f"a.{format}"
    animation.save(path, format=format)
    assert len(list(VideoReader(path))) == 6


def test_a_file_object_gets_moving_pictures(animation):
    file = BytesIO()
    animation.save(file, format="gif")
    with Image.open(file) as picture:
        assert (picture.format, picture.n_frames) == ("GIF", 6)


def test_a_file_object_gets_nothing_of_a_clip_that_fails(animation):
    file = BytesIO()

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animation.save(file, format="mp4", on_frame=stop)
    assert file.getvalue() == b""


def test_formats_that_do_not_fit_are_named(animation, tmp_path):
    with pytest.raises(ValueError, match="no suffix: choose a format"):
        animation.save(BytesIO())
    with pytest.raises(ValueError, match="no format 'avi': choose one of mp4, mkv"):
        animation.save(BytesIO(), format="avi")
    with pytest.raises(ValueError, match="'png' is a folder of pictures"):
        animation.save(BytesIO(), format="png")
    with pytest.raises(ValueError, match=r"'gif' does not fit .*a\.mp4, whose suffix"):
        animation.save(tmp_path / "a.mp4", format="gif")
    with pytest.raises(ValueError, match=r"a\.avi is no name of a clip"):
        animation.save(tmp_path / "a.avi")


def test_a_notebook_shows_the_clip(animation):
    page = animation._repr_html_()
    match = re.fullmatch(
        r'<video controls width="64" height="48" src="data:video/mp4;base64,([^"]+)">'
        "</video>",
        page,
    )
    assert match
    data = base64.b64decode(match[1], validate=True)
    frames = decode(data)
    assert [round(frame.mean() / 20) for frame in frames] == list(range(6))
    assert Audio.open(data, allow_video=True).duration > 0.4


def test_a_clip_and_its_sound_are_short_in_print(animation):
    assert repr(animation) == "Animation(6 frames of 64x48, 12 a second)"
    assert repr(animation.audio) == "Audio(samples: 0.50 s, 48000 Hz, 1 channel)"


def test_arrays_are_trimmed_as_files_are():
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    copy = copy_picture(picture)
    np.testing.assert_array_equal(copy, picture[:4, :6])
    # The copy shares no memory with it.
    picture[:] = 0
    assert copy.any()
