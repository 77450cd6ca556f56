"""Sample the motion of held-out clips over settings of the sampler, and measure it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from jaxportrait.drivers.flow import sample_motion
from jaxportrait.drivers.windows import WindowMode, plan_windows
from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.motion.space import (
    MOTION_SPACES,
    MotionSpace,
    MotionStatistics,
    normalize,
)
from train.data.records import ClipRecord
from train.data.silence import quietest_feature, with_silence
from train.evaluate.motion import metrics
from train.evaluate.motion.lips import LipAxis

Features = Float[np.ndarray, "features width"]
Motion = Float[np.ndarray, "frames d"]
Measures = dict[str, float | None]
Sample = Callable[[Features, int, PRNGKeyArray, "Setting"], Motion]
"""sample(features, frames, key, setting) -> motion."""


class NotFiniteError(ValueError):
    """Motion that cannot be measured."""


@dataclass(frozen=True)
class Setting:
    """Of the sampler."""

    steps: int
    guidance: float

    def __str__(self) -> str:
        return f"{self.steps} steps, guidance {self.guidance:g}"


@dataclass(frozen=True)
class HeldOut:
    """A held-out clip, as it is compared.

    Attributes:
      truth: in the motion space.
      features: of its sound, and then of silence to the end of the last window.
      wrong_features: of another's, as long.
      envelope: loudness at each frame.
      seams: which inner frames lie at window borders.
    """

    clip: str
    truth: Motion
    features: Features
    wrong_features: Features
    envelope: Float[np.ndarray, " frames"]
    seams: Bool[np.ndarray, " inner_frames"]


@dataclass(frozen=True)
class Sampled:
    """What was sampled for a clip: with its own sound by several seeds, with the wrong
    sound by the first of them."""

    samples: Float[np.ndarray, "seeds frames d"]
    wrong: Motion


@dataclass(frozen=True)
class Scale:
    """By what motion is measured: its space, its normalisation, and its lip opening."""

    space: MotionSpace
    statistics: MotionStatistics
    lips: LipAxis

    def normalise(self, motion: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
        """Motion in deviations of the training set, so that degrees and offsets count
        alike."""
        return normalize(motion, self.statistics).astype(np.float64)


def hold_out(
    records: Sequence[ClipRecord], config: FlowTransformerConfig, windows: WindowMode
) -> list[HeldOut]:
    """Prepare clips for comparison; each gets the next one's sound for the wrong one, a
    single clip its own, turned."""
    if len(records) == 1:
        half = len(records[0].features) // 2
        others = [
            replace(records[0], features=np.roll(records[0].features, half, axis=0))
        ]
    else:
        others = [*records[1:], records[0]]
    return [
        _compare(record, other, config, windows)
        for record, other in zip(records, others, strict=True)
    ]


def _compare(
    record: ClipRecord,
    other: ClipRecord,
    config: FlowTransformerConfig,
    windows: WindowMode,
) -> HeldOut:
    """A clip with the sound of another as the wrong one."""
    plan, count = plan_windows(record.frames, config, windows)
    silence, used = quietest_feature(record), plan.features_of(count)
    own, wrong = (
        sound.astype(np.float32) for sound in (record.features, other.features)
    )
    return HeldOut(
        record.clip,
        record.motion[:, list(MOTION_SPACES[config.motion_space].columns)].astype(
            np.float64
        ),
        with_silence(own, silence, used),
        with_silence(np.resize(wrong, own.shape), silence, used),
        record.envelope.astype(np.float64),
        metrics.at_seams(plan, count, record.frames),
    )


def make_sampler(
    network: FlowTransformer, statistics: MotionStatistics, windows: WindowMode
) -> Sample:
    """The sampler of inference, on features at hand: those that the windows in use
    read.

    Their end differs from inference where a clip ends within its last window:
    `quietest_feature` says how.
    """
    statistics = jax.tree.map(jnp.asarray, statistics)

    def sample(
        features: Features, frames: int, key: PRNGKeyArray, setting: Setting
    ) -> Motion:
        plan, count = plan_windows(frames, network.config, windows)
        padded = np.zeros((plan.features, network.config.audio_width), np.float32)
        padded[: plan.features_of(count)] = features
        motion = sample_motion(
            network,
            statistics,
            jnp.asarray(padded),
            key,
            jnp.asarray(count),
            jnp.asarray(setting.guidance, jnp.float32),
            plan=plan,
            steps=setting.steps,
            guided=setting.guidance > 1,
        )
        return np.asarray(motion[:frames], np.float64)

    return sample


def sweep(
    sample: Sample,
    clips: Sequence[HeldOut],
    steps: Sequence[int],
    guidance: Sequence[float],
    seeds: int,
) -> Iterator[tuple[Setting, list[Sampled]]]:
    """Yield what is sampled at every setting, in order; a clip has the same noise at
    each, and no other's.

    Raises:
      NotFiniteError: the network's motion is not finite.
    """
    for setting in (Setting(*values) for values in product(steps, guidance)):
        yield (
            setting,
            [
                _sample_clip(sample, index, clip, setting, seeds)
                for index, clip in enumerate(clips)
            ],
        )


def _sample_clip(
    sample: Sample, index: int, clip: HeldOut, setting: Setting, seeds: int
) -> Sampled:
    frames, keys = (
        len(clip.truth),
        [jax.random.fold_in(jax.random.key(seed), index) for seed in range(seeds)],
    )
    samples = np.stack([sample(clip.features, frames, key, setting) for key in keys])
    wrong = sample(clip.wrong_features, frames, keys[0], setting)
    if not (np.isfinite(samples).all() and np.isfinite(wrong).all()):
        raise NotFiniteError(
            f"the motion sampled for {clip.clip} is not finite ({setting}): the checkpoint's weights are damaged, or "
            "its training diverged; export an earlier --step"
        )
    return Sampled(samples, wrong)


def measure(
    clips: Sequence[HeldOut], sampled: Sequence[Sampled], scale: Scale
) -> Measures:
    """Every measure over all clips; frames count alike, whatever clip they are of."""
    truths = [scale.normalise(clip.truth) for clip in clips]
    samples = [scale.normalise(each.samples) for each in sampled]
    first = [each[0] for each in samples]

    def error(measure: Callable[..., float], motions: Sequence[np.ndarray]) -> float:
        pairs = zip(motions, clips, strict=True)
        return _mean(
            [measure(motion, clip.truth, scale.space) for motion, clip in pairs], clips
        )

    raw, heard = (
        [each.samples for each in sampled],
        [each.samples[0] for each in sampled],
    )
    wrong = error(metrics.keypoint_error, [each.wrong for each in sampled])
    return {
        "keypoint_error": error(metrics.keypoint_error, raw),
        "pose_error": error(metrics.pose_error, raw)
        if metrics.has_pose(scale.space)
        else None,
        "velocity_ratio": _movement_ratio(first, truths, clips, 1),
        "acceleration_ratio": _movement_ratio(first, truths, clips, 2),
        "frechet_distance": metrics.frechet_distance(
            np.concatenate(first), np.concatenate(truths)
        ),
        "diversity": _mean([metrics.diversity(each) for each in samples], clips),
        "seam_ratio": metrics.seam_ratio(first, [clip.seams for clip in clips]),
        **lip_measures(heard, clips, scale),
        "wrong_audio_ratio": metrics.ratio(wrong, error(metrics.keypoint_error, heard)),
    }


def measure_truth(clips: Sequence[HeldOut], scale: Scale) -> Measures:
    """What the truth itself has of those measures that need no comparison."""
    truths = [scale.normalise(clip.truth) for clip in clips]
    return {
        "velocity_ratio": _movement_ratio(truths, truths, clips, 1),
        "acceleration_ratio": _movement_ratio(truths, truths, clips, 2),
        "seam_ratio": metrics.seam_ratio(truths, [clip.seams for clip in clips]),
        **lip_measures([clip.truth for clip in clips], clips, scale),
    }


def lip_measures(
    motions: Sequence[Motion], clips: Sequence[HeldOut], scale: Scale
) -> Measures:
    """Correlation of lip opening with the speech envelope at no lag, and the lag at
    which it is largest."""
    pairs = zip(motions, clips, strict=True)
    lagged = [
        metrics.lagged_correlations(
            scale.lips.opening(motion, scale.space), clip.envelope
        )
        for motion, clip in pairs
    ]
    mean = np.average(lagged, axis=0, weights=[len(clip.truth) for clip in clips])
    return {
        "lip_correlation": float(mean[metrics.LARGEST_LAG]),
        "lip_lag_milliseconds": metrics.lag_milliseconds(mean),
    }


def _movement_ratio(
    motions: Sequence[Motion],
    truths: Sequence[Motion],
    clips: Sequence[HeldOut],
    order: int,
) -> float | None:
    """None where the truth rests."""
    moved, should = (
        _mean([metrics.movement(m, order) for m in each], clips)
        for each in (motions, truths)
    )
    return metrics.ratio(moved, should)


def _mean(values: Sequence[float], clips: Sequence[HeldOut]) -> float:
    return float(np.average(values, weights=[len(clip.truth) for clip in clips]))
