"""Measures over all held-out clips, of sampled motion and of the truth itself."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxportrait.motion.space import MOTION_FPS
from train.data.lips import LIPS
from train.evaluate.motion import metrics
from train.evaluate.motion.metrics import Samples
from train.evaluate.motion.sweep import Frames, HeldOut, Measures, Sampled, Scale
from train.evaluate.motion.sync import cut_windows
from train.evaluate.speech.measures import blink_rate, share_shut

Metric = Callable[..., float]
"""metric(motion, truth, space) -> error."""


COMPARISONS = (
    "keypoint_error",
    "centered_error",
    "pose_error",
    "frechet_distance",
    "true_lip_correlation",
    "least_lip_correlation",
    "true_lip_lag_milliseconds",
)
"""Measures that the truth has of nothing but itself."""


def measure(
    clips: Sequence[HeldOut], sampled: Sequence[Sampled], scale: Scale
) -> Measures:
    """Return every measure over all clips; frames count alike, whatever their clip."""
    samples = [scale.normalise(motion.samples) for motion in sampled]
    diversities = [metrics.diversity(motion) for motion in samples]
    # the wrong sound should give a larger error
    wrong = [motion.wrong for motion in sampled]
    right = [motion.samples[0] for motion in sampled]
    wrong_error = _error(metrics.keypoint_error, wrong, clips, scale)
    right_error = _error(metrics.keypoint_error, right, clips, scale)
    wrong_lips = true_lip_measures(wrong, clips, scale)
    # seams lie between frames of the network
    native = [scale.normalise(motion.native) for motion in sampled]
    return {
        **compare([motion.samples for motion in sampled], clips, scale),
        "diversity": _mean(diversities, clips),
        "wrong_audio_ratio": metrics.ratio(wrong_error, right_error),
        "wrong_lip_correlation": wrong_lips["true_lip_correlation"],
        "seam_ratio": metrics.seam_ratio(native, [clip.seams for clip in clips]),
    }


def compare(
    motions: Sequence[Samples], clips: Sequence[HeldOut], scale: Scale
) -> Measures:
    """Return the measures of motion that any source made, beside the truth.

    Args:
      motions: motion of each clip by one seed or more, (seeds, frames, d). Errors are
        over all seeds; movement and lips are the first seed's.
    """
    truths = [scale.normalise(clip.truth) for clip in clips]
    raw = [motion[0] for motion in motions]
    first = [scale.normalise(motion) for motion in raw]
    pose_error = None
    if scale.space.has_pose:
        pose_error = _error(metrics.pose_error, motions, clips, scale)
    distance = metrics.frechet_distance(np.concatenate(first), np.concatenate(truths))
    return {
        "keypoint_error": _error(metrics.keypoint_error, motions, clips, scale),
        "centered_error": _error(
            metrics.centered_keypoint_error, motions, clips, scale
        ),
        "pose_error": pose_error,
        "velocity_ratio": _movement_ratio(first, truths, clips, 1),
        "acceleration_ratio": _movement_ratio(first, truths, clips, 2),
        "jerk_ratio": _movement_ratio(first, truths, clips, 3),
        "frechet_distance": distance,
        "seam_ratio": _seam_ratio(first, clips),
        **true_lip_measures(raw, clips, scale),
        **lip_measures(raw, clips, scale),
        **closure_measures(raw, clips, scale),
        "embedding_sync": _sync(raw, clips, scale),
        "blinks_a_minute": _blinks(raw, scale),
    }


def measure_truth(clips: Sequence[HeldOut], scale: Scale) -> Measures:
    """Return the truth's own measures, as far as they say anything about it."""
    # frames d -> 1 frames d: the truth stands for one seed
    measures = compare([clip.truth[None] for clip in clips], clips, scale)
    return {name: measures[name] for name in measures if name not in COMPARISONS}


def true_lip_measures(
    motions: Sequence[Frames], clips: Sequence[HeldOut], scale: Scale
) -> Measures:
    """Return the correlation of lip opening with the true one: its mean over clips, the
    least of a clip, and the lag at which the mean is largest."""
    lagged = [
        metrics.lagged_correlations(scale.opening(motion), scale.opening(clip.truth))
        for motion, clip in zip(motions, clips, strict=True)
    ]
    mean = np.average(lagged, axis=0, weights=_weights(clips))
    # the middle column is that of no lag
    unlagged = np.array(lagged)[:, metrics.LARGEST_LAG]
    return {
        "true_lip_correlation": float(mean[metrics.LARGEST_LAG]),
        "least_lip_correlation": float(unlagged.min()),
        "true_lip_lag_milliseconds": metrics.lag_milliseconds(mean),
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


def closure_measures(
    motions: Sequence[Frames], clips: Sequence[HeldOut], scale: Scale
) -> Measures:
    """Return the share of the closures of p, b and m in which lips are shut, and that
    with the next clip's closures; None where no clip's are known."""
    openings, closures = [], []
    for motion, clip in zip(motions, clips, strict=True):
        if clip.closures is not None:
            opening = scale.opening(motion)
            # lips are shut where they are least open in their clip
            opening -= opening.min()
            # lips that rest are as wide as they ever are
            rounding = metrics.ROUNDING * np.ptp(scale.opening(clip.truth))
            openings.append(np.maximum(opening, rounding))
            closures.append(clip.closures)
    if not closures:
        return {"closures": None, "closures_by_chance": None}
    others = [*closures[1:], closures[0]]
    return {
        "closures": share_shut(openings, closures),
        # a clip by itself has no other
        "closures_by_chance": share_shut(openings, others) if closures[1:] else None,
    }


def _seam_ratio(first: Sequence[Frames], clips: Sequence[HeldOut]) -> float | None:
    """Return the seam ratio of motion at the truth's rate; None beside a network of
    another, since interpolation bends motion between its frames."""
    if any(clip.fps != MOTION_FPS for clip in clips):
        return None
    return metrics.seam_ratio(first, [clip.seams for clip in clips])


def _sync(
    motions: Sequence[Frames], clips: Sequence[HeldOut], scale: Scale
) -> float | None:
    if scale.sync is None:
        return None
    columns = scale.space.locate(LIPS)
    lips = [motion[:, columns] for motion in motions]
    windows = cut_windows(lips, [clip.features for clip in clips])
    return scale.sync.score(windows)


def _blinks(motions: Sequence[Frames], scale: Scale) -> float | None:
    if scale.lids is None:
        return None
    closings = [scale.lids.closing(motion, scale.space) for motion in motions]
    return blink_rate(closings)


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
