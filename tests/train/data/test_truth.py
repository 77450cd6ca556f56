"""Truth files beside videos, and the groups of landmarks that they name."""

from pathlib import Path

import numpy as np
import pytest

from train.data.landmarks import points_of
from train.data.truth import read_closures, read_truth, truth_path

NAMES = ["lips_outer", "lips_outer", "eye_left", "lips_inner"]


def save(video: Path, **arrays) -> Path:
    path = truth_path(video)
    np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
    return path


def test_a_video_without_truth_has_none(tmp_path):
    truth = read_truth(tmp_path / "a.mp4", 3)
    assert truth.landmarks is None
    assert truth.pose is None
    assert truth.landmark_groups == {}


def test_landmarks_and_their_groups_are_read(tmp_path):
    video = tmp_path / "a.mp4"
    # 3 frames of 4 points
    points = np.arange(24.0).reshape(3, 4, 2)
    save(video, landmarks=points, landmark_groups=NAMES, opening=np.zeros(3))
    truth = read_truth(video, 3)
    np.testing.assert_array_equal(truth.landmarks, points)
    groups = truth.landmark_groups
    assert groups == {"lips_outer": (0, 1), "eye_left": (2,), "lips_inner": (3,)}
    assert points_of(groups, ("lips_outer", "lips_inner", "nose")) == (0, 1, 3)


def test_damaged_truth_is_named(tmp_path):
    video = tmp_path / "a.mp4"
    path = save(video, landmarks=np.zeros((3, 4, 2)), pose=np.zeros((3, 3)))
    whole = path.read_bytes()
    for damaged in (whole[:-30], b"text", b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.npz is damaged"):
            read_truth(video, 3)


def test_truth_of_another_video_is_refused(tmp_path):
    video = tmp_path / "a.mp4"
    save(video, landmarks=np.zeros((7, 2, 2)))
    with pytest.raises(ValueError, match=r"shape \(7, 2, 2\), the video has 3 frames"):
        read_truth(video, 3)
    save(video, landmarks=np.zeros((3, 5, 2)), landmark_groups=NAMES)
    with pytest.raises(ValueError, match="the groups of 4 of 5 landmarks"):
        read_truth(video, 3)


def test_closures_are_pairs_of_seconds(tmp_path):
    video = tmp_path / "a.mp4"
    assert read_closures(video) is None
    save(video, opening=np.zeros(3))
    assert read_closures(video) is None
    save(video, closures=[[0.1, 0.2], [1, 1.1]])
    assert read_closures(video).tolist() == [[0.1, 0.2], [1, 1.1]]
    # a clip without p, b and m
    save(video, closures=np.zeros(0))
    assert read_closures(video).shape == (0, 2)
    for wrong in ([0.1, 0.2], [[0.1, np.nan]]):
        save(video, closures=wrong)
        with pytest.raises(ValueError, match=r"closures of .*a\.npz are of shape"):
            read_closures(video)
