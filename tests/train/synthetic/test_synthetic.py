"""Drawn talking heads: shapes and truth by themselves, and the program as a user runs
it where espeak-ng is found."""

# ruff: noqa: RUF001 - letters of the IPA are meant

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import open_detector
from jaxportrait.media.video import VideoReader
from train.data.clips import Selection, find_clips
from train.synthetic import dataset
from train.synthetic.camera import PIVOT, Pose, project, turn
from train.synthetic.chart import Region
from train.synthetic.clip import PAINT, UNFINISHED, ClipPlan, act, make_clip
from train.synthetic.curves import interpolate
from train.synthetic.dataset import (
    Settings,
    finished_file,
    make_clips,
    plan_clips,
    prepare_folder,
)
from train.synthetic.espeak import open_library
from train.synthetic.eyes import EyeState
from train.synthetic.landmarks import GROUPS, landmarks
from train.synthetic.motion import EMOTIONS, FPS, perform
from train.synthetic.mouth import MouthShape, MouthState, lip_contours
from train.synthetic.raster import rasterize
from train.synthetic.scene import Moment, Scene
from train.synthetic.speech import Phoneme, Speech
from train.synthetic.surface import Material, Surface, normals_of, sphere
from train.synthetic.visemes import (
    PARAMETERS,
    UNVOICED_CLOSURE,
    closures_of,
    mouth_track,
    segments_of,
)

