"""Composition: the original's keypoints, and motion that leaves parts of a source."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import (
    EXPRESSION,
    LIP_KEYPOINTS,
    POSE,
    REGIONS,
    SCALE,
    TRANSLATION,
)
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.pipeline.compose import ClipArrays, compose
from jaxportrait.pipeline.rest import find_rest
from jaxportrait.types import Motion, Source
from tests.pipeline.motions import GROUPS, LIP, draw_heads, face_clip


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
    expected = transform_keypoints(
        canonical,
        jnp.asarray(clip.rotation),
        jnp.asarray(clip.expression),
        jnp.asarray(clip.scale),
        jnp.asarray(clip.translation),
    )
    keypoints = drive(source, clip, None)
    assert_allclose(keypoints, expected, atol=1e-6)


def change_of(source: Source, clip: MotionClip, **options) -> np.ndarray:
    """Return how far each keypoint moves from the source's: (n, k, 3)."""
    keypoints = drive(source, clip, clip[:1], **options)
    return keypoints - np.asarray(source.keypoints)


def distances(change: np.ndarray) -> np.ndarray:
    """Return the largest change of each keypoint, in any frame and axis."""
    return np.abs(change).max(axis=(0, 2))


@pytest.mark.parametrize("region", ["lips", "eyes"])
def test_a_region_moves_only_its_keypoints(source, region):
    clip = face_clip(draw_heads(3))
    change = change_of(source, clip, region=region)
    moved = distances(change)
    keypoint = np.arange(len(moved))
    inside = np.isin(keypoint, REGIONS[region])
    assert (moved[inside] > 1e-4).all()
    assert (moved[~inside] < 1e-6).all()


def test_the_pose_is_turn_and_shift_without_expression_and_growth(source):
    clip = face_clip(draw_heads(3))
    # Expression and size are held in the first frame.
    held = clip[[0, 0, 0]]
    rigid = replace(clip, expression=held.expression, scale=held.scale)
    expected = change_of(source, rigid)
    change = change_of(source, clip, region="pose")
    assert_allclose(change, expected, atol=1e-6)


def expression_of(
    source: Source, clip: MotionClip, keypoints: np.ndarray
) -> np.ndarray:
    """Return the expression of keypoints whose head moves as the clip's."""
    still = source.motion
    plane = np.array([1, 1, 0], np.float32)
    shift = clip.translation[:, None] * plane
    posed = (keypoints - shift) / np.asarray(still.scale)
    canonical = np.asarray(still.keypoints)
    return posed - canonical @ clip.rotation


def test_absolute_motion_leaves_the_shape_of_the_face(source):
    clip = face_clip(draw_heads(3))
    keypoints = drive(source, clip, clip[:1], relative=False)
    expression = expression_of(source, clip, keypoints)[2]
    (still,) = np.asarray(source.motion.expression)
    # Keypoints 0, 7 and 10 hold the shape.
    shape = [0, 7, 10]
    assert_allclose(expression[shape], still[shape], atol=1e-5)
    # Of keypoint 5 only the depth moves.
    assert_allclose(expression[5, :2], still[5, :2], atol=1e-5)
    driving = clip.expression[2]
    assert_allclose(expression[5, 2], driving[5, 2], atol=1e-5)
    assert_allclose(expression[11:], driving[11:], atol=1e-5)


def test_networks_with_other_keypoints_take_over_the_whole_expression(source):
    clip = face_clip(draw_heads(2))
    options = {"relative": False, "region": "expression"}
    published = change_of(source, clip, **options)
    other = change_of(source, clip, groups=GROUPS, **options)
    differs = distances(other - published) > 1e-5
    assert differs[[0, 7, 10]].all()
    assert not differs[11:].any()


def test_motion_without_a_region_is_still_in_every_frame(source):
    clip = face_clip(draw_heads(4))
    calm = replace(clip, rotation=None, translation=None, scale=None)
    change = change_of(source, calm, region="pose")
    assert change.shape == (4, 21, 3)
    assert distances(change).max() < 1e-6
