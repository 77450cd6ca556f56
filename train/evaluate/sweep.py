"""Sample the motion of held-out clips over settings of the sampler, and measure it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxportrait.models.config import MOTION_SPACES, FlowTransformerConfig, MotionSpace
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.pipeline.sample import WindowMode, plan_windows, sample_motion
from jaxportrait.types import MotionStatistics
from train.evaluate import metrics
from train.evaluate.lips import LipAxis
from train.records import ClipRecord

Features = Float[np.ndarray, "features width"]
Motion = Float[np.ndarray, "frames d"]
Measures = dict[str, float | None]
Sample = Callable[[Features, int, int, "Setting"], Motion]
"""sample(features, frames, seed, setting) -> motion."""


@dataclass(frozen=True)
class Setting:
    """Of the sampler."""

    steps: int
    guidance: float


@dataclass(frozen=True)
class HeldOut:
    """A held-out clip, as it is compared.

    Attributes:
      truth: in the motion space.
      features: of its sound.
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
    """What was sampled for a clip: with its own sound by several seeds, with the wrong sound by the first of them."""

    samples: Float[np.ndarray, "seeds frames d"]
    wrong: Motion


@dataclass(frozen=True)
class Scale:
    """By what motion is measured: its space, its normalisation, and its lip opening."""

    space: MotionSpace
    statistics: MotionStatistics
    lips: LipAxis

    def normalise(self, motion: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
        """Motion in deviations of the training set, so that degrees and offsets count alike."""
        return (motion - np.asarray(self.statistics.mean)) / np.asarray(self.statistics.std)


def hold_out(records: Sequence[ClipRecord], config: FlowTransformerConfig, windows: WindowMode) -> list[HeldOut]:
    """Prepare clips for comparison; each gets the next one's sound for the wrong one, a single clip its own, turned."""
    columns = list(MOTION_SPACES[config.motion_space].columns)
    features = [record.features.astype(np.float32) for record in records]
    others = (
        [*features[1:], features[0]] if len(features) > 1 else [np.roll(features[0], len(features[0]) // 2, axis=0)]
    )
    return [
        HeldOut(
            record.clip,
            record.motion[:, columns].astype(np.float64),
            own,
            np.resize(other, own.shape),
            record.envelope.astype(np.float64),
            metrics.at_seams(*plan_windows(record.frames, config, windows), record.frames),
        )
        for record, own, other in zip(records, features, others, strict=True)
    ]


def make_sampler(network: FlowTransformer, statistics: MotionStatistics, windows: WindowMode) -> Sample:
    """The sampler of inference, on features at hand."""
    statistics = jax.tree.map(jnp.asarray, statistics)

    def sample(features: Features, frames: int, seed: int, setting: Setting) -> Motion:
        plan, count = plan_windows(frames, network.config, windows)
        padded = np.zeros((max(plan.features, len(features)), features.shape[1]), np.float32)
        padded[: len(features)] = features
        motion = sample_motion(
            network,
            statistics,
            jnp.asarray(padded[: plan.features]),
            jax.random.key(seed),
            jnp.asarray(count),
            jnp.asarray(setting.guidance, jnp.float32),
            plan=plan,
            steps=setting.steps,
            guided=setting.guidance > 1,
        )
        return np.asarray(motion[:frames], np.float64)

    return sample


def sweep(
    sample: Sample, clips: Sequence[HeldOut], steps: Sequence[int], guidance: Sequence[float], seeds: int
) -> Iterator[tuple[Setting, list[Sampled]]]:
    """Yield what is sampled at every setting, in order."""
    for setting in (Setting(*values) for values in product(steps, guidance)):
        yield setting, [_sample_clip(sample, clip, setting, seeds) for clip in clips]


def _sample_clip(sample: Sample, clip: HeldOut, setting: Setting, seeds: int) -> Sampled:
    frames = len(clip.truth)
    samples = [sample(clip.features, frames, seed, setting) for seed in range(seeds)]
    return Sampled(np.stack(samples), sample(clip.wrong_features, frames, 0, setting))


def measure(clips: Sequence[HeldOut], sampled: Sequence[Sampled], scale: Scale) -> Measures:
    """Every measure over all clips; frames count alike, whatever clip they are of."""
    truths = [scale.normalise(clip.truth) for clip in clips]
    samples = [scale.normalise(each.samples) for each in sampled]
    first = [each[0] for each in samples]

    def ratio(order: int) -> float:
        moved, should = (_mean([metrics.movement(m, order) for m in motions], clips) for motions in (first, truths))
        return moved / should

    def error(motions: Sequence[Motion]) -> float:
        pairs = zip(motions, clips, strict=True)
        return _mean([metrics.keypoint_error(motion, clip.truth, scale.space) for motion, clip in pairs], clips)

    right = np.mean([error([each.samples[seed] for each in sampled]) for seed in range(len(samples[0]))])
    lips = lip_measures([each.samples[0] for each in sampled], clips, scale)
    return {
        "keypoint_error": float(right),
        "velocity_ratio": ratio(1),
        "acceleration_ratio": ratio(2),
        "frechet_distance": metrics.frechet_distance(np.concatenate(first), np.concatenate(truths)),
        "diversity": _mean([metrics.diversity(each) for each in samples], clips),
        "seam_ratio": metrics.seam_ratio(first, [clip.seams for clip in clips]),
        **lips,
        "wrong_audio_ratio": error([each.wrong for each in sampled]) / error([each.samples[0] for each in sampled]),
    }


def measure_truth(clips: Sequence[HeldOut], scale: Scale) -> Measures:
    """What the truth itself has of those measures that need no comparison."""
    truths = [clip.truth for clip in clips]
    seams = metrics.seam_ratio([scale.normalise(truth) for truth in truths], [clip.seams for clip in clips])
    return {"velocity_ratio": 1.0, "acceleration_ratio": 1.0, "seam_ratio": seams, **lip_measures(truths, clips, scale)}


def lip_measures(motions: Sequence[Motion], clips: Sequence[HeldOut], scale: Scale) -> Measures:
    """Correlation of lip opening with the speech envelope at no lag, and the lag at which it is largest."""
    pairs = zip(motions, clips, strict=True)
    lagged = [
        metrics.lagged_correlations(scale.lips.opening(motion, scale.space), clip.envelope) for motion, clip in pairs
    ]
    mean = np.average(lagged, axis=0, weights=[len(clip.truth) for clip in clips])
    return {
        "lip_correlation": float(mean[metrics.LARGEST_LAG]),
        "lip_lag_milliseconds": metrics.lag_milliseconds(mean),
    }


def _mean(values: Sequence[float], clips: Sequence[HeldOut]) -> float:
    return float(np.average(values, weights=[len(clip.truth) for clip in clips]))