SIZE = 96
PAPA = (
    Phoneme("", 0, 0.3),
    Phoneme("p", 0.3, 0.34),
    Phoneme("ɑː", 0.34, 0.6),
    Phoneme("m", 0.6, 0.7),
    Phoneme("uː", 0.7, 1),
)
needs_espeak = pytest.mark.skipif(
    open_library() is None, reason="espeak-ng is not installed"
)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Four people; larger than elsewhere, so that they can be detected."""
    plans = [ClipPlan(5, subject, 0, 1.0, 160) for subject in range(4)]
    return [Scene(plan.person[1], plan.size, plan.random(PAINT)) for plan in plans]


@pytest.fixture(scope="module")
def speech() -> Speech:
    """A hum that is loud where PAPA has vowels."""
    times = np.arange(22050) / 22050
    loud = (times > 0.34) & (times < 0.6) | (times > 0.7)
    return Speech(
        "papa", (0.5 * loud * np.sin(700 * times)).astype(np.float32), 22050, PAPA
    )


def luminance(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float64).mean(axis=-1)


def test_tables_are_met_at_their_knots_and_smooth_between():
    table = [(0, 1.0), (1, 3.0), (3, -1.0)]
    np.testing.assert_allclose(
        interpolate(np.array([-5, 0, 1, 3, 9]), table), [1, 1, 3, -1, -1]
    )
    fine = interpolate(np.linspace(0.9, 1.1, 201), table)
    assert np.abs(np.diff(fine, 2)).max() < 1e-4


def test_turning_follows_the_documented_signs():
    nose = PIVOT + np.array([0, 0, 1.0])
    assert turn(nose, Pose((0, 30, 0)).rotation)[0] == pytest.approx(np.sin(np.pi / 6))
    assert turn(nose, Pose((30, 0, 0)).rotation)[1] == pytest.approx(
        PIVOT[1] - np.sin(np.pi / 6)
    )
    right = PIVOT + np.array([1.0, 0, 0])
    assert turn(right, Pose((0, 0, 30)).rotation)[1] == pytest.approx(
        PIVOT[1] + np.sin(np.pi / 6)
    )


def test_projection_is_larger_for_what_is_near_and_scales_with_the_picture():
    near, far = np.array([0.5, 0, 1.0]), np.array([0.5, 0, -1.0])
    pose = Pose((0, 0, 0), (0.1, 0.0))
    middle = 256 * 0.6 - 0.5
    assert (
        project(near, pose, 256)[0] - middle > project(far, pose, 256)[0] - middle > 0
    )
    np.testing.assert_allclose(
        project(near, pose, 512) + 0.5, 2 * (project(near, pose, 256) + 0.5)
    )


def test_the_nearer_surface_is_seen_with_its_own_paint():
    def square(left: float, z: float, value: float) -> Surface:
        y, x = np.meshgrid([0.0, 20.0], [left, left + 20.0], indexing="ij")
        return Surface(
            np.stack([x, y, 0 * x + z], -1), np.full((2, 2, 4), value), Material.BODY
        )

    surfaces = [square(0, 1.0, 1.0), square(10, 0.0, 2.0)]
    visible = rasterize(surfaces, [each.points[..., :2] for each in surfaces], (32, 40))
    seen = np.zeros((32, 40))
    seen.ravel()[visible.pixels] = visible.paint[:, 0]
    assert seen[5, [2, 15, 25, 35]].tolist() == [1, 1, 2, 0]
    np.testing.assert_allclose(
        visible.normals, [[0, 0, 1]] * len(visible.pixels), atol=1e-6
    )


def test_outlines_cover_what_they_surround():
    region = Region(0, 0, 1, 1, 64)
    cover = region.fill(np.array([[0.2, 0.2], [0.7, 0.2], [0.7, 0.6], [0.2, 0.6]]))
    x, y = region.grid()
    outside = (
        np.maximum(np.maximum(0.2 - x, x - 0.7), np.maximum(0.2 - y, y - 0.6))
        * region.density
    )
    assert cover[outside < -1].min() == 1
    assert cover[outside > 2].max() == 0
    np.testing.assert_allclose(
        region.look_up(cover[..., None], np.array([0.45, 0.9]), np.array([0.4, 0.9])),
        [[1], [0]],
    )


def test_what_lies_between_two_lines_is_covered():
    region = Region(0, 0, 1, 1, 64)
    x = np.linspace(0.1, 0.9, 9)
    upper, lower = (
        np.stack([x, 0.2 + 0.1 * x], axis=1),
        np.stack([x, 0.7 - 0.1 * x], axis=1),
    )
    cover, (column, row) = region.between(upper, lower), region.grid()
    within = (column > 0.15) & (column < 0.85)
    assert (
        cover[within & (row > 0.23 + 0.1 * column) & (row < 0.67 - 0.1 * column)].min()
        == 1
    )
    assert (
        cover[
            within & ((row < 0.16 + 0.1 * column) | (row > 0.74 - 0.1 * column))
        ].max()
        == 0
    )


def test_a_sphere_faces_outwards():
    _, points = sphere(9, 17)
    np.testing.assert_allclose(np.linalg.norm(points, axis=0), 1)
    outward = np.moveaxis(points, 0, -1)
    assert (normals_of(outward) * outward).sum(axis=-1).min() > 0.9


def test_lips_open_by_the_opening_and_meet_when_closed():
    def gap(state: MouthState) -> float:
        lines = lip_contours(MouthShape(), state)
        return float((lines.inner_lower - lines.inner_upper)[20, 1])

    opened = MouthState(jaw=0.8, rounding=0.3)
    assert gap(opened) == pytest.approx(opened.opening)
    assert opened.opening > 0.15
    assert gap(replace(opened, closure=1.0)) == 0
    widths = [
        np.ptp(lip_contours(MouthShape(), state).outer_upper[:, 0])
        for state in (MouthState(width=1), MouthState(rounding=1))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_p_b_m_close_the_lips_and_vowels_open_them():
    times = np.arange(0, 1, 0.01)
    track = dict(zip(PARAMETERS, mouth_track(PAPA, times).T, strict=True))
    spans = closures_of(PAPA)
    np.testing.assert_allclose(spans, [(0.3 - UNVOICED_CLOSURE, 0.3), (0.6, 0.685)])
    for start, end in spans:
        np.testing.assert_allclose(
            track["closure"][(times >= start) & (times <= end)], 1
        )
    assert track["closure"][47] < 0.05
    assert track["jaw"][47] > 0.7
    assert track["rounding"][90] > 0.8
    assert (
        track["rounding"][66] > track["rounding"][62] > track["rounding"][47]
    )  # the lips round ahead of the u


def test_every_sound_of_a_phoneme_has_its_share_of_time():
    names = [
        (each.viseme.name, each.start, each.end)
        for each in segments_of([Phoneme("aɪ", 1.0, 1.2), Phoneme("tʃ", 1.2, 1.3)])
    ]
    assert names == [
        ("a", 1.0, pytest.approx(1.1)),
        ("i", pytest.approx(1.1), 1.2),
        ("sh", 1.2, 1.3),
    ]


def test_performances_follow_voice_and_emotion(speech):
    performance = perform(speech, "happy", 3, np.random.default_rng(1))
    assert len(performance) == FPS
    assert (
        performance.smile.mean()
        > 0.6
        > perform(speech, "sad", 3, np.random.default_rng(1)).smile.mean()
    )
    again = perform(speech, "happy", 3, np.random.default_rng(1))
    np.testing.assert_array_equal(performance.pose, again.pose)
    assert {"neutral", "angry", "surprise"} < set(EMOTIONS)


def test_speakers_blink_some_twenty_times_a_minute():
    minute = Speech("", np.zeros(60 * 8000, np.float32), 8000, (Phoneme("", 0, 60),))
    counts = []
    for seed in range(8):
        shut = perform(minute, "neutral", 1, np.random.default_rng(seed)).blink > 0.8
        counts.append(np.count_nonzero(np.diff(shut.astype(int)) == 1))
    assert 15 <= np.mean(counts) <= 25


def test_haar_finds_drawn_faces_and_their_eyes_agree_with_the_truth(scenes):
    detector = open_detector("haar")
    for scene, yaw in zip(scenes, (-12, -4, 4, 12), strict=True):
        moment = Moment(Pose((3.0, float(yaw), 2.0)), MouthState(jaw=0.4))
        (face,) = detector.find(scene.draw(moment))
        points = landmarks(scene, moment)
        assert face.eyes is not None
        for found, side in zip(face.eyes, ("eye_left", "eye_right"), strict=True):
            assert (
                np.linalg.norm(found - points[GROUPS[side]].mean(axis=0))
                < 0.04 * scene.size
            )


def test_landmarks_lie_on_what_is_drawn(scenes):
    scene = scenes[0]
    moment = Moment(Pose((-3.0, 12.0, 4.0)), MouthState(jaw=1.0))
    picture, points = luminance(scene.draw(moment)), landmarks(scene, moment)
    lower_lip, throat = (
        points[GROUPS["lips_outer"]][9],
        points[GROUPS["lips_inner"]].mean(axis=0),
    )
    (lx, ly), (tx, ty) = np.rint([lower_lip, throat + np.array([0, 2])]).astype(int)
    assert picture[ty, tx] < 0.6 * picture[ly + 3, lx]
    for side in ("iris_left", "iris_right"):
        x, y = np.rint(points[GROUPS[side]][0]).astype(int)
        assert picture[y - 1 : y + 2, x - 1 : x + 2].min() < 60


def test_features_shift_in_parallax_as_the_head_turns(scenes):
    def points(yaw: float) -> np.ndarray:
        return landmarks(scenes[1], Moment(Pose((0.0, yaw, 0.0))))

    moved = (points(20.0) - points(0.0))[:, 0]
    assert (
        moved[GROUPS["nose_ridge"]][3]
        > moved[GROUPS["eye_left"]].mean() + 2
        > moved[0] + 4
    )


def test_what_moves_changes_only_its_own_part_of_the_picture(scenes):
    scene = scenes[2]
    rest = luminance(scene.draw(Moment()))
    blink = np.abs(luminance(scene.draw(Moment(eyes=EyeState(blink=1.0)))) - rest)
    y = landmarks(scene, Moment())[:, 1]
    eyes, mouth = (
        y[GROUPS["eye_left"]].mean().astype(int),
        y[GROUPS["lips_outer"]].min().astype(int),
    )
    assert blink[eyes - 8 : eyes + 8].max() > 60
    assert blink[mouth:].max() == 0


@pytest.mark.parametrize(
    ("settings", "subjects", "clips", "message"),
    [
        (Settings(), 0, 1, "--subjects must be from 1 to 999, got 0"),
        (Settings(), 1, 1000, "--clips must be from 1 to 999, got 1000"),
        (Settings(seed=-1), 1, 1, "--seed must not be negative, got -1"),
        (Settings(seconds=0), 1, 1, "--seconds must be over 0 and at most 60, got 0"),
        (Settings(size=65), 1, 1, "--size must be even and at least 64, got 65"),
    ],
)
def test_numbers_that_make_no_data_set_are_refused(settings, subjects, clips, message):
    with pytest.raises(ValueError, match=message):
        plan_clips(settings, subjects, clips)


def test_no_worker_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--workers must be at least 1, got 0"):
        next(make_clips(plan_clips(Settings(), 1, 1), tmp_path, 0))


def test_without_espeak_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "train.synthetic.espeak.LIBRARIES", ("libno-such-synthesiser.so",)
    )
    with pytest.raises(OSError, match="apt-get install espeak-ng"):
        prepare_folder(tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "settings.json"
    with pytest.raises(FileNotFoundError), finished_file(path) as partial:
        partial.with_name("elsewhere").rename(partial)
    assert list(tmp_path.iterdir()) == []
    with finished_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["settings.json"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Two people with a clip each, by two workers."""
    root = tmp_path_factory.mktemp("synthetic") / "mead"
    run_program(root, "2", check=True)
    return root


