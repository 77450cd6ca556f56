"""Ditto's composition, and the gaze that follows the head."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.motion.binned import degrees_of
from jaxportrait.motion.clip import MotionClip, Performer
from jaxportrait.motion.gaze import PUBLISHED_GAZE
from jaxportrait.motion.rotation import matrices_of
from jaxportrait.motion.space import REGIONS, KeypointGroups
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.encode import locate_keypoints
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.retarget import drive
from jaxportrait.ranges import OptionError
from jaxportrait.types import Motion, Source
from tests.arrays import draw
from tests.closeness import assert_close

BROWS = list(REGIONS["brows"])
DITTO = Retargeting(composition="ditto")


def read_motion(count: int, seed: int) -> MotionClip:
    logits = 1.5 * draw(count, 3, 66, seed=seed)
    return MotionClip(
        expression=0.02 * draw(count, 21, 3, seed=seed + 1),
        rotation=matrices_of(degrees_of(logits)),
        translation=0.05 * draw(count, 3, seed=seed + 2),
        scale=np.full((count, 1), 1.2, np.float32),
        fps=25.0,
        logits=logits,
    )


@pytest.fixture(scope="module")
def source() -> Source:
    logits = 1.5 * draw(1, 3, 66, seed=20)
    motion = Motion(
        keypoints=jnp.asarray(0.3 * draw(1, 21, 3, seed=21)),
        expression=jnp.asarray(0.02 * draw(1, 21, 3, seed=22)),
        pose=jnp.asarray(degrees_of(logits)),
        translation=jnp.asarray(0.05 * draw(1, 3, seed=23)),
        scale=jnp.full((1, 1), 1.5),
        logits=jnp.asarray(logits),
    )
    nothing = jnp.zeros(())
    return Source(nothing, nothing, locate_keypoints(motion), motion, nothing)


def run(source, clip, retargeting=DITTO, rest=None):
    rest = clip[:1] if rest is None else rest
    none = CorrectionNetworks()
    return drive(source, clip, rest, retargeting, none, groups=KeypointGroups())


def test_rest_leaves_the_source_as_it_is(source):
    clip = read_motion(3, 1)
    assert_close(run(source, clip)[:1], source.keypoints, 1e-6)


def test_brows_and_the_size_of_the_head_stay(source):
    clip = read_motion(3, 1)
    moved = replace(clip, expression=clip.expression.copy(), scale=2 * clip.scale)
    # Brows and sizes that no frame may show.
    moved.expression[1:, BROWS] += 1
    np.testing.assert_array_equal(run(source, clip), run(source, moved))


def test_lips_of_a_larger_head_move_further(source):
    clip = read_motion(3, 1)
    still = replace(
        clip,
        logits=np.repeat(clip.logits[:1], 3, axis=0),
        translation=np.repeat(clip.translation[:1], 3, axis=0),
    )
    change = run(source, still) - np.asarray(source.keypoints)
    larger = run(source, replace(still, performer=Performer(3.0)))
    assert_close(larger - np.asarray(source.keypoints), 2 * change, 1e-4)
    # Eyes of a curve serve heads of any size.
    curve = run(source, replace(still, performer=Performer(3.0, scales_eyes=False)))
    eyes = list(REGIONS["eyes"])
    assert_close(
        curve[:, eyes] - np.asarray(source.keypoints)[:, eyes], change[:, eyes], 1e-4
    )


@pytest.mark.parametrize(
    "name", ["head_strength", "eye_strength", "lip_strength", "gaze_strength"]
)
def test_every_strength_has_an_effect(source, name):
    clip = read_motion(3, 1)
    plain = run(source, clip)
    changed = run(source, clip, replace(DITTO, **{name: 0.5}))
    assert np.abs(changed - plain).max() > 1e-4


@pytest.mark.parametrize("region", ["expression", "pose", "lips", "eyes"])
def test_regions_move_only_their_part(source, region):
    keypoints = run(source, read_motion(3, 1), replace(DITTO, region=region))
    moved = np.abs(keypoints[1:] - np.asarray(source.keypoints)).max(axis=(0, 2)) > 1e-5
    # Keypoints of LivePortrait.
    lips = {6, 12, 14, 17, 19, 20}
    eyes = {11, 13, 15, 16, 18}
    expected = {
        "expression": lips | eyes,
        "lips": lips,
        "eyes": eyes,
        "pose": set(range(21)),
    }
    assert set(np.flatnonzero(moved)) == expected[region]


def test_the_gaze_is_the_published_one():
    offsets = np.asarray(PUBLISHED_GAZE.offsets(np.array([[10.0, 20.0, 0.0]])))
    # 0.26 of the yaw and 0.28 of the pitch, by the factors of each keypoint.
    assert_close(offsets[0, 11], [0.26 * 20 * 0.0007, -0.28 * 10 * 0.001, 0], 1e-6)
    assert_close(offsets[0, 15], [0.26 * 20 * 0.001, -0.28 * 10 * 0.001, 0], 1e-6)
    # To the other side, the factors change places.
    back = np.asarray(PUBLISHED_GAZE.offsets(np.array([[0.0, -20.0, 0.0]])))
    assert_close(back[0, 11], [-0.26 * 20 * 0.001, 0, 0], 1e-6)


def test_the_gaze_follows_the_head_in_our_composition_too(source):
    clip = read_motion(3, 1)
    plain = run(source, clip, Retargeting())
    looking = run(source, clip, Retargeting(gaze_strength=1.0))
    moved = np.flatnonzero(np.abs(looking - plain).max(axis=(0, 2)) > 1e-6)
    assert moved.tolist() == [11, 15]
    # At rest, eyes look as in the source.
    np.testing.assert_allclose(looking[0], plain[0], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"composition": "joyvasa"}, "the gaze follows the head in the composition"),
        (
            {"region": "lips"},
            "the gaze follows a head that turns, and region is 'lips'",
        ),
    ],
)
def test_a_gaze_without_a_head_to_follow_is_refused(options, message):
    with pytest.raises(OptionError, match=message):
        Retargeting(gaze_strength=1.0, **options)


def test_a_gaze_is_refused_for_lips_and_for_videos():
    looking = Retargeting(gaze_strength=1.0)
    with pytest.raises(
        ValueError, match="gaze_strength is 1, and this motion has only"
    ):
        looking.check((), moves_head=False)
    with pytest.raises(ValueError, match="gaze_strength is for pictures"):
        looking.check_source(is_video=True)


def test_motion_without_logits_is_refused(source):
    clip = replace(read_motion(3, 1), logits=None)
    with pytest.raises(
        ValueError, match='"ditto" adds logits of angles, and this motion'
    ):
        run(source, clip)
    with pytest.raises(
        ValueError, match='composition "ditto" is for motion that a driver'
    ):
        DITTO.check_logits(has_logits=False)


def test_a_strength_of_what_dittos_composition_does_not_move_is_refused():
    strong = {"expression_strength": 2.0}
    with pytest.raises(OptionError, match="leave out expression_strength"):
        Retargeting(composition="ditto", **strong)
    # "original" is Ditto's own only for its driver.
    original = Retargeting(composition="original", **strong)
    with pytest.raises(OptionError, match="leave out expression_strength"):
        original.of_driver("ditto")
