"""The sweep over settings, and its measures, by samplers whose motion is known."""

from dataclasses import replace
from typing import cast

import jax
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_WIDTH, MotionStatistics
from jaxportrait.ranges import OptionError
from tests.train.evaluate.motion.clips import (
    LIP,
    TINY,
    make_clips,
    scale_of,
    speech,
)
from tests.train.videos import save_tiny_checkpoint
from train.data.lips import LIPS
from train.data.records import ClipRecord, feature_at
from train.data.silence import quietest_feature, with_silence
from train.evaluate.motion.measures import measure, measure_truth
from train.evaluate.motion.sweep import (
    NotFiniteError,
    hold_out,
    make_sampler,
    sweep,
)


@pytest.fixture(scope="module")
def clips() -> list[ClipRecord]:
    return make_clips()


def test_a_perfect_sampler_measures_as_the_truth(clips):
    scale = scale_of(clips)
    held_out = hold_out(clips, TINY, LIP, "fused")
    truth_of = {clip.features.tobytes(): clip.truth for clip in held_out}

    def perfect(features, frames, key, setting):
        """The truth of the sound, and that of the first clip for a wrong sound."""
        wrong = held_out[0].truth[np.arange(frames) % 96]
        return truth_of.get(features.tobytes(), wrong)

    ((_, sampled),) = sweep(perfect, held_out, [5], [2.0], 2)

    # a small error with the right sound, and a large one with the wrong sound
    shifted = []
    for clip in sampled:
        samples = clip.samples + 1e-3
        shifted.append(replace(clip, samples=samples, wrong=clip.wrong + 0.1))
    measures = measure(held_out, shifted, scale)
    assert measures["keypoint_error"] == pytest.approx(np.sqrt(3) * 1e-3)
    assert measures["velocity_ratio"] == pytest.approx(1)
    assert measures["acceleration_ratio"] == pytest.approx(1)
    assert measures["centered_error"] == pytest.approx(0, abs=1e-12)
    assert measures["true_lip_correlation"] == pytest.approx(1)
    assert measures["least_lip_correlation"] == pytest.approx(1)
    assert measures["true_lip_lag_milliseconds"] == 0
    assert measures["diversity"] == pytest.approx(0, abs=1e-12)
    assert (measures["wrong_audio_ratio"] or 0) > 50

    truth = measure_truth(held_out, scale)
    for name, value in truth.items():
        assert measures[name] == pytest.approx(value)
    assert (truth["lip_correlation"] or 0) > 0.99
    assert truth["lip_lag_milliseconds"] == 0


def test_late_lips_show_as_a_lag(clips):
    # lips that follow three frames after the sound
    late = [speech("a.mp4", 200, 5, lag=3)]
    truth = measure_truth(hold_out(late, TINY, LIP, "fused"), scale_of(clips))
    assert truth["lip_lag_milliseconds"] == pytest.approx(100)


def test_the_wrong_sound_is_as_long_and_that_of_another_clip(clips):
    held_out = hold_out(clips, TINY, LIP, "fused")
    others = [*held_out[1:], held_out[0]]
    for clip, other in zip(held_out, others, strict=True):
        assert clip.wrong_features.shape == clip.features.shape
        np.testing.assert_array_equal(clip.wrong_features[:100], other.features[:100])

    # a single clip has its own sound, rotated
    (single,) = hold_out(clips[:1], TINY, LIP, "fused")
    assert np.abs(single.wrong_features - single.features).mean() > 0.5


def test_the_sampler_depends_on_seed_sound_and_setting_only(clips, tmp_path):
    parts = ("whisper", "flow_transformer")
    checkpoint = open_checkpoint(save_tiny_checkpoint(tmp_path / "tiny", parts))
    network = cast(FlowTransformer, checkpoint.network("flow_transformer"))
    statistics = cast(MotionStatistics, checkpoint.driver().statistics)
    sampler = make_sampler(network, statistics, "fused")
    clip = hold_out(clips[:2], TINY, LIP, "fused")[0]
    ((setting, (sampled,)),) = sweep(sampler, [clip], [2], [3.0], 2)
    first, second = sampled.samples
    assert sampled.samples.shape == (2, 96, 18)

    # the same seed, sound and setting give the same motion
    key = jax.random.fold_in(jax.random.key(0), 0)
    repeated = sampler(clip.features, 96, key, setting)
    np.testing.assert_array_equal(first, repeated)
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(first - sampled.wrong).max() > 1e-6


def noise_of(features, frames, key, setting):
    return np.asarray(jax.random.normal(key, (frames, 18)))


def test_every_clip_and_seed_has_its_own_noise(clips):
    held_out = hold_out(clips, TINY, LIP, "fused")
    (_, few), (_, repeated) = sweep(noise_of, held_out, [1, 2], [2.0], 2)
    samples = [sample[:70] for sampled in few for sample in sampled.samples]
    drawn = np.stack(samples)

    # six samples, no two of which are alike
    differences = np.abs(drawn[:, None] - drawn[None]).mean(axis=(2, 3))
    assert differences[~np.eye(6, dtype=bool)].min() > 0.5

    # all settings have the same noise, and so has the wrong sound
    np.testing.assert_array_equal(few[1].samples, repeated[1].samples)
    np.testing.assert_array_equal(few[1].samples[0], few[1].wrong)


def zeros_of(features, frames, key, setting):
    return np.zeros((frames, 18))