def run_program(
    root: Path, workers: str, seed: str = "14", check: bool = False
) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "train.synthetic",
        "--output-path",
        str(root),
        "--subjects",
        "2",
        "--clips",
        "1",
    ]
    command += [
        "--seconds",
        "0.5",
        "--size",
        str(SIZE),
        "--workers",
        workers,
        "--seed",
        seed,
    ]
    return subprocess.run(command, check=check, capture_output=True, text=True)


@needs_espeak
def test_the_tree_is_read_as_mead(tree):
    clips = find_clips(tree, "mead", Selection())
    assert len(clips) == 2
    for clip in clips:
        truth = np.load(clip.video.with_suffix(".npz"))
        assert (clip.subject, clip.emotion, clip.level) == (
            truth["subject"],
            truth["emotion"],
            truth["level"],
        )
        frames = [frame for _, frame in VideoReader(clip.video)]
        sound = Audio.open(clip.sound)
        assert frames[0].shape == (SIZE, SIZE, 3)
        assert truth["landmarks"].shape == (len(frames), 82, 2)
        assert truth["mouth"].shape == (len(frames), 5)
        assert sound.duration == pytest.approx(len(frames) / FPS, abs=0.1)
        assert truth["phoneme_times"][-1, 1] == pytest.approx(sound.duration, abs=0.06)
    assert not list(tree.rglob(".*"))


