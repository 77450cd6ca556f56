"""The score of a flow transformer's sampled lips."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.motion.space import MOTION_SPACES
from tests.train.runs import FEATURE_WIDTH, make_dataset
from train.data.dataset import Dataset
from train.engine.checkpoints import SCORE
from train.flow.config import TransformerSize
from train.flow.score import score_lips

COLUMNS = list(MOTION_SPACES["lip"].columns)
TRANSFORMER = TransformerSize(16, 2, 1, 1).config("lip", FEATURE_WIDTH)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    path: Path = tmp_path_factory.mktemp("data") / "set"
    return make_dataset(path, encoder="")


def sampler_of(dataset: Dataset, share: float):
    """Return a sampler of the true motion's movement times a share; it knows a clip by
    a feature."""
    clips = list(dataset.clips("validation"))

    def sample(statistics, features, count, *, plan):
        feature = features[10].astype(np.float16)
        clip = next(
            clip for clip in clips if np.array_equal(clip.features[10], feature)
        )
        motion = clip.motion[:, COLUMNS]
        return motion.mean(axis=0) + share * (motion - motion.mean(axis=0))

    return sample


def test_true_lips_score_1_at_any_size_and_opposite_ones_less_than_nothing(dataset):
    score = score_lips(TRANSFORMER, "lip", dataset)
    assert score(sampler_of(dataset, 1.0))[SCORE] == pytest.approx(1)
    assert score(sampler_of(dataset, 0.3))[SCORE] == pytest.approx(1)
    assert score(sampler_of(dataset, -1.0))[SCORE] == pytest.approx(-1)


def test_a_frozen_face_scores_nothing(dataset):
    score = score_lips(TRANSFORMER, "lip", dataset)
    assert abs(score(sampler_of(dataset, 0.0))[SCORE]) < 0.3
