"""Measures against figures known by hand, the sweep on a perfect sampler, and the
program as a user runs it."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxportrait.checkpoint import CheckpointError, open_checkpoint
from jaxportrait.drivers.windows import plan_windows
from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from tests.train.videos import save_tiny_checkpoint
from train.data.records import (
    ClipRecord,
    Split,
    feature_at,
    features_needed,
    network_identity,
    open_dataset,
)
from train.data.shards import DatasetError
from train.data.silence import quietest_feature, with_silence
from train.evaluate.__main__ import main
from train.evaluate.motion import metrics
from train.evaluate.motion.lips import LIPS, learn_lip_axis
from train.evaluate.motion.measures import measure, measure_truth
from train.evaluate.motion.run import Options, evaluate
from train.evaluate.motion.sweep import (
    NotFiniteError,
    Scale,
    hold_out,
    make_sampler,
    sweep,
)
from train.prepare.motion.write import write_dataset
from train.prepare.split import Piece

LIP = MOTION_SPACES["lip"]
FACE = MOTION_SPACES["face"]
TINY = FlowTransformerConfig.tiny()


def speech(clip: str, frames: int = 96, seed: int = 0, lag: int = 0) -> ClipRecord:
    """Lips that open with the sound, `lag` frames after it, along one direction, and a
    little noise."""
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.standard_normal(frames + 40), np.hanning(7), "same")
    envelope = np.abs(smooth[20 : 20 + frames])
    opening = np.abs(smooth[20 - lag : 20 - lag + frames])
    motion = 1e-4 * rng.standard_normal((frames, 70))
    motion[:, list(LIPS)] += opening[:, None] * np.linspace(-0.01, 0.02, 18) + 0.3
    features = rng.standard_normal((features_needed(frames), 32)).astype(np.float16)
    return ClipRecord(
        clip,
        clip[:1],
        motion.astype(np.float32),
        features,
        envelope.astype(np.float32),
    )


@pytest.fixture(scope="module")
def clips():
    return [
        speech(f"{name}.mp4", frames, seed)
        for seed, (name, frames) in enumerate({"a": 96, "b": 70, "c": 90}.items())
    ]


def scale_of(clips, space=LIP) -> Scale:
    motion = np.concatenate([clip.motion for clip in clips])[:, list(space.columns)]
    return Scale(
        space,
        MotionStatistics(motion.mean(axis=0), motion.std(axis=0, ddof=1)),
        learn_lip_axis(clips),
    )


# Measures


def test_keypoint_error_is_a_mean_distance():
    truth = np.zeros((5, 70))
    moved = truth + np.tile([3.0, 4.0, 0.0], 24)[:70]
    assert metrics.keypoint_error(moved, truth, FACE) == pytest.approx(5)
    assert metrics.keypoint_error(moved[:, :18], truth[:, :18], LIP) == pytest.approx(5)


def test_pose_error_is_in_degrees_and_of_the_face_alone():
    truth = np.zeros((5, 70))
    moved = truth + 9.0
    moved[:, 63:66] = (2.0, 3.0, 6.0)
    assert metrics.pose_error(moved, truth, FACE) == pytest.approx(7)
    assert metrics.has_pose(FACE)
    assert not metrics.has_pose(LIP)


def test_movement_of_a_parabola():
    motion = (np.arange(6.0) ** 2)[:, None]
    assert metrics.movement(motion, 1) == pytest.approx(np.mean([1, 3, 5, 7, 9]))
    assert metrics.movement(motion, 2) == pytest.approx(2)


def test_frechet_distance_of_shifted_and_stretched_normals():
    frames = np.random.default_rng(0).standard_normal((5000, 3))
    assert metrics.frechet_distance(frames, frames) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(
        frames, frames + np.array([3, 0, 4])
    ) == pytest.approx(25)
    deviations = frames.std(axis=0, ddof=1)
    assert metrics.frechet_distance(frames, 3 * frames) == pytest.approx(
        np.square(2 * frames.mean(axis=0)).sum() + np.square(2 * deviations).sum()
    )


def test_diversity_of_two_seeds():
    assert metrics.diversity(
        np.stack([np.zeros((4, 2)), np.full((4, 2), 2.0)])
    ) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    ("mode", "borders"), [("fused", (15, 30, 45, 60, 75)), ("independent", (30, 60))]
)
def test_seams_are_where_windows_start_and_end(mode, borders):
    seams = metrics.at_seams(*plan_windows(80, TINY, mode), 80)
    assert set(np.flatnonzero(seams) + 1) == {
        frame for border in borders for frame in (border - 1, border)
    }
    jumps = (
        np.cumsum(np.isin(np.arange(80), borders)).astype(float)[:, None]
        + 0.01 * np.arange(80.0)[:, None] ** 2
    )
    assert metrics.seam_ratio([jumps], [seams]) == pytest.approx(1 / 0.02, rel=0.02)
    smooth = np.arange(80.0)[:, None] ** 2
    assert metrics.seam_ratio([smooth], [seams]) == pytest.approx(1)


def test_one_window_has_no_seam():
    seams = metrics.at_seams(*plan_windows(30, TINY, "fused"), 30)
    assert (
        metrics.seam_ratio([np.random.default_rng(0).standard_normal((30, 1))], [seams])
        is None
    )


def test_what_rests_has_no_seam():
    seams = metrics.at_seams(*plan_windows(80, TINY, "fused"), 80)
    assert metrics.seam_ratio([np.zeros((80, 1))], [seams]) is None


@pytest.mark.parametrize("lag", [-4, 0, 3])
def test_lag_of_a_signal_that_follows(lag):
    sound = np.random.default_rng(1).standard_normal(120)
    signal = np.roll(sound, lag)
    correlations = metrics.lagged_correlations(signal, sound)
    assert metrics.lag_milliseconds(correlations) == pytest.approx(lag * 100 / 3)
    assert correlations.max() == pytest.approx(1)
    assert metrics.lagged_correlations(np.ones(50), sound[:50]).max() == 0


def test_lip_axis_is_that_of_the_motion_and_opens_with_sound(clips):
    lips = learn_lip_axis(clips)
    direction = np.linspace(-0.01, 0.02, 18)
    assert lips.axis @ direction / np.linalg.norm(direction) > 0.999
    for space in (LIP, FACE):
        opening = lips.opening(clips[0].motion[:, list(space.columns)], space)
        assert metrics.correlation(opening, clips[0].envelope) > 0.99
    muted = [replace(clip, envelope=-clip.envelope) for clip in clips]
    np.testing.assert_allclose(learn_lip_axis(muted).axis, -lips.axis, atol=1e-6)


# The sweep


def test_a_perfect_sampler_measures_as_the_truth(clips):
    scale, held_out = scale_of(clips), hold_out(clips, TINY, LIP, "fused")
    truth_of = {clip.features.tobytes(): clip.truth for clip in held_out}

    def perfect(features, frames, key, setting):
        truth = truth_of.get(features.tobytes())
        return held_out[0].truth[np.arange(frames) % 96] if truth is None else truth

    ((_, sampled),) = sweep(perfect, held_out, [5], [2.0], 2)
    broken = [
        replace(each, wrong=each.wrong + 0.1, samples=each.samples + 1e-3)
        for each in sampled
    ]
    measures, truth = measure(held_out, broken, scale), measure_truth(held_out, scale)
    assert measures["keypoint_error"] == pytest.approx(np.sqrt(3) * 1e-3)
    assert measures["velocity_ratio"] == pytest.approx(1)
    assert measures["acceleration_ratio"] == pytest.approx(1)
    assert measures["diversity"] == pytest.approx(0, abs=1e-12)
    assert (measures["wrong_audio_ratio"] or 0) > 50
    for name, value in truth.items():
        assert measures[name] == pytest.approx(value)
    assert (truth["lip_correlation"] or 0) > 0.99
    assert truth["lip_lag_milliseconds"] == 0


def test_late_lips_show_as_a_lag(clips):
    late = [speech("a.mp4", 200, 5, lag=3)]
    assert measure_truth(hold_out(late, TINY, LIP, "fused"), scale_of(clips))[
        "lip_lag_milliseconds"
    ] == pytest.approx(100)


def test_wrong_sound_is_as_long_and_of_another_clip(clips):
    held_out = hold_out(clips, TINY, LIP, "fused")
    for clip, other in zip(held_out, [*held_out[1:], held_out[0]], strict=True):
        assert clip.wrong_features.shape == clip.features.shape
        np.testing.assert_array_equal(clip.wrong_features[:100], other.features[:100])
    (alone,) = hold_out(clips[:1], TINY, LIP, "fused")
    assert np.abs(alone.wrong_features - alone.features).mean() > 0.5


def test_sampler_depends_on_seed_sound_and_setting_alone(checkpoint, clips):
    opened = open_checkpoint(checkpoint)
    network, statistics = opened.network("flow_transformer"), opened.driver().statistics
    sampler = make_sampler(
        cast(FlowTransformer, network), cast(MotionStatistics, statistics), "fused"
    )
    clip = hold_out(clips[:2], TINY, LIP, "fused")[0]
    ((setting, (sampled,)),) = sweep(sampler, [clip], [2], [3.0], 2)
    assert sampled.samples.shape == (2, 96, 18)
    first = jax.random.fold_in(jax.random.key(0), 0)
    np.testing.assert_array_equal(
        sampled.samples[0], sampler(clip.features, 96, first, setting)
    )
    assert np.abs(sampled.samples[0] - sampled.samples[1]).max() > 1e-3
    assert np.abs(sampled.samples[0] - sampled.wrong).max() > 1e-6


def noise_of(features, frames, key, setting):
    return np.asarray(jax.random.normal(key, (frames, 18)))


def test_every_clip_and_seed_has_noise_of_its_own(clips):
    held_out = hold_out(clips, TINY, LIP, "fused")
    (_, few), (_, again) = sweep(noise_of, held_out, [1, 2], [2.0], 2)
    drawn = np.stack([sample[:70] for sampled in few for sample in sampled.samples])
    differences = np.abs(drawn[:, None] - drawn[None]).mean(axis=(2, 3))
    assert differences[~np.eye(6, dtype=bool)].min() > 0.5
    np.testing.assert_array_equal(few[1].samples, again[1].samples)
    np.testing.assert_array_equal(few[1].samples[0], few[1].wrong)


def test_a_clip_that_rests_and_one_that_is_met_have_no_ratios(clips):
    still = [replace(clip, motion=np.zeros_like(clip.motion)) for clip in clips]
    held_out, scale = hold_out(still, TINY, LIP, "fused"), scale_of(clips)
    ((_, sampled),) = sweep(
        lambda features, frames, key, setting: np.zeros((frames, 18)),
        held_out,
        [1],
        [2.0],
        2,
    )
    measures, truth = measure(held_out, sampled, scale), measure_truth(held_out, scale)
    without = {
        "pose_error",
        "velocity_ratio",
        "acceleration_ratio",
        "seam_ratio",
        "wrong_audio_ratio",
    }
    assert {name for name, value in measures.items() if value is None} == without
    assert {name for name, value in truth.items() if value is None} == without & set(
        truth
    )


def test_a_value_that_never_changes_counts_for_nothing(clips):
    still = [
        replace(clip, motion=clip.motion * (np.arange(70) != LIPS[0])) for clip in clips
    ]
    scale = scale_of(still)
    assert scale.statistics.std[0] == 0
    assert np.isfinite(scale.normalise(still[0].motion[:, list(LIP.columns)])).all()


def test_motion_that_is_not_finite_is_named(clips):
    held_out = hold_out(clips, TINY, LIP, "fused")
    with pytest.raises(
        NotFiniteError, match=r"for a\.mp4 is not finite \(5 steps, guidance 2\)"
    ):
        list(
            sweep(
                lambda features, frames, key, setting: np.full((frames, 18), np.nan),
                held_out,
                [5],
                [2.0],
                2,
            )
        )


def test_silence_follows_a_clip_to_the_end_of_its_last_window(clips):
    clip = clips[1]  # 70 frames: four windows, to frame 75
    quiet = clip.features[feature_at(int(clip.envelope.argmin()))]
    np.testing.assert_array_equal(quietest_feature(clip), quiet)
    for features in (
        hold_out(clips, TINY, LIP, "fused")[1].features,
        hold_out(clips[::-1], TINY, LIP, "fused")[1].features,
    ):
        assert features.shape == (125, 32)
        np.testing.assert_array_equal(features[:117], clip.features)
        np.testing.assert_array_equal(features[117:], np.tile(quiet, (8, 1)))
    np.testing.assert_array_equal(
        with_silence(np.eye(3, dtype=np.float32), np.ones(3), 2), np.eye(3)[:2]
    )


# The program


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_tiny_checkpoint(
        tmp_path_factory.mktemp("checkpoint") / "tiny", ("whisper", "flow_transformer")
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, clips, checkpoint) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    by_name = {clip.clip: clip for clip in clips}
    splits: dict[str, Split] = {
        "a.mp4": "validation",
        "b.mp4": "train",
        "c.mp4": "validation",
    }
    pieces = [
        Piece(name, split, 0, by_name[name].frames) for name, split in splits.items()
    ]
    write_dataset(
        folder,
        pieces,
        by_name.__getitem__,
        feature_width=32,
        audio_encoder=network_identity(open_checkpoint(checkpoint), "whisper"),
        motion_space="lip",
    )
    return folder


def test_clips_are_spread_over_a_split(tmp_path, clips):
    names = [f"{index}.mp4" for index in range(10)]
    records = {name: replace(clips[1], clip=name) for name in names}
    pieces = [Piece(name, "train", 0, 70) for name in names]
    write_dataset(
        tmp_path,
        pieces,
        records.__getitem__,
        feature_width=32,
        audio_encoder="",
        motion_space="lip",
    )
    dataset = open_dataset(tmp_path)
    assert [record.clip for record in dataset.evenly_spaced("train", 3)] == [
        "1.mp4",
        "5.mp4",
        "8.mp4",
    ]
    assert [record.clip for record in dataset.evenly_spaced("train", 99)] == names
    assert list(dataset.evenly_spaced("validation", 3)) == []


def test_program_writes_table_figures_and_plots(
    dataset, checkpoint, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "out"
    arguments = [
        "--dataset-path",
        dataset,
        "--checkpoint",
        checkpoint,
        "--output",
        output,
    ]
    arguments += ["--steps", 1, 2, "--guidance", 3, "--seeds", 2]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    main()
    report = json.loads((output / "evaluation.json").read_text())
    assert [(row["steps"], row["guidance"]) for row in report["results"]] == [
        (1, 3),
        (2, 3),
    ]
    assert all(row.pop("pose_error") is None for row in report["results"])
    assert all(np.isfinite(list(row.values())).all() for row in report["results"])
    assert (report["clips"], report["frames"]) == (["a.mp4", "c.mp4"], 186)
    assert report["truth"]["lip_correlation"] > 0.99
    said = capsys.readouterr().out
    assert "2 of 2 settings sampled: 2 steps, guidance 3" in said
    assert "2 held-out clips, 186 frames" in said
    assert "pose" not in said
    assert {path.name for path in output.iterdir()} == {
        "evaluation.json",
        "measures.png",
        "lips.png",
    }


def test_a_wrong_folder_is_one_line_and_status_2(
    checkpoint, tmp_path, monkeypatch, capsys
):
    arguments = ["--dataset-path", tmp_path, "--checkpoint", checkpoint]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as status:
        main()
    assert status.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: no data set at {tmp_path}")


def test_what_does_not_fit_is_refused(dataset, checkpoint, tmp_path):
    def run(**options):
        evaluate(
            Options(dataset, checkpoint, tmp_path / "out", **options),
            Console(quiet=True),
        )

    with pytest.raises(ValueError, match="--seeds must be at least 2, got 1"):
        run(seeds=1)
    with pytest.raises(ValueError, match="--steps must be at least 1, got 0"):
        run(steps=(0,))
    for given, said in (((2.0, -1.0), "2 -1"), ((float("nan"),), "nan"), ((), "none")):
        with pytest.raises(
            ValueError, match=f"--guidance must be finite scales from 0, got {said}"
        ):
            run(guidance=given)
    description = dataset / "dataset.json"
    good = description.read_text()
    try:
        description.write_text(
            json.dumps(json.loads(good) | {"audio_encoder": "another"})
        )
        with pytest.raises(DatasetError, match="made by audio encoder another"):
            run()
    finally:
        description.write_text(good)


def test_a_checkpoint_without_its_audio_encoder_is_refused(dataset, tmp_path):
    deaf = save_tiny_checkpoint(tmp_path / "deaf", ("flow_transformer",))
    with pytest.raises(CheckpointError, match="holds no whisper"):
        evaluate(Options(dataset, deaf, tmp_path / "out"), Console(quiet=True))
