"""Clips of motion: their frames, other rates, joins and files."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file

from jaxportrait.motion.clip import MotionClip, concatenate
from jaxportrait.motion.file import FORMAT, MotionFileError, load_motion, save_motion
from jaxportrait.motion.rotation import angles_of, matrices_of
from jaxportrait.motion.space import MOTION_SPACES, POSE, SCALE, neutral_frames

LIP = MOTION_SPACES["lip"]
FACE = MOTION_SPACES["face"]
YAW = POSE.start + 1
SCALES = np.ones((2, 1), np.float32)


def draw_clip(count: int = 7, fps: float = 30, seed: int = 0) -> MotionClip:
    """Draw a clip of whole heads, with openness of eyes and lips."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 0.02, (count, FACE.width))
    values[:, POSE] = random.uniform(-40, 40, (count, 3))
    values[:, SCALE] = random.uniform(1, 1.5, (count, 1))
    clip = MotionClip.from_values(values, FACE, fps)
    # Openness of both eyes and of the lips.
    openness = random.uniform(0, 0.4, (count, 3)).astype(np.float32)
    return replace(clip, eyes=openness[:, :2], lips=openness[:, 2:])


def assert_equal(first: MotionClip, second: MotionClip, atol: float = 0):
    assert first.fps == second.fps
    expected = second.arrays()
    assert first.arrays().keys() == expected.keys()
    for name, array in first.arrays().items():
        assert_allclose(array, expected[name], atol=atol, rtol=0)


def test_packed_frames_return():
    random = np.random.default_rng(0)
    # Angles return while yaw is within 90 degrees, 9 deviations.
    values = random.normal(0, 10, (5, FACE.width))
    clip = MotionClip.from_values(values, FACE, 30)
    assert len(clip) == 5
    assert_allclose(clip.to_frames(), values, atol=2e-5)


def test_a_lip_clip_leaves_the_head_to_the_source():
    random = np.random.default_rng(0)
    values = np.float32(random.normal(0, 0.02, (5, LIP.width)))
    clip = MotionClip.from_values(values, LIP, 25)
    assert list(clip.arrays()) == ["expression"]
    assert not clip.moves_head
    expected = LIP.complete(values)
    assert_array_equal(clip.to_frames(), expected)


def test_a_change_of_motion_is_one_of_its_neutral_motion_too():
    neutral = draw_clip(seed=1)
    clip = replace(draw_clip(), neutral=neutral)
    changed = clip.transform(lambda motion: motion.resample(25, 5))
    assert_equal(changed, clip.resample(25, 5))
    assert_equal(changed.neutral, neutral.resample(25, 5))
    assert draw_clip().transform(lambda motion: motion[:2]).neutral is None


def test_frames_are_chosen_by_slices_and_indices():
    clip = draw_clip()
    assert clip.moves_head
    part = clip[2:5]
    assert_array_equal(part.eyes, clip.eyes[2:5])
    chosen = clip[[4, 1]]
    assert_array_equal(chosen.scale, clip.scale[[4, 1]])
    assert len(clip[:0]) == 0


def test_padding_repeats_the_last_frame():
    clip = draw_clip(3)
    # Programs of one size read clips of any length.
    padded = clip.pad(5)
    assert_equal(padded[:3], clip)
    assert_equal(padded[3:], clip[[2, 2]])
    assert_equal(clip.pad(2), clip)


@pytest.mark.parametrize("fps", [24, 25, 30, 50, 60])
def test_resampled_motion_keeps_its_time(fps):
    # The frame at 3 s is there too, so that none is held.
    seconds = np.arange(91, dtype=np.float32) / 30
    values = neutral_frames(91)
    values[:, 0] = seconds
    values[:, YAW] = 20 * seconds
    clip = MotionClip.from_values(values, FACE, 30)
    resampled = clip.resample(fps, 3 * fps)
    assert resampled.fps == fps
    expected = np.arange(3 * fps) / fps
    x = resampled.expression[:, 0, 0]
    assert_allclose(x, expected, atol=1e-5)
    yaw = angles_of(resampled.rotation)[:, 1]
    assert_allclose(yaw, 20 * expected, atol=1e-4)


def test_resampling_to_the_same_rate_changes_nothing():
    clip = draw_clip(9)
    assert_equal(clip.resample(30, 9), clip, atol=1e-6)


def test_the_last_frame_is_held():
    clip = draw_clip(4)
    # Two frames reach the end at half the rate.
    held = clip.resample(15, 6)[2:]
    last = clip[[3, 3, 3, 3]]
    assert_equal(replace(held, fps=30), last, atol=1e-6)


