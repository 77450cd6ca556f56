"""The picture that a run makes of its motion."""

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import numpy as np

from jaxportrait.motion.space import MotionStatistics
from tests.train.runs import FEATURE_WIDTH, make_clip
from tests.train.videos import draw_leaves
from train.data.silence import quietest_feature, with_silence
from train.engine.config import OptimizerConfig
from train.flow.config import TransformerSize
from train.flow.sample import sample_average, sample_clip
from train.flow.step import StepConfig

FRAMES, READ = 40, 75
"""Two windows end 5 frames after the clip, and read so many features."""


def test_silence_follows_a_clip_that_ends_within_its_last_window():
    transformer = TransformerSize(16, 2, 1, 1).config("lip", FEATURE_WIDTH)
    params = {
        name: jnp.asarray(leaf) for name, leaf in draw_leaves(transformer).items()
    }
    statistics = MotionStatistics(np.zeros(18, np.float32), np.ones(18, np.float32))
    config = StepConfig(transformer, OptimizerConfig())
    clip = make_clip("a/b.mp4", FRAMES, seed=0)

    silence = quietest_feature(clip)
    assert np.abs(silence).max() > 0.1
    longer = replace(
        clip, features=with_silence(clip.features.astype(np.float32), silence, READ)
    )
    sample = partial(sample_average, config, params)
    motion, expected = (
        sample_clip(transformer, sample, record, FRAMES, statistics)
        for record in (clip, longer)
    )
    assert motion.shape == (FRAMES, 18)
    np.testing.assert_array_equal(motion, expected)
