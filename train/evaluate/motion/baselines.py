"""Motion that no network made, by which figures of a network are judged."""

from collections.abc import Sequence

import numpy as np

from train.data.lips import LIPS
from train.evaluate.motion.sweep import Frames, HeldOut, Scale


def baselines(clips: Sequence[HeldOut], scale: Scale) -> dict[str, list[Frames]]:
    """Return a motion for every clip, by the name of the baseline.

    "mean face" rests at the mean of the training set. "another clip" moves as the next
    clip does. "loudness" opens the lips of the mean face with the loudness.
    """
    others = [*clips[1:], clips[0]]
    motions = {
        "mean face": [_mean_face(clip, scale) for clip in clips],
        "loudness": [_loudness(clip, scale) for clip in clips],
    }
    # a clip by itself has no other
    if len(clips) > 1:
        motions["another clip"] = [
            np.resize(other.truth, clip.truth.shape)
            for clip, other in zip(clips, others, strict=True)
        ]
    return motions


def _mean_face(clip: HeldOut, scale: Scale) -> Frames:
    mean = np.asarray(scale.statistics.mean, np.float64)
    return np.tile(mean, (len(clip.truth), 1))


def _loudness(clip: HeldOut, scale: Scale) -> Frames:
    motion = _mean_face(clip, scale)
    loudness = clip.envelope - clip.envelope.mean()
    opening = scale.lips.gain * loudness
    # a clip's mean loudness leaves the lips at their mean
    motion[:, scale.space.locate(LIPS)] += opening[:, None] * scale.lips.axis
    return motion