def test_one_frame_can_be_resampled():
    clip = draw_clip(1)
    held = clip.resample(60, 3)
    assert_equal(replace(held, fps=30), clip.pad(3), atol=1e-6)


def test_clips_are_joined():
    clip = draw_clip(7)
    parts = [clip[:2], clip[2:3], clip[3:]]
    assert_equal(concatenate(parts), clip)


def test_clips_that_do_not_fit_are_not_joined():
    clip = draw_clip()
    slower = replace(clip, fps=25)
    with pytest.raises(ValueError, match="motion of 30 and 25 frames a second"):
        concatenate([clip, slower])
    partial = replace(clip, lips=None)
    with pytest.raises(ValueError, match="join clips with the same fields"):
        concatenate([clip, partial])
    with pytest.raises(ValueError, match="there is no motion to join"):
        concatenate([])


def test_arrays_that_do_not_fit_are_named():
    clip = draw_clip(3)
    short = clip.scale[:2]
    with pytest.raises(ValueError, match=r"scale of motion has shape \(2, 1\)"):
        replace(clip, scale=short)
    with pytest.raises(ValueError, match="motion has 0 frames a second"):
        replace(clip, fps=0)
    with pytest.raises(ValueError, match="motion has no field"):
        MotionClip(None, None, None, None, 30, eyes=clip.eyes)


def test_a_saved_clip_returns(tmp_path):
    path = tmp_path / "motion.safetensors"
    heads = draw_clip(fps=29.97)
    lips = MotionClip.from_values(np.ones((2, LIP.width)), LIP, 1)
    # The second clip replaces the first.
    for clip in (heads, lips):
        save_motion(clip, path)
        assert_equal(load_motion(path), clip)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_clip_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "motion.safetensors"
    save_motion(draw_clip(), path)
    before = path.read_bytes()

    # A full disk: half of the file is written.
    def fail(_, path, __):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("jaxportrait.motion.file.save_file", fail)
    with pytest.raises(OSError, match="no space left"):
        save_motion(draw_clip(seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_hold_no_motion_are_named(tmp_path):
    path = tmp_path / "motion.safetensors"
    with pytest.raises(FileNotFoundError, match="no motion at"):
        load_motion(path)
    with pytest.raises(OSError, match="cannot be written"):
        save_motion(draw_clip(), tmp_path / "missing" / "motion.safetensors")
    path.write_bytes(b"anything")
    with pytest.raises(MotionFileError, match="is no motion file or damaged"):
        load_motion(path)
    save_motion(draw_clip(), path)
    # A file that was cut off.
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(MotionFileError, match="is no motion file or damaged"):
        load_motion(path)
    save_file({"scale": np.ones((2, 1), np.float32)}, path)
    with pytest.raises(MotionFileError, match="is of format None"):
        load_motion(path)


@pytest.mark.parametrize(
    ("name", "array", "fps", "message"),
    [
        ("scale", SCALES, "fast", "could not convert"),
        ("scale", np.ones((2, 2), np.float32), "30", "scale of motion has shape"),
        ("speed", SCALES, "30", "which is no part of motion"),
        ("scale", SCALES.astype(float), "30", "not of finite float32"),
        ("scale", np.nan * SCALES, "30", "not of finite float32"),
    ],
)
def test_motion_that_cannot_be_used_is_refused(tmp_path, name, array, fps, message):
    path = tmp_path / "motion.safetensors"
    metadata = {"format": "jaxportrait motion 1", "fps": fps}
    save_file({name: array}, path, metadata)
    with pytest.raises(MotionFileError, match=message):
        load_motion(path)


def test_rotation_travels_as_a_matrix():
    angles = np.float32([[10, -20, 30]])
    values = neutral_frames(1)
    values[:, POSE] = angles
    clip = MotionClip.from_values(values, FACE, 30)
    assert_array_equal(clip.rotation, matrices_of(angles))


def test_files_of_other_fields_or_no_frames_are_named(tmp_path):
    path = tmp_path / "motion.safetensors"
    metadata = {"format": FORMAT, "fps": "25.0"}
    expression = np.zeros((2, 21, 3), np.float32)
    save_file({"expression": expression[:0]}, path, metadata)
    with pytest.raises(MotionFileError, match="no frame of motion"):
        load_motion(path)
    # `rest` is a field of clips, and of no file.
    save_file({"expression": expression, "rest": expression}, path, metadata)
    with pytest.raises(MotionFileError, match="'rest', which is no part of motion"):
        load_motion(path)
    save_file({"expression": expression}, path, metadata)
    assert len(load_motion(path)) == 2
