"""Files in memory, read as files on disk are."""

from io import BytesIO, StringIO

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait.media.audio import Audio
from jaxportrait.media.image import read_image, trim_to_even
from tests.inputs import write_wave
from tests.media.videos import noise_frames, noise_sound, write


def test_pictures_are_read_from_bytes_and_file_objects(tmp_path, portrait):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), portrait[..., ::-1])
    data = path.read_bytes()
    with path.open("rb") as file:
        forms = [data, bytearray(data), BytesIO(data), file]
        for form in forms:
            assert_array_equal(read_image(form), portrait)


def test_sound_is_read_from_bytes_and_file_objects(tmp_path, voice):
    path = tmp_path / "a.wav"
    write_wave(path, voice)
    expected = np.concatenate(list(Audio.open(path).stream()))
    data = path.read_bytes()
    with path.open("rb") as file:
        for form in (data, BytesIO(data), file):
            audio = Audio.open(form)
            # Every pass decodes it again.
            for _ in range(2):
                assert_array_equal(np.concatenate(list(audio.stream())), expected)


def test_a_video_in_memory_gives_its_sound_on_request(tmp_path):
    path = write(tmp_path / "a.mp4", noise_frames(6), audio=noise_sound(0.2))
    data = path.read_bytes()
    with pytest.raises(ValueError, match=r"^the sound is a video: pass allow_video=Tr"):
        Audio.open(data)
    assert Audio.open(data, allow_video=True).duration == pytest.approx(0.2, abs=0.07)


def test_bad_content_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"^the picture is not a picture that can be"):
        read_image(b"hello, this is text")
    with pytest.raises(ValueError, match=r"^the picture is empty \(0 bytes\)"):
        read_image(BytesIO())
    with pytest.raises(ValueError, match=r"^the sound cannot be read"):
        Audio.open(b"hello, this is text")
    path = write(tmp_path / "a.mp4", noise_frames(2))
    with pytest.raises(ValueError, match=r"^the sound has no audio stream"):
        Audio.open(path.read_bytes())
    with pytest.raises(ValueError, match="the picture is open as text: open it in bin"):
        read_image(StringIO("text"))  # pyright: ignore[reportArgumentType]


def test_odd_rows_and_columns_are_dropped(portrait):
    assert_array_equal(trim_to_even(portrait[:255, :101]), portrait[:254, :100])
    with pytest.raises(ValueError, match="the picture has 256x1 pixels"):
        trim_to_even(portrait[:1])
