"""Sampled motion of a clip, which a run plots."""

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import numpy as np

from jaxportrait.motion.space import MotionStatistics
from tests.train.runs import FEATURE_WIDTH, make_clip
from tests.train.videos import draw_leaves
from train.data.silence import quietest_feature, with_silence
from train.flow.config import TransformerSize
from train.flow.sample import sample_average, sample_clip

FRAMES = 40
READ = 75
"""Features that two windows read, which end 5 frames after the clip."""


def test_silence_follows_a_clip_that_ends_within_its_last_window():
    transformer = TransformerSize(16, 2, 1, 1).config("lip", FEATURE_WIDTH)
    leaves = draw_leaves(transformer)
    params = {name: jnp.asarray(leaf) for name, leaf in leaves.items()}
    statistics = MotionStatistics(np.zeros(18, np.float32), np.ones(18, np.float32))
    clip = make_clip("a/b.mp4", FRAMES, seed=0)

    silence = quietest_feature(clip)
    # Zeros would not tell silence from padding.
    assert np.abs(silence).max() > 0.1
    features = with_silence(clip.features.astype(np.float32), silence, READ)
    longer = replace(clip, features=features)
    sample = partial(sample_average, transformer, 2.0, params)
    motion = sample_clip(transformer, sample, clip, FRAMES, statistics)
    expected = sample_clip(transformer, sample, longer, FRAMES, statistics)
    assert motion.shape == (FRAMES, 18)
    np.testing.assert_array_equal(motion, expected)
