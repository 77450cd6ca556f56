"""Retargeting: the original's keypoints, and motion that leaves parts of a source."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import (
    EXPRESSION,
    LIP_KEYPOINTS,
    MOTION_SPACES,
    POSE,
    SCALE,
    TRANSLATION,
    KeypointGroups,
)
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.retarget import (
    ClipArrays,
    compose,
    find_rest,
)
from jaxportrait.types import Motion, Source

LIP = MOTION_SPACES["lip"]
FACE = MOTION_SPACES["face"]
GROUPS = KeypointGroups(eyes=(2, 11, 13), brows=(3,))


@pytest.fixture(scope="module")
def figures(golden):
    return np.load(golden / "motion.npz")


@pytest.fixture(scope="module")
def source(figures) -> Source:
    def value(name: str) -> jnp.ndarray:
        return jnp.asarray(figures[f"source/{name}"])

    angles = [value("pitch"), value("yaw"), value("roll")]
    pose = jnp.concatenate(angles, axis=1)
    motion = Motion(value("kp"), value("exp"), pose, value("t"), value("scale"))
    keypoints = jnp.asarray(figures["x_s"])
    # Volumes and mobility are of no interest to retargeting.
    nothing = jnp.zeros(())
    return Source(nothing, nothing, keypoints, motion, nothing)


@pytest.fixture(scope="module")
def lip_motion(figures) -> MotionClip:
    values = figures["audio_driven/motion"].reshape(-1, LIP.width)
    return MotionClip.from_values(values, LIP, 30)


def drive(
    source: Source, clip: MotionClip, rest: MotionClip | None, **options
) -> np.ndarray:
    motion = ClipArrays.of_clip(clip)
    start = None if rest is None else ClipArrays.of_clip(rest)
    keypoints = compose(source, motion, start, **options)
    return np.asarray(keypoints)


def draw_heads(frames: int) -> np.ndarray:
    """Draw whole heads that turn and grow."""
    random = np.random.default_rng(0)
    values = draw_face_motion(frames)
    values[:, POSE] = random.uniform(-20, 20, (frames, 3))
    values[:, SCALE] = random.uniform(1.0, 1.5, (frames, 1))
    return values


def face_clip(values: np.ndarray) -> MotionClip:
    return MotionClip.from_values(values, FACE, 30)


def draw_face_motion(frames: int) -> np.ndarray:
    values = np.random.default_rng(0).normal(0, 0.02, (frames, FACE.width))
    return values.astype(np.float32)


@pytest.mark.parametrize("relative", [True, False])
def test_original_composition_is_golden(figures, source, lip_motion, relative):
    options = {"composition": "original", "relative": relative}
    keypoints = drive(source, lip_motion, lip_motion[:1], **options)
    expected = figures[f"audio_driven/relative_{relative}"]
    scale = np.abs(expected).max()
    # The bound is a share of the largest coordinate.
    difference = np.abs(keypoints - expected).max()
    assert difference <= 1e-6 * scale


def test_the_first_frame_is_the_source(figures, source, lip_motion):
    keypoints = drive(source, lip_motion, lip_motion[:1])
    expected = figures["x_s"][0]
    assert_allclose(keypoints[0], expected, atol=1e-6)


def test_only_lips_move(figures, source, lip_motion):
    keypoints = drive(source, lip_motion, lip_motion[:1])
    changes = np.abs(keypoints - figures["x_s"])
    # One distance a keypoint: (21,).
    distances = changes.max(axis=(0, 2))
    keypoint = np.arange(len(distances))
    lips = np.isin(keypoint, LIP_KEYPOINTS)
    assert (distances[lips] > 1e-3).all()
    assert (distances[~lips] < 1e-6).all()


def test_face_motion_turns_scales_and_shifts_the_source(source):
    values = draw_heads(4)
    clip = face_clip(values)
    keypoints = drive(source, clip, clip[:1])
    still = source.motion
    # The last frame, counted from the first one.
    first, _, _, last = rotation_matrix(jnp.asarray(values[:, POSE]))
    source_turn = rotation_matrix(still.pose)[0]
    rotation = last @ first.T @ source_turn
    change = values[3:] - values[:1]
    expression = change[:, EXPRESSION].reshape(1, -1, 3)
    growth = values[3:, SCALE] / values[:1, SCALE]
    expected = transform_keypoints(
        still.keypoints,
        rotation[None],
        still.expression + expression,
        still.scale * growth,
        still.translation + change[:, TRANSLATION],
    )
    assert_allclose(keypoints[3], expected[0], atol=1e-6)
    assert_allclose(keypoints[0], source.keypoints[0], atol=1e-6)


def test_fields_that_are_left_out_stay_the_source(source):
    clip = face_clip(draw_heads(3))
    still = replace(clip, rotation=None, translation=None, scale=None)
    # A head that is held in the first frame is one that is left to the source.
    held = replace(clip[[0, 0, 0]], expression=clip.expression)
    expected = drive(source, held, held[:1])
    keypoints = drive(source, still, still[:1])
    assert_allclose(keypoints, expected, atol=1e-6)
    calm = replace(clip, expression=None)
    held = replace(clip, expression=clip.expression[[0, 0, 0]])
    expected = drive(source, held, held[:1])
    keypoints = drive(source, calm, calm[:1])
    assert_allclose(keypoints, expected, atol=1e-6)


def test_motion_since_the_source_is_absolute(source):
    """The keypoints are those of the clip's own frames, whatever the source's pose."""
    clip = face_clip(draw_heads(3))
    assert find_rest(clip, "source", GROUPS) is None
    # The clip's own pose and expression, on the source's canonical keypoints.
    canonical = jnp.repeat(source.motion.keypoints, 3, axis=0)
    fields = clip.rotation, clip.expression, clip.scale, clip.translation
    expected = transform_keypoints(canonical, *map(jnp.asarray, fields))
    keypoints = drive(source, clip, None)
    assert_allclose(keypoints, expected, atol=1e-6)


def test_lips_rest_in_the_first_frame_eyes_and_pose_at_their_median():
    upper = [*GROUPS.eyes, *GROUPS.brows]
    values = draw_face_motion(31)
    values[0, POSE] = 20.0  # looks aside
    clip = face_clip(values)
    clip.expression[0, upper, 1] = 0.5  # lids shut
    rest = find_rest(clip, "mixed", GROUPS)
    median = np.median(clip.expression, axis=0)
    assert_array_equal(rest.expression[0, upper], median[upper])
    others = np.setdiff1d(np.arange(21), upper)
    first = clip.expression[0, others]
    assert_array_equal(rest.expression[0, others], first)
    # Pose, translation and scale are the medians of the packed values.
    (frame,) = rest.to_frames()
    medians = np.median(values, axis=0)
    assert_allclose(frame[POSE], medians[POSE], atol=1e-5)
    assert_array_equal(frame[TRANSLATION], medians[TRANSLATION])
    assert_array_equal(frame[SCALE], medians[SCALE])
    # Programs read float32.
    dtypes = {array.dtype for array in rest.arrays().values()}
    assert dtypes == {np.dtype(np.float32)}


def test_keypoints_that_rest_at_their_median_are_chosen():
    clip = face_clip(draw_face_motion(31))
    # One keypoint of the eyes, and no brows.
    groups = KeypointGroups(eyes=(20,), brows=())
    rest = find_rest(clip, "mixed", groups)
    first = clip.expression[0, :20]
    assert_array_equal(rest.expression[0, :20], first)
    median = np.median(clip.expression[:, 20], axis=0)
    assert_array_equal(rest.expression[0, 20], median)


def test_live_motion_rests_in_its_first_frame():
    clip = face_clip(draw_face_motion(5))
    rest = find_rest(clip, "first", GROUPS)
    first = clip[:1].to_frames()
    assert_array_equal(rest.to_frames(), first)


def test_lip_motion_rests_in_its_first_frame():
    # The driver of the lips leaves eyes and head to the source.
    values = LIP.select(draw_face_motion(31))
    clip = MotionClip.from_values(values, LIP, 30)
    rest = find_rest(clip, "mixed", GROUPS)
    assert list(rest.arrays()) == ["expression"]
    assert_array_equal(rest.expression, clip.expression[:1])


def test_a_rest_that_is_none_is_named():
    clip = face_clip(draw_face_motion(2))
    with pytest.raises(ValueError, match="rest is 'median': choose one of mixed"):
        find_rest(clip, "median", GROUPS)  # pyright: ignore[reportArgumentType]
