"""Measures of speaking heads on curves known by hand, the regressor on drawn mouths,
and the program as it is used."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxportrait.media.crop import (
    CLIP_SCALE,
    FaceRectangle,
    clip_rectangle,
    crop_face,
    network_input,
)
from tests.train.portraits import save_small_checkpoint
from tests.train.videos import HEIGHT, WIDTH, draw_head, write_mead_clip
from train.data.clips import Clip
from train.data.truth import truth_path
from train.evaluate.motion.metrics import LARGEST_LAG, correlation
from train.evaluate.speech.heads import (
    MOUTH,
    Region,
    Truth,
    cut_region,
    find_heads,
    neutral_frame,
    read_truth,
    tighten,
)
from train.evaluate.speech.measures import (
    agreement,
    best_lag,
    blink_rate,
    blinks,
    deviation,
    disagreement,
    shut_closures,
)
from train.evaluate.speech.readers import Reading
from train.evaluate.speech.regressor import (
    MARGIN,
    PATCH_SIDE,
    SIDE,
    change_patch,
    train_reader,
)
from train.evaluate.speech.report import quality, speech, true_motion
from train.evaluate.speech.run import Options, evaluate
from train.spoken import main

FRAMES = 36


def truth_of(opening: np.ndarray, **known: np.ndarray) -> Truth:
    rest = {"blink": np.zeros(len(opening)), "pose": np.zeros((len(opening), 3))}
    rest |= {"translation": np.zeros((len(opening), 2)), "closures": np.zeros((0, 2))}
    return Truth(opening, **{**rest, **known})


def smooth(seed: int, frames: int = 120) -> np.ndarray:
    return np.convolve(
        np.random.default_rng(seed).standard_normal(frames + 8), np.hanning(9), "valid"
    )


# Measures


@pytest.mark.parametrize("lag", [-2, 0, 3])
def test_lag_of_a_mouth_that_follows(lag):
    truth = smooth(0, 140)
    measured = 2 * truth[10 - lag : 130 - lag] + 1
    same, lagged = agreement(measured, truth[10:])
    assert best_lag(lagged) == lag
    assert (
        lagged[LARGEST_LAG]
        == pytest.approx(same)
        == pytest.approx(correlation(measured, truth[10:130]))
    )
    assert lagged.max() == pytest.approx(1)


def test_other_sentences_are_cut_to_the_same_length():
    measured = smooth(0)
    assert disagreement(measured, [measured[:50], -measured]) == pytest.approx(0)
    assert (
        abs(disagreement(measured, [smooth(seed, 150) for seed in range(1, 30)])) < 0.2
    )


def test_closures_are_shut_where_a_frame_in_them_is():
    opening = np.full(30, 1.0)
    opening[[3, 12]] = 0.1
    opening[20] = 0.2
    seconds = np.array([[2.9, 3.1], [9.1, 11.2], [13.2, 15], [19, 21], [40, 42]]) / 30
    assert shut_closures(opening, seconds).tolist() == [True, True, False, False]
    assert not shut_closures(np.ones(30), seconds).any()


def test_blinks_are_counted_once_each():
    assert blinks(np.array([0, 0.6, 0.4, 0.6, 0.2, 0, 0.9, 1, 0.1])) == 2
    assert blinks(np.array([0.4, 0.49, 0])) == 0
    assert blinks(np.array([1.0, 0.9])) == 1
    assert blink_rate([np.tile([0, 1.0], 15), np.zeros(870)]) == pytest.approx(30)


def test_deviation_is_about_each_clips_own_mean():
    sway = np.array([[-1.0, 0], [1, 0]])
    np.testing.assert_allclose(deviation([sway + 50, sway - 50]), [1, 0])


def test_a_perfect_reading_measures_as_the_truth():
    closures = np.array([[1.0, 1.1]])
    truths = [truth_of(np.abs(smooth(seed)), closures=closures) for seed in range(3)]
    for truth in truths:
        truth.opening[31] = 0
        truth.blink[5] = 1e-3
    readings = [Reading(2 * truth.opening, truth.opening) for truth in truths]
    found = speech(readings, truths)
    assert found["correlation"] == pytest.approx(1)
    assert found["least_correlation"] == pytest.approx(1)
    assert found["lag_frames"] == 0
    assert found["wrong_correlation"] < 0.4
    assert found["closed"] == 1
    late = [
        replace(reading, opening=np.roll(reading.opening, 4)) for reading in readings
    ]
    assert speech(late, truths)["lag_frames"] == 4
    assert quality(readings, truths)["opening"]["correlation"] == pytest.approx(1)
    assert (
        quality(readings, truths)["blink"]["correlation"] == 0
    )  # nobody blinks, to speak of


def test_motion_of_the_truth_is_in_its_own_units():
    frames = np.arange(60)
    pose = np.stack([0 * frames, 3 * (-1.0) ** frames, 0 * frames], axis=1)
    found = true_motion([truth_of(np.ones(60), pose=pose, blink=np.eye(60)[7])] * 2)
    assert found == pytest.approx(
        {"blinks_a_minute": 30, "pitch": 0, "yaw": 3, "roll": 0, "x": 0, "y": 0}
    )


# Where to look


def test_a_tightened_box_is_that_of_another_zoom():
    hulls = [FaceRectangle((60.0, 70.0), 40.0), FaceRectangle((64.0, 66.0), 44.0)]
    expected = clip_rectangle(hulls, CLIP_SCALE / 1.4)
    found = tighten(clip_rectangle(hulls), 1.4)
    assert (found.center, found.size) == (
        pytest.approx(expected.center),
        pytest.approx(expected.size),
    )


def test_a_region_is_a_square_of_the_face():
    picture = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    cut = cut_region(
        picture, FaceRectangle((50.0, 40.0), 44.0), Region(-0.25, 0.5, 1.2), 12
    )
    expected = network_input(
        crop_face(picture, FaceRectangle((45.0, 50.0), 24.0), 24), 12
    )
    np.testing.assert_array_equal(cut, expected)


def test_the_neutral_frame_has_shut_lips_and_open_eyes():
    opening, blink = np.array([0.0, 0.4, 0.01, 0.2]), np.array([1.0, 0, 0, 0.5])
    assert neutral_frame(truth_of(opening, blink=blink)) == 2
    assert neutral_frame(truth_of(np.zeros(4), blink=blink)) == 1


# The regressor


def box_of(seconds: float) -> FaceRectangle:
    """Of the head that `draw_head` draws then, framed as a tracker frames it."""
    return FaceRectangle(
        (WIDTH / 2 + 3 * np.sin(2 * np.pi * 0.7 * seconds), HEIGHT / 2 - 4),
        CLIP_SCALE * 84,
    )


def test_a_regressor_reads_mouths_it_has_not_seen():
    seconds = np.arange(90) / 60
    patches = np.stack(
        [cut_region(draw_head(t), box_of(t), MOUTH, PATCH_SIDE) for t in seconds]
    )
    opening = 5 + np.sin(2 * np.pi * 3 * seconds)
    reader = train_reader(patches[:60], opening[:60], steps=60)
    shaded = (patches[60:] * np.array([0.7, 0.9, 0.6])).astype(np.uint8)
    assert correlation(reader(patches[60:]), opening[60:]) > 0.95
    assert correlation(reader(shaded), opening[60:]) > 0.9
    assert abs(reader(patches[60:]).mean() - 5) < 0.3


def test_patches_are_changed_and_stay_pictures():
    spot = np.full((PATCH_SIDE, PATCH_SIDE, 3), 0.5, np.float32)
    spot[PATCH_SIDE // 2, PATCH_SIDE // 2] = 1
    changed = np.asarray(
        jax.vmap(lambda key: change_patch(key, spot))(
            jax.random.split(jax.random.key(0), 32)
        )
    )
    assert changed.shape == (32, SIDE, SIDE, 3)
    tints = changed[:, 0, 0]
    assert tints.std(axis=0).min() > 0.02
    np.testing.assert_allclose(changed[:, -1, -1], tints, rtol=1e-3)  # as a whole
    rows, columns = np.unravel_index(
        changed[..., 0].reshape(32, -1).argmax(axis=1), (SIDE, SIDE)
    )
    assert set(rows) <= set(range(SIDE // 2 - MARGIN, SIDE // 2 + MARGIN + 1))
    assert min(len(set(rows)), len(set(columns))) > 4
    peaks = (changed.max(axis=(1, 2)) / tints).min(axis=1)
    assert (
        peaks.min() < 1.4 < 1.7 < peaks.max() <= 2.01
    )  # from wholly softened to not at all


# The program


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    """Two clips of a head whose mouth opens three times a second, with their truth."""
    root = tmp_path_factory.mktemp("heads")
    for index, subject in enumerate(("M001", "W002")):
        seconds = (FRAMES + 6 * index) / 30
        video = write_mead_clip(
            root, subject, "happy", 1, "001", seconds=seconds, sound=True
        )
        times = np.arange(FRAMES + 6 * index) / 30
        opening = np.maximum(0.1 + 0.08 * np.sin(2 * np.pi * 3 * times), 0)
        save_truth(video, opening)
    return root


def save_truth(video: Path, opening: np.ndarray) -> None:
    truth = truth_of(
        opening,
        blink=np.eye(len(opening))[5],
        closures=np.array([[0.2, 0.3], [0.5, 0.6]]),
    )
    np.savez(truth_path(video), **vars(truth))


def arguments(heads: Path, output: Path, *more: object) -> list[str]:
    paths = ["spoken", "--heads", heads, "--training-heads", heads, "--output", output]
    return [str(each) for each in (*paths, *more)]


def test_program_measures_the_regressors_alone(heads, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", arguments(heads, tmp_path / "out", "--regressor-steps", 40)
    )
    main()
    report = json.loads((tmp_path / "out/spoken.json").read_text())
    assert report["regressors"]["opening"]["correlation"] > 0.8
    assert report["training_clips"] == 2
    assert "speech" not in report
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"spoken.json"}
    assert "2 held-out clips" in capsys.readouterr().out


def test_program_measures_what_a_checkpoint_makes(heads, tmp_path, monkeypatch, capsys):
    checkpoint = save_small_checkpoint(tmp_path / "small")
    output = tmp_path / "out"
    more = [
        "--checkpoint",
        checkpoint,
        "--steps",
        1,
        "--cfg-scale",
        1,
        "--detector",
        "none",
        "--regressor-steps",
        1,
    ]
    monkeypatch.setattr(sys, "argv", arguments(heads, output, *more))
    main()
    report = json.loads((output / "spoken.json").read_text())
    assert set(report["speech"]) == {"truth frames", "rendered"}
    assert report["speech"]["truth frames"]["correlation"] == pytest.approx(
        report["regressors"]["opening"]["correlation"]
    )
    assert (
        abs(report["speech"]["rendered"]["correlation"]) < 0.9
    )  # an untrained mouth follows nothing
    rows = [
        "training heads, truth",
        "held-out heads, truth",
        "held-out heads, as read",
        "rendered, as read",
    ]
    assert list(report["motion"]) == rows
    assert report["motion"]["training heads, truth"][
        "blinks_a_minute"
    ] == pytest.approx(2 / (2 * FRAMES + 6) * 1800)
    assert all(
        np.isfinite(list(row.values())).all() for row in report["motion"].values()
    )
    videos = {
        f"{subject}-video-front-happy-level_1-001.mp4" for subject in ("M001", "W002")
    }
    assert {path.name for path in output.iterdir()} == {
        "spoken.json",
        "openings.png",
        "frames.png",
        *videos,
    }
    assert "r, wrong sentence" in capsys.readouterr().out


def test_what_cannot_be_measured_is_one_line_and_status_2(
    heads, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", arguments(heads, tmp_path / "out", "--clips", 1))
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    assert capsys.readouterr().err == "error: --clips must be at least 2, got 1\n"
    write_mead_clip(
        tmp_path / "alone", "M001", "sad", 1, "001", seconds=0.5, sound=False
    )
    with pytest.raises(
        ValueError, match="holds 1 clip, and sentences are compared: draw more"
    ):
        evaluate(
            Options(tmp_path / "alone", heads, tmp_path / "out"), Console(quiet=True)
        )


def test_truth_that_is_missing_or_damaged_is_named(tmp_path):
    clip = Clip("a.mp4", tmp_path / "a.mp4", tmp_path / "a.m4a", "M001")
    with pytest.raises(
        FileNotFoundError,
        match=r"a\.npz is missing, and only drawn heads can be measured",
    ):
        read_truth(clip)
    np.savez(truth_path(clip.video), opening=np.ones(3), closures=np.zeros(0))
    with pytest.raises(ValueError, match=r"a\.npz is damaged .*blink"):
        read_truth(clip)
    save_truth(clip.video, np.ones(9))
    assert read_truth(clip).closures.shape == (2, 2)


def test_clips_are_taken_evenly(tmp_path):
    for name in range(5):
        path = tmp_path / "M001/video/front/happy/level_1" / f"00{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [clip.video.stem for clip in find_heads(tmp_path, 2)] == ["000", "002"]
    assert len(find_heads(tmp_path, 9)) == len(find_heads(tmp_path)) == 5
