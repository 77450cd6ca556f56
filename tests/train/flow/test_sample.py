"""Sampled motion of a clip, which a run plots."""

from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import numpy as np

from jaxportrait import demo
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.motion.space import MotionStatistics
from tests.train.portraits import save_small_checkpoint
from tests.train.runs import FEATURE_WIDTH, make_clip, make_dataset
from tests.train.videos import draw_leaves
from train.data.silence import quietest_feature, with_silence
from train.engine.studio import Studio
from train.flow.config import TransformerSize
from train.flow.sample import film_samples, sample_average, sample_clip

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


def test_held_out_clips_are_filmed(tmp_path):
    dataset = make_dataset(tmp_path / "clips", encoder="")
    transformer = TransformerSize(16, 2, 1, 1).config("lip", FEATURE_WIDTH)
    small = open_checkpoint(save_small_checkpoint(tmp_path / "small"))
    studio = Studio(small, demo.PORTRAIT, clips=2)

    def sample(statistics, features, count, *, plan):
        # lips that rest at the mean
        return np.tile(statistics.mean, (plan.frames, 1))

    films = film_samples(transformer, "lip", dataset, sample, studio)
    assert list(films) == ["film/validation/0.mp4", "film/validation/1.mp4"]
    # clips of 60 and 67 frames, of which every second one is shown
    counts = [len(film.frames) for film in films.values()]
    assert counts == [30, 34]
    for film in films.values():
        true, sampled = np.split(film.frames.astype(int), 2, axis=2)
        assert np.ptp(sampled, axis=0).max() <= 1
        assert np.ptp(true, axis=0).max() > 1
