"""The program that draws data sets, as a user runs it, and its parts."""

import json
from multiprocessing import active_children

import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.ranges import OptionError
from tests.train.synthetic.conftest import run_program
from tests.train.synthetic.inputs import SIZE, needs_espeak
from train.data.clips import Selection, find_clips
from train.synthetic import dataset
from train.synthetic.clip import ClipPlan, make_clip
from train.synthetic.dataset import (
    Settings,
    make_clips,
    plan_clips,
    prepare_folder,
)
from train.synthetic.motion import ALL_EMOTIONS, FPS

BEFORE = [
    ("happy", 2),
    ("contempt", 3),
    ("contempt", 2),
    ("surprise", 3),
    ("angry", 2),
    ("fear", 3),
]
"""Emotion and level of three clips each of two people, of seed 0."""


def test_without_espeak_the_package_is_named(tmp_path, monkeypatch):
    libraries = ("libno-such-synthesiser.so",)
    monkeypatch.setattr("train.synthetic.espeak.LIBRARIES", libraries)
    with pytest.raises(OSError, match="apt-get install espeak-ng"):
        prepare_folder(tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()


@needs_espeak
def test_the_tree_is_read_as_mead(tree):
    clips = find_clips(tree, "mead", Selection())
    assert len(clips) == 2
    for clip in clips:
        truth = np.load(clip.video.with_suffix(".npz"))
        assert clip.subject == truth["subject"]
        assert clip.emotion == truth["emotion"]
        assert clip.level == truth["level"]
    assert not list(tree.rglob(".*"))


@needs_espeak
def test_video_sound_and_truth_have_the_same_length(tree):
    for clip in find_clips(tree, "mead", Selection()):
        truth = np.load(clip.video.with_suffix(".npz"))
        frames = [frame for _, frame in VideoReader(clip.video)]
        duration = Audio.open(clip.sound).duration
        assert frames[0].shape == (SIZE, SIZE, 3)
        assert truth["landmarks"].shape == (len(frames), 82, 2)
        assert truth["mouth"].shape == (len(frames), 5)
        assert duration == pytest.approx(len(frames) / FPS, abs=0.1)
        assert truth["phoneme_times"][-1, 1] == pytest.approx(duration, abs=0.06)


@needs_espeak
def test_the_sound_written_is_in_time_with_the_truth(tree):
    clip = find_clips(tree, "mead", Selection())[0]
    truth = np.load(clip.video.with_suffix(".npz"))
    samples = np.concatenate(list(Audio.open(clip.sound).stream()))
    first_sound = truth["phoneme_times"][1, 0]
    loud = np.flatnonzero(np.abs(samples) > 0.02)[0] / 16_000
    # AAC may delay the sound by its block length.
    assert loud == pytest.approx(first_sound, abs=0.05)


@needs_espeak
def test_a_run_resumes_with_the_same_pixels_and_truth_whatever_the_workers(tree):
    first, second = (clip.video for clip in find_clips(tree, "mead", Selection()))
    frames = [frame for _, frame in VideoReader(first)]
    truth = first.with_suffix(".npz").read_bytes()
    second_time = second.stat().st_mtime_ns
    # Without its video, a clip counts as missing.
    first.unlink()
    run = run_program(tree, workers=1)
    assert run.returncode == 0
    assert "1 of 2 clips are done already" in run.stdout
    assert "1 of 1 clips" in run.stdout
    assert second.stat().st_mtime_ns == second_time
    assert first.with_suffix(".npz").read_bytes() == truth
    for before, (_, after) in zip(frames, VideoReader(first), strict=True):
        np.testing.assert_array_equal(before, after)


@needs_espeak
def test_a_folder_of_other_settings_is_refused_in_one_line(tree):
    run = run_program(tree, workers=1, seed=4)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert "choose another folder" in run.stderr
    assert run.stderr.count("\n") == 1


@needs_espeak
def test_a_clip_that_fails_leaves_no_video(tmp_path, monkeypatch):
    def too_few_points(scene, moment):
        return np.zeros((3, 2))

    # Drawing fails after the first frame is written.
    monkeypatch.setattr("train.synthetic.clip.landmarks", too_few_points)
    plan = ClipPlan(14, 0, 0, 0.5, SIZE)
    with pytest.raises(ValueError, match="broadcast"):
        make_clip(plan, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@needs_espeak
def test_killed_workers_cost_their_clips_only(tmp_path):
    slow = ClipPlan(14, 0, 0, 30.0, SIZE)
    quick = [ClipPlan(14, 1, clip, 0.5, SIZE) for clip in range(4)]
    clips = make_clips([slow, *quick], tmp_path, 2)
    done = [next(clips)[0]]
    for child in active_children():
        child.kill()
    name = slow.path(tmp_path, ".mp4").relative_to(tmp_path)
    message = rf"of 5 clips were not made: .*{name} \(its worker was killed"
    with pytest.raises(ChildProcessError, match=message):
        done.extend(plan for plan, _ in clips)
    # The other worker had begun a clip at most.
    assert len(done) in (3, 4)
    assert all(plan.is_done(tmp_path) for plan in done)
    assert not slow.is_done(tmp_path)
    assert not active_children()


@needs_espeak
def test_settings_are_noted_once(tmp_path):
    prepare_folder(tmp_path, Settings(seed=7))
    description = json.loads((tmp_path / dataset.DESCRIPTION).read_text())
    assert description["seed"] == 7
    prepare_folder(tmp_path, Settings(seed=7))
    assert [path.name for path in tmp_path.iterdir()] == [dataset.DESCRIPTION]


def test_clips_act_the_emotions_that_are_named():
    plans = plan_clips(Settings(emotions=("sad", "happy")), 4, 5)
    feelings = [plan.feeling for plan in plans]
    assert {emotion for emotion, _ in feelings} == {"happy", "sad"}
    assert {level for _, level in feelings} == {1, 2, 3}
    # The order of the names changes nothing.
    swapped = plan_clips(Settings(emotions=("happy", "sad")), 4, 5)
    assert [plan.feeling for plan in swapped] == feelings


def test_clips_of_all_emotions_are_as_they_were_before_there_was_a_choice():
    plans = plan_clips(Settings(), 2, 3)
    assert [plan.feeling for plan in plans] == BEFORE
    assert Settings().description.keys() == {"format", "seed", "seconds", "size"}
    # Naming all of them is the same.
    swapped = Settings(emotions=ALL_EMOTIONS[::-1])
    assert swapped.description == Settings().description
    assert [plan.feeling for plan in plan_clips(swapped, 2, 3)] == BEFORE


@needs_espeak
def test_a_folder_holds_clips_of_one_choice_of_emotions(tmp_path):
    prepare_folder(tmp_path, Settings(emotions=("sad", "happy")))
    prepare_folder(tmp_path, Settings(emotions=("happy", "sad")))
    for other in (Settings(), Settings(emotions=("happy",))):
        with pytest.raises(ValueError, match=r"size 256, emotions .*choose another fo"):
            prepare_folder(tmp_path, other)


@pytest.mark.parametrize(
    ("emotions", "message"),
    [
        (
            ("happy", "joyful"),
            "emotions name 'joyful': choose among neutral, happy, sa",
        ),
        (
            ("sad", "sad"),
            "emotions are sad, sad: name at least one, and each only once",
        ),
        ((), "emotions are none: name at least one"),
    ],
)
def test_emotions_that_nobody_acts_are_refused(emotions, message):
    with pytest.raises(OptionError, match=message):
        Settings(emotions=emotions)


@needs_espeak
def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file cannot be made"):
        prepare_folder(tmp_path / "file", Settings())
