"""The score of a flow transformer in training: how well sampled lips follow the true
ones."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MOTION_SPACES
from train.data.dataset import Dataset
from train.data.lips import LipAxis, learn_lip_axis
from train.data.records import ClipRecord
from train.engine.checkpoints import SCORE
from train.evaluate.motion.metrics import correlation
from train.flow.sample import SAMPLED_FRAMES, Sampler, sample_clip

SCORED_CLIPS = 8
AXIS_CLIPS = 200
"""Clips of the train split that the lip axis is learnt from."""


def score_lips(
    transformer: FlowTransformerConfig, space: str, dataset: Dataset
) -> Callable[[Sampler], Mapping[str, float]]:
    """Return the function that scores a sampler of motion on held-out clips.

    The score is the correlation of lip opening with the true opening, in the mean of
    clips. A loss does not tell it: a frozen face has a small one.

    Args:
      transformer: config of the network.
      space: name of the motion space that it makes.
      dataset: data set of the clips.
    """

    @cache
    def prepare() -> tuple[LipAxis, list[ClipRecord]]:
        # The clips are read once, at the first score.
        lips = learn_lip_axis(dataset.evenly_spaced("train", AXIS_CLIPS))
        return lips, list(dataset.evenly_spaced("validation", SCORED_CLIPS))

    def score(sample: Sampler) -> Mapping[str, float]:
        lips, clips = prepare()
        statistics = dataset.statistics(space)
        values = []
        for clip in clips:
            frames = min(clip.frames, SAMPLED_FRAMES)
            motion = sample_clip(transformer, sample, clip, frames, statistics)
            values.append(_agreement(lips, motion, clip, space))
        return {SCORE: float(np.mean(values))}

    return score


def _agreement(
    lips: LipAxis, motion: np.ndarray, clip: ClipRecord, space: str
) -> float:
    """Return the correlation of lip opening with that of the clip."""
    columns = list(MOTION_SPACES[space].columns)
    truth = clip.motion[: len(motion), columns].astype(np.float64)
    opening = lips.opening(motion.astype(np.float64), MOTION_SPACES[space])
    return correlation(opening, lips.opening(truth, MOTION_SPACES[space]))
