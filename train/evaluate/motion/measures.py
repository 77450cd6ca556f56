"""Measures over all held-out clips, of sampled motion and of the truth itself."""

from collections.abc import Callable, Sequence

import numpy as np

from train.evaluate.motion import metrics
from train.evaluate.motion.sweep import Frames, HeldOut, Measures, Sampled, Scale

Metric = Callable[..., float]
"""metric(motion, truth, space) -> error."""


def measure(
    clips: Sequence[HeldOut], sampled: Sequence[Sampled], scale: Scale
) -> Measures:
    """Return every measure over all clips; frames count alike, whatever their clip."""
    truths = [scale.normalise(clip.truth) for clip in clips]
    samples = [scale.normalise(motion.samples) for motion in sampled]
    # movement is that of the first seed
    first = [motion[0] for motion in samples]
    raw = [motion.samples for motion in sampled]
    raw_first = [motion.samples[0] for motion in sampled]
    wrong = [motion.wrong for motion in sampled]
    # the wrong sound should give a larger error
    wrong_error = _error(metrics.keypoint_error, wrong, clips, scale)
    right_error = _error(metrics.keypoint_error, raw_first, clips, scale)
    pose_error = None
    if scale.space.has_pose:
        pose_error = _error(metrics.pose_error, raw, clips, scale)
    diversities = [metrics.diversity(motion) for motion in samples]
    distance = metrics.frechet_distance(np.concatenate(first), np.concatenate(truths))
    return {
        "keypoint_error": _error(metrics.keypoint_error, raw, clips, scale),
        "pose_error": pose_error,
        "velocity_ratio": _movement_ratio(first, truths, clips, 1),
        "acceleration_ratio": _movement_ratio(first, truths, clips, 2),
        "frechet_distance": distance,
        "diversity": _mean(diversities, clips),
        "seam_ratio": metrics.seam_ratio(first, [clip.seams for clip in clips]),
        **lip_measures(raw_first, clips, scale),
        "wrong_audio_ratio": metrics.ratio(wrong_error, right_error),
    }


def measure_truth(clips: Sequence[HeldOut], scale: Scale) -> Measures:
    """Return the truth's own measures, as far as they need no comparison."""
    truths = [scale.normalise(clip.truth) for clip in clips]
    return {
        "velocity_ratio": _movement_ratio(truths, truths, clips, 1),
        "acceleration_ratio": _movement_ratio(truths, truths, clips, 2),
        "seam_ratio": metrics.seam_ratio(truths, [clip.seams for clip in clips]),
        **lip_measures([clip.truth for clip in clips], clips, scale),
    }


def lip_measures(
    motions: Sequence[Frames], clips: Sequence[HeldOut], scale: Scale
) -> Measures:
    """Return the correlation of lip opening with the loudness at no lag, and the lag at
    which it is largest."""
    lagged = [
        metrics.lagged_correlations(scale.opening(motion), clip.envelope)
        for motion, clip in zip(motions, clips, strict=True)
    ]
    # long clips weigh more
    mean = np.average(lagged, axis=0, weights=_weights(clips))
    return {
        "lip_correlation": float(mean[metrics.LARGEST_LAG]),
        "lip_lag_milliseconds": metrics.lag_milliseconds(mean),
    }


def _error(
    metric: Metric,
    motions: Sequence[np.ndarray],
    clips: Sequence[HeldOut],
    scale: Scale,
) -> float:
    errors = [
        metric(motion, clip.truth, scale.space)
        for motion, clip in zip(motions, clips, strict=True)
    ]
    return _mean(errors, clips)


def _movement_ratio(
    motions: Sequence[Frames],
    truths: Sequence[Frames],
    clips: Sequence[HeldOut],
    order: int,
) -> float | None:
    """Return the ratio of the motions' movement to the truth's; None if that rests."""
    sampled = [metrics.movement(motion, order) for motion in motions]
    true = [metrics.movement(motion, order) for motion in truths]
    return metrics.ratio(_mean(sampled, clips), _mean(true, clips))


def _mean(values: Sequence[float], clips: Sequence[HeldOut]) -> float:
    return float(np.average(values, weights=_weights(clips)))


def _weights(clips: Sequence[HeldOut]) -> list[int]:
    return [len(clip.truth) for clip in clips]
