"""Animals, and faces whose box is told."""

import numpy as np
import pytest

from jaxportrait.motion.file import save_motion
from tests.infer.test_driving import drive, frames_of, nod


@pytest.fixture
def motion(tmp_path):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(4), path)
    return path


def test_an_animal_moves_since_the_first_frame(inputs, motion):
    drive(inputs, "--animal", "--box", "40,40,100,120", **{"-d": motion})
    frames = frames_of(inputs["-o"] / "face--nod.mp4").astype(int)
    assert len(frames) == 4
    # The head is away in the middle, and back at the end.
    away = np.abs(frames[1] - frames[0]).mean()
    back = np.abs(frames[3] - frames[0]).mean()
    assert away > 2 * back


def test_only_the_surroundings_of_the_box_change(inputs, motion, portrait):
    drive(inputs, "--box", "100,100,20,10", "--crf", "0", **{"-d": motion})
    frame = frames_of(inputs["-o"] / "face--nod.mp4")[1].astype(int)
    # Means over rows: the encoder changes single pixels.
    changes = np.abs(frame - portrait).mean(axis=(1, 2)) > 5
    # The crop is 2.3 times as large as the box, and shifted up by an eighth of that.
    rows = np.flatnonzero(changes)
    assert 70 < rows.min() < rows.max() < 130


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--box": "1,2,3"}, "the box is 1,2,3: pass left, top, width and height"),
        ({"--box": "200,0,90,90"}, "the box 200,0,90,90 (left, top, width, height) is"),
        ({"--box": "0,0,0,9"}, "is not within the picture of 256x256 pixels"),
        ({"--box": "0,0,9,9", "--face": 0}, "a box tells the face, and so does its"),
        ({"--box": "0,0,9,9", "--max-size": 64}, "a box is in pixels of the whole pic"),
        ({"-d": "voice"}, 'composition "animal" moves the whole head, and this motion'),
        ({"--composition": "original"}, "--animal and --composition original exclude"),
    ],
)
def test_boxes_and_animals_that_cannot_be_are_named(
    inputs, motion, capsys, options, message
):
    words = {"-d": motion, **options}
    if words["-d"] == "voice":
        words["-d"] = inputs["-d"]
    with pytest.raises(SystemExit) as stop:
        drive(inputs, "--animal", **words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_animal_is_not_driven_by_one_picture(inputs, tmp_path, capsys):
    path = tmp_path / "still.safetensors"
    save_motion(nod(4)[:1], path)
    with pytest.raises(SystemExit):
        drive(inputs, "--animal", **{"-d": path})
    assert "one picture has none: drive it by a video" in capsys.readouterr().err
