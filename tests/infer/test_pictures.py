"""Pictures that drive, and outputs that hold one picture or a clip."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxportrait.motion.file import load_motion
from tests.infer.test_driving import drive, film, frames_of


def picture(path: Path, portrait: np.ndarray) -> Path:
    """Write a portrait that stands a little aside."""
    cv2.imwrite(str(path), np.roll(portrait, 9, axis=1)[..., ::-1])
    return path


def test_a_picture_drives_and_makes_a_picture(inputs, tmp_path, portrait):
    # Its content tells what it is.
    driving = picture(tmp_path / "smile.png", portrait).rename(tmp_path / "smile.mp4")
    template = tmp_path / "smile.safetensors"
    drive(inputs, "--template-out", str(template), **{"-d": driving})
    shown = np.asarray(Image.open(inputs["-o"] / "face--smile.png"))
    assert shown.shape == portrait.shape
    assert (shown != portrait).any()
    # Motion of one frame makes the same picture, in every format of pictures.
    assert len(load_motion(template)) == 1
    for suffix in ("png", "jpg", "webp"):
        drive(inputs, **{"-d": template, "-o": tmp_path / f"again.{suffix}"})
        again = np.asarray(Image.open(tmp_path / f"again.{suffix}").convert("RGB"))
        assert again.shape == shown.shape
        # The tiny networks make noise, which other formats blur.
        if suffix == "png":
            np.testing.assert_array_equal(again, shown)


def test_a_moving_picture_drives_as_a_video(inputs, tmp_path, portrait):
    frames = [np.roll(portrait, 9 * i, axis=1) for i in range(3)]
    pictures = [Image.fromarray(frame) for frame in frames]
    path = tmp_path / "wave.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    drive(inputs, **{"-d": path})
    assert len(frames_of(inputs["-o"] / "face--wave.mp4")) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"-d": "still", "-o": "a.mp4"},
            "makes one picture, and {}a.mp4 is for clips: end the name in one of .png, ",
        ),
        (
            {"-d": "video", "-o": "a.png"},
            "a.png holds one picture, and {}video.mp4 makes a clip: end the name in .mp4",
        ),
        ({"-o": "a.jpg"}, "voice.wav makes a clip: end the name in .mp4"),
        ({"-d": "still", "--output-fps": 25}, "one picture has no rate of frames"),
        ({"--head-from": "still"}, "still.png is one picture: the head needs a video"),
        ({"--driving-crop": "tracked"}, "nothing is cropped here: leave it out"),
        (
            {"-d": "video", "--driving-crop": "none", "--driving-crop-scale": 2},
            "driving pictures that are already cropped are not framed",
        ),
        (
            {"-d": "video", "--driving-crop-scale": 0.5},
            "driving_crop_scale is 0.5: it must be from 1 to 10",
        ),
    ],
)
def test_pictures_and_clips_that_cannot_be_are_named(
    inputs, tmp_path, portrait, capsys, options, message
):
    files = {
        "still": picture(tmp_path / "still.png", portrait),
        "video": film(tmp_path / "video.mp4", portrait, None),
        "a.mp4": tmp_path / "a.mp4",
        "a.png": tmp_path / "a.png",
        "a.jpg": tmp_path / "a.jpg",
    }
    words = {name: files.get(value, value) for name, value in options.items()}
    with pytest.raises(SystemExit) as stop:
        drive(inputs, **words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message.replace("{}", f"{tmp_path}/") in error
    assert error.count("\n") == 1


def test_openness_that_a_detector_does_not_tell_is_named_before_the_work(
    inputs, tmp_path, portrait, capsys
):
    path = film(tmp_path / "mute.mp4", portrait, None)
    with pytest.raises(SystemExit) as stop:
        drive(inputs, "--lip-retargeting", **{"-d": path})
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "the source's eyes and lips is not known" in error
    assert "reading the motion" not in error


def test_driving_face_source_and_result_stand_side_by_side(inputs, tmp_path, portrait):
    path = film(tmp_path / "mute.mp4", portrait, None)
    output = tmp_path / "beside.mp4"
    drive(inputs, "--side-by-side", "--crf", "1", **{"-d": path, "-o": output})
    frames = frames_of(output).astype(int)
    assert frames.shape == (10, 256, 3 * 256, 3)
    # The driving portrait moves to the right, and the source stands still.
    driven = np.roll(portrait, 9, axis=1)
    assert np.abs(frames[3, :, :256] - driven).mean() < 8
    assert np.abs(frames[3, :, 256:512] - portrait).mean() < 4
    still = picture(tmp_path / "still.png", portrait)
    drive(inputs, "--side-by-side", **{"-d": still, "-o": tmp_path / "beside.png"})
    row = np.asarray(Image.open(tmp_path / "beside.png")).astype(int)
    assert row.shape == (256, 3 * 256, 3)
    np.testing.assert_array_equal(row[:, 256:512], portrait)
    assert np.abs(row[:, :256] - np.roll(portrait, 9, axis=1)).mean() < 4
