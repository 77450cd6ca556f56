"""Clips of heads with a known truth, and the regions of their faces."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.media.crop import (
    CLIP_SCALE,
    FaceRectangle,
    clip_rectangle,
    crop_face,
    network_input,
)
from tests.train.evaluate.speech.truths import save_truth, truth_of
from train.data.clips import Clip
from train.data.landmarks import LEFT_EYE, MOUTH
from train.data.truth import truth_path
from train.evaluate.speech.heads import (
    Region,
    cut_region,
    find_heads,
    neutral_frame,
    read_motion_truth,
    read_points,
    region_around,
    relative_points,
    tighten,
)


def clip_in(folder: Path) -> Clip:
    return Clip("a.mp4", folder / "a.mp4", folder / "a.m4a", "M001")


def test_a_tightened_box_is_that_of_another_zoom():
    hulls = [FaceRectangle((60.0, 70.0), 40.0), FaceRectangle((64.0, 66.0), 44.0)]
    expected = clip_rectangle(hulls, CLIP_SCALE / 1.4)
    tight = tighten(clip_rectangle(hulls), 1.4)
    assert tight.center == pytest.approx(expected.center)
    assert tight.size == pytest.approx(expected.size)


def test_a_region_is_a_square_of_the_face():
    picture = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    box = FaceRectangle((50.0, 40.0), 44.0)
    # The hull is 20 pixels wide: -0.25, 0.5 and 1.2 of it are -5, 10 and 24.
    square = FaceRectangle((45.0, 50.0), 24.0)
    expected = network_input(crop_face(picture, square, 24), 12)
    region = Region(-0.25, 0.5, 1.2)
    np.testing.assert_array_equal(cut_region(picture, box, region, 12), expected)


def test_a_region_is_twice_as_wide_as_its_landmarks():
    box = FaceRectangle((50.0, 40.0), 44.0)  # of a hull of 20 pixels
    points = np.array([[[45.0, 50.0], [55.0, 50.0], [50.0, 52.0], [50.0, 48.0]]] * 50)
    region = region_around(relative_points(points, box))
    assert (region.right, region.down) == (0, pytest.approx(0.5))
    assert region.side == pytest.approx(2 * 10 / 20)


def test_landmarks_are_read_by_the_names_of_their_groups(tmp_path):
    clip = clip_in(tmp_path)
    save_truth(clip.video, np.ones(9))
    mouth = read_points(clip, MOUTH, 9)
    eye = read_points(clip, LEFT_EYE, 9)
    assert mouth.shape == eye.shape == (9, 4, 2)
    # the eye is above the mouth, and to the left of it
    assert (eye.mean(axis=1) < mouth.mean(axis=1)).all()


def test_truth_without_named_landmarks_is_refused(tmp_path):
    clip = clip_in(tmp_path)
    np.savez(truth_path(clip.video), landmarks=np.zeros((9, 4, 2)))
    with pytest.raises(ValueError, match=r"a\.npz names no landmarks eye_left"):
        read_points(clip, LEFT_EYE, 9)


def test_the_neutral_frame_has_shut_lips_and_open_eyes():
    # Frame 0 blinks, 1 speaks, 2 is almost at rest.
    opening = np.array([0.0, 0.4, 0.01, 0.2])
    blink = np.array([1.0, 0, 0, 0.5])
    assert neutral_frame(truth_of(opening, blink=blink)) == 2
    assert neutral_frame(truth_of(np.zeros(4), blink=blink)) == 1


def test_truth_that_is_missing_or_damaged_is_named(tmp_path):
    clip = clip_in(tmp_path)
    message = r"a\.npz is missing, and heads without truth cannot be measured"
    with pytest.raises(FileNotFoundError, match=message):
        read_motion_truth(clip)
    np.savez(truth_path(clip.video), opening=np.ones(3), closures=np.zeros(0))
    with pytest.raises(ValueError, match=r"a\.npz lacks blink, pose, translation"):
        read_motion_truth(clip)
    truth_path(clip.video).write_bytes(b"text")
    with pytest.raises(ValueError, match=r"a\.npz is damaged"):
        read_motion_truth(clip)
    save_truth(clip.video, np.ones(9))
    assert read_motion_truth(clip).closures.shape == (2, 2)


def test_clips_are_chosen_evenly(tmp_path):
    for number in range(5):
        path = tmp_path / "M001/video/front/happy/level_1" / f"00{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [clip.video.stem for clip in find_heads(tmp_path, 2)] == ["000", "002"]
    assert len(find_heads(tmp_path, 9)) == len(find_heads(tmp_path)) == 5
