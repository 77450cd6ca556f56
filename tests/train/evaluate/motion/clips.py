"""Clips whose lips follow their sound, for tests of the judge of motion."""

import numpy as np

from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import (
    MOTION_SPACES,
    MOTION_WIDTH,
    MotionSpace,
    MotionStatistics,
)
from train.data.lips import LIPS, learn_lip_axis
from train.data.records import ClipRecord, features_needed
from train.evaluate.motion.sweep import Scale

LIP = MOTION_SPACES["lip"]
FACE = MOTION_SPACES["face"]
TINY = FlowTransformerConfig.tiny()
DIRECTION = np.linspace(-0.01, 0.02, 18)
"""Direction in which the lips open."""
LENGTHS = {"a.mp4": 96, "b.mp4": 70, "c.mp4": 90}


def speech(clip: str, frames: int = 96, seed: int = 0, lag: int = 0) -> ClipRecord:
    """Lips that open with the sound, `lag` frames after it, along one direction, and a
    little noise."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(frames + 40)
    smooth = np.convolve(noise, np.hanning(7), "same")
    envelope = np.abs(smooth[20 : 20 + frames])
    opening = np.abs(smooth[20 - lag : 20 - lag + frames])

    # all speakers have their lips away from zero
    motion = 1e-4 * rng.standard_normal((frames, MOTION_WIDTH))
    motion[:, list(LIPS)] += opening[:, None] * DIRECTION + 0.3
    features = rng.standard_normal((features_needed(frames), 32))
    return ClipRecord(
        clip,
        clip[:1],
        motion.astype(np.float32),
        features.astype(np.float16),
        envelope.astype(np.float32),
    )


def make_clips() -> list[ClipRecord]:
    """Three clips of different lengths."""
    clips = []
    for seed, clip in enumerate(LENGTHS):
        clips.append(speech(clip, LENGTHS[clip], seed))
    return clips


def scale_of(clips: list[ClipRecord], space: MotionSpace = LIP) -> Scale:
    """The units in which motion of these clips is measured."""
    motion = np.concatenate([clip.motion for clip in clips])
    values = motion[:, list(space.columns)]
    deviation = values.std(axis=0, ddof=1)
    statistics = MotionStatistics(values.mean(axis=0), deviation)
    return Scale(space, statistics, learn_lip_axis(clips))