def test_a_clip_that_rests_and_is_met_exactly_has_no_ratios(clips):
    still = [replace(clip, motion=np.zeros_like(clip.motion)) for clip in clips]
    held_out = hold_out(still, TINY, LIP, "fused")
    scale = scale_of(clips)
    ((_, sampled),) = sweep(zeros_of, held_out, [1], [2.0], 2)
    measures = measure(held_out, sampled, scale)
    truth = measure_truth(held_out, scale)
    # ratios to nothing, and the pose that lips do not have
    missing = {
        "pose_error",
        "velocity_ratio",
        "acceleration_ratio",
        "jerk_ratio",
        "seam_ratio",
        "true_lip_lag_milliseconds",
        "lip_lag_milliseconds",
        "closures",
        "closures_by_chance",
        "blinks_a_minute",
        "embedding_sync",
        "wrong_audio_ratio",
    }
    assert {name for name in measures if measures[name] is None} == missing
    assert {name for name in truth if truth[name] is None} == missing & set(truth)


def test_a_value_that_never_changes_counts_for_nothing(clips):
    # the first value of the lips is always 0
    changes = np.arange(MOTION_WIDTH) != LIPS[0]
    still = [replace(clip, motion=clip.motion * changes) for clip in clips]
    scale = scale_of(still)

    assert scale.statistics.std[0] == 0

    # it is not divided by its deviation of 0
    motion = still[0].motion[:, list(LIP.columns)]
    assert np.isfinite(scale.normalise(motion)).all()


def nan_of(features, frames, key, setting):
    return np.full((frames, 18), np.nan)


def test_motion_that_is_not_finite_is_named(clips):
    held_out = hold_out(clips, TINY, LIP, "fused")
    message = r"for a\.mp4 is not finite \(5 steps, guidance 2\)"
    with pytest.raises(NotFiniteError, match=message):
        list(sweep(nan_of, held_out, [5], [2.0], 2))


def test_silence_follows_a_clip_to_the_end_of_its_last_window(clips):
    # 70 frames have 117 features; four windows reach to frame 75
    clip = clips[1]
    quiet = clip.features[feature_at(int(clip.envelope.argmin()))]
    np.testing.assert_array_equal(quietest_feature(clip), quiet)

    # whatever the other clips are
    for records in (clips, clips[::-1]):
        features = hold_out(records, TINY, LIP, "fused")[1].features
        assert features.shape == (125, 32)
        np.testing.assert_array_equal(features[:117], clip.features)
        np.testing.assert_array_equal(features[117:], np.tile(quiet, (8, 1)))


def test_features_beyond_the_last_window_are_cut_off():
    features = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(with_silence(features, np.ones(3), 2), features[:2])


def make_denoiser() -> MotionDiffusion:
    # Windows of 0.8 s, at 25 frames a second.
    sizes = MotionDiffusionConfig(18, 32, 16, 2, 1, 20, 40, 4, 6)
    return build(sizes, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("windows", ["fused", "original"])
def test_a_denoiser_makes_25_frames_a_second_and_is_compared_at_30(clips, windows):
    network = make_denoiser()
    statistics = scale_of(clips).statistics
    clip = hold_out(clips[:2], network.config, LIP, windows)[0]
    # 96 frames at 30 a second are 80 at 25, and one more.
    assert (clip.fps, clip.network_frames) == (25, 81)
    sampler = make_sampler(network, statistics, windows)
    ((setting, (sampled,)),) = sweep(sampler, [clip], [3], [2.0], 2)
    first = sampled.samples[0]
    assert first.shape == (96, 18)
    assert sampled.native.shape == (81, 18)
    # Every sixth frame is a fifth one of the network's.
    sixth = first[::6]
    fifth = sampled.native[:80:5]
    np.testing.assert_allclose(sixth, fifth)
    key = jax.random.fold_in(jax.random.key(0), 0)
    repeated = sampler(clip.features, 81, key, setting)
    np.testing.assert_array_equal(repeated, sampled.native)


def test_original_windows_hear_silence_first(clips):
    network = make_denoiser()
    fused = hold_out(clips, network.config, LIP, "fused")[0]
    original = hold_out(clips, network.config, LIP, "original")[0]
    quiet = quietest_feature(clips[0])
    lead = np.tile(quiet, (4, 1))
    np.testing.assert_array_equal(original.features[:4], lead)
    rest = original.features[4:160]
    np.testing.assert_array_equal(rest, fused.features[:156])


def test_windows_that_a_network_has_not_are_refused(clips):
    statistics = scale_of(clips).statistics
    with pytest.raises(OptionError, match="choose one of fused, original"):
        make_sampler(make_denoiser(), statistics, "independent")


def test_seams_are_measured_between_frames_of_the_network(clips):
    """Frames that follow a parabola bend alike at 25 a second, and not at 30."""
    network = make_denoiser()
    held_out = hold_out(clips, network.config, LIP, "fused")

    def parabola(features, frames, key, setting):
        times = np.arange(frames) / 25
        bend = times[:, None] ** 2
        return np.tile(bend, (1, 18))

    ((_, sampled),) = sweep(parabola, held_out, [1], [2.0], 2)
    scale = scale_of(clips)
    measures = measure(held_out, sampled, scale)
    assert measures["seam_ratio"] == pytest.approx(1, rel=1e-4)
    # The truth has no frames at that rate.
    truth = measure_truth(held_out, scale)
    assert truth["seam_ratio"] is None