@needs_espeak
def test_the_sound_written_is_in_time_with_the_truth(tree):
    clip = find_clips(tree, "mead", Selection())[0]
    truth = np.load(clip.video.with_suffix(".npz"))
    samples = np.concatenate(list(Audio.open(clip.sound).stream()))
    start = truth["phoneme_times"][1, 0]
    loud = np.flatnonzero(np.abs(samples) > 0.02)[0] / 16_000
    assert loud == pytest.approx(start, abs=0.05)


@needs_espeak
def test_closures_are_quiet_and_vowels_are_loud_and_open():
    plan = ClipPlan(3, 1, 0, 20.0, SIZE)
    said, performance = act(plan)
    level = said.loudness(performance.times, 0.03)
    opening = np.array(
        [performance.moment(frame).mouth.opening for frame in range(len(performance))]
    )
    shut = np.zeros(len(performance), bool)
    for start, end in closures_of(said.phonemes):
        inside = (performance.times >= start) & (performance.times <= end)
        assert opening[inside].min() < 0.15 * opening.max()
        shut |= inside
    assert level[shut].mean() < 0.5 * level[opening > 0.5 * opening.max()].mean()
    lags = {
        lag: np.corrcoef(opening[6:-6], level[6 + lag : len(level) - 6 + lag])[0, 1]
        for lag in range(-6, 7)
    }
    assert abs(max(lags, key=lags.__getitem__)) <= 1


@needs_espeak
def test_a_run_goes_on_with_the_same_pixels_and_truth_whatever_the_workers(tree):
    first, second = (clip.video for clip in find_clips(tree, "mead", Selection()))
    frames = [frame for _, frame in VideoReader(first)]
    truth, kept = first.with_suffix(".npz").read_bytes(), second.stat().st_mtime_ns
    first.unlink()
    output = run_program(tree, "1", check=True).stdout
    assert "1 of 2 clips are done already" in output
    assert "1 of 1 clips" in output
    assert second.stat().st_mtime_ns == kept
    assert first.with_suffix(".npz").read_bytes() == truth
    for old, (_, new) in zip(frames, VideoReader(first), strict=True):
        np.testing.assert_array_equal(old, new)


@needs_espeak
def test_a_folder_of_other_settings_is_refused_in_one_line(tree):
    run = run_program(tree, "1", seed="4")
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert "choose another folder" in run.stderr
    assert run.stderr.count("\n") == 1


@needs_espeak
def test_a_clip_that_fails_leaves_no_video(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "train.synthetic.clip.landmarks", lambda scene, moment: np.zeros((3, 2))
    )
    plan = ClipPlan(14, 0, 0, 0.5, SIZE)
    with pytest.raises(ValueError, match="broadcast"):
        make_clip(plan, tmp_path)
    assert not list(tmp_path.iterdir())


@needs_espeak
def test_settings_are_noted_once_and_leftovers_go(tmp_path):
    prepare_folder(tmp_path, Settings(seed=7))
    (tmp_path / f"{UNFINISHED}x").mkdir()
    assert json.loads((tmp_path / dataset.DESCRIPTION).read_text())["seed"] == 7
    prepare_folder(tmp_path, Settings(seed=7))
    assert [path.name for path in tmp_path.iterdir()] == [dataset.DESCRIPTION]


@needs_espeak
def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file cannot be made"):
        prepare_folder(tmp_path / "file", Settings())
