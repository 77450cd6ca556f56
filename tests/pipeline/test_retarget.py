"""Composition: the original's keypoints, and what a motion leaves alone."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.motion.space import LIP_KEYPOINTS, MOTION_SPACES
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.retarget import UPPER_KEYPOINTS, compose, rest_motion
from jaxportrait.types import Motion, Source

LIP, FACE = MOTION_SPACES["lip"], MOTION_SPACES["face"]


@pytest.fixture(scope="module")
def figures(golden):
    return np.load(golden / "motion.npz")


@pytest.fixture(scope="module")
def source(figures) -> Source:
    read = {
        name: jnp.asarray(figures[f"source/{name}"])
        for name in ("kp", "exp", "pitch", "yaw", "roll", "t", "scale")
    }
    pose = jnp.concatenate([read["pitch"], read["yaw"], read["roll"]], axis=1)
    motion = Motion(read["kp"], read["exp"], pose, read["t"], read["scale"])
    return Source(
        jnp.zeros(()), jnp.zeros(()), jnp.asarray(figures["x_s"]), motion, jnp.zeros(())
    )


@pytest.mark.parametrize("relative", [True, False])
def test_original_composition_is_golden(figures, source, relative):
    motion = jnp.asarray(figures["audio_driven/motion"].reshape(-1, 18))
    keypoints = compose(
        source, motion, motion[0], space=LIP, composition="original", relative=relative
    )
    expected = figures[f"audio_driven/relative_{relative}"]
    assert np.abs(keypoints - expected).max() <= 1e-6 * np.abs(expected).max()


def test_the_first_frame_is_the_source(figures, source):
    motion = jnp.asarray(figures["audio_driven/motion"].reshape(-1, 18))
    keypoints = compose(source, motion, motion[0], space=LIP)
    np.testing.assert_allclose(keypoints[0], figures["x_s"][0], atol=1e-6)


def test_lips_alone_move(figures, source):
    motion = jnp.asarray(figures["audio_driven/motion"].reshape(-1, 18))
    moved = np.abs(
        np.asarray(compose(source, motion, motion[0], space=LIP)) - figures["x_s"]
    ).max(axis=(0, 2))
    lips = np.isin(np.arange(21), LIP_KEYPOINTS)
    assert (moved[lips] > 1e-3).all()
    assert (moved[~lips] < 1e-6).all()


def test_face_motion_turns_scales_and_shifts_the_source(source):
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 0.02, (4, 70)).astype(np.float32)
    motion[:, 63:66] = rng.uniform(-20, 20, (4, 3))
    motion[:, 69] = rng.uniform(1.0, 1.5, 4)
    keypoints = compose(source, jnp.asarray(motion), jnp.asarray(motion[0]), space=FACE)
    own, i = source.motion, 3
    rotation = (
        rotation_matrix(jnp.asarray(motion[i : i + 1, 63:66]))
        @ jnp.swapaxes(rotation_matrix(jnp.asarray(motion[:1, 63:66])), 1, 2)
        @ rotation_matrix(own.pose)
    )
    expected = transform_keypoints(
        own.keypoints,
        rotation,
        own.expression + (motion[i] - motion[0])[:63].reshape(1, 21, 3),
        own.scale * motion[i, 69] / motion[0, 69],
        own.translation + (motion[i] - motion[0])[None, 66:69],
    )
    np.testing.assert_allclose(keypoints[i], expected[0], atol=1e-6)
    np.testing.assert_allclose(keypoints[0], source.keypoints[0], atol=1e-6)


def test_lips_rest_in_the_first_frame_eyes_and_pose_at_their_median():
    rng = np.random.default_rng(1)
    motion = rng.normal(0, 0.02, (31, 70)).astype(np.float32)
    motion[0, 63:66] = 20.0  # looks aside
    motion[0, [3 * keypoint + 1 for keypoint in UPPER_KEYPOINTS]] = 0.5  # lids shut
    rest = rest_motion(motion, FACE)
    eyes = np.array(
        [3 * keypoint + axis for keypoint in UPPER_KEYPOINTS for axis in range(3)]
    )
    np.testing.assert_array_equal(rest[eyes], np.median(motion, axis=0)[eyes])
    np.testing.assert_array_equal(rest[63:], np.median(motion, axis=0)[63:])
    others = np.setdiff1d(np.arange(63), eyes)
    np.testing.assert_array_equal(rest[others], motion[0, others])
    assert rest.dtype == np.float32


def test_lip_motion_rests_in_its_first_frame():
    motion = np.random.default_rng(2).normal(0, 0.02, (31, 18)).astype(np.float32)
    np.testing.assert_array_equal(rest_motion(motion, LIP), motion[0])
