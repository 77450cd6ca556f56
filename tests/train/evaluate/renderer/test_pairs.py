"""Pairs of frames, rendered by networks in their inference form."""

import numpy as np
import pytest

from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.encode import extract_motion
from jaxportrait.pipeline.render import render
from jaxportrait.renderer import Renderer
from tests.train.evaluate.renderer.heads import SIZE, head, record_of
from tests.train.portraits import IMAGE_SIZE, save_small_checkpoint
from train.evaluate.renderer.pairs import driving_frames, make_pairs
from train.evaluate.renderer.run import BATCH


@pytest.fixture(scope="module")
def renderer(tmp_path_factory) -> Renderer:
    checkpoint = save_small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small")
    return Renderer.from_checkpoint(checkpoint, dtype="float32", batch_size=BATCH)


def test_a_source_has_the_pose_and_expression_of_its_own_frames(renderer):
    pictures = [head(second, IMAGE_SIZE) for second in np.arange(BATCH + 2) / 10]

    source = renderer.source(pictures[0])
    motion = renderer.read(pictures[1:], 30)
    keypoints = renderer.keypoints(source, motion, "source")
    rendered = np.concatenate(list(renderer.frames(source, keypoints)))

    # the same by hand, for one batch
    networks = renderer.networks
    driving = extract_motion(networks["motion"], np.stack(pictures[1 : BATCH + 1]))

    expected_keypoints = transform_keypoints(
        source.motion.keypoints,
        rotation_matrix(driving.pose),
        driving.expression,
        driving.scale,
        driving.translation,
    )

    expected = render(
        networks["warping"], networks["generator"], source, expected_keypoints
    )

    assert rendered.shape == (BATCH + 1, SIZE, SIZE, 3)
    difference = rendered[:BATCH].astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1

    # frames differ
    assert rendered[0].tobytes() != rendered[2].tobytes()


def test_driving_frames_are_spaced_over_a_clip_and_never_its_first():
    assert driving_frames(11, 5) == [2, 4, 6, 8, 10]
    assert driving_frames(3, 9) == [1, 2]
    assert driving_frames(2, 1) == [1]


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return np.abs(first.astype(int) - second).mean()


def test_pairs_are_shared_evenly_among_clips(renderer):
    records = [record_of("M1/a", 6), record_of("M1/b", 3), record_of("W2/c", 6)]
    pairs = list(make_pairs(renderer, records, 7))
    # the first clips share the rest; the second has two frames to drive
    clips = [pair.clip for pair in pairs]
    assert clips == ["M1/a"] * 3 + ["M1/b"] * 2 + ["W2/c"] * 2

    # pairs of a clip have one source
    (source,) = {pair.source.tobytes() for pair in pairs[:3]}
    assert source != pairs[3].source.tobytes()

    for pair in pairs:
        for picture in (pair.source, pair.true, pair.rendered, pair.reduced):
            assert picture.shape == (SIZE, SIZE, 3)

    # reducing a picture loses detail, but less than motion does
    first = pairs[0]
    loss = distance(first.reduced, first.true)
    assert 0.1 < loss < distance(first.source, first.true) + 5

    assert len(list(make_pairs(renderer, records, 1))) == 1
