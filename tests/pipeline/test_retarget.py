"""Retargeting: options, and what they need; golden cases are in test_motion_cases.py."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from convert_weights.motion_cases import read_driving, read_source
from jaxportrait.media.faces.openness import Openness
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.correct import CorrectionNetworks, size_ratio
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.retarget import CHUNK, drive

GROUPS = KeypointGroups()
OPEN = Openness((0.3, 0.3), 0.2)


@pytest.fixture(scope="module")
def figures(golden):
    return dict(np.load(golden / "motion.npz"))


def drive_golden(figures, clip, **options) -> np.ndarray:
    openness = options.pop("openness", None)
    return drive(
        read_source(figures),
        clip,
        clip[:1],
        Retargeting(**options),
        CorrectionNetworks(),
        groups=GROUPS,
        openness=openness,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region": "nose"}, "region is 'nose': choose one of all, expression"),
        ({"composition": "sum"}, "composition is 'sum': choose one of source"),
        ({"driving_option": "fast"}, "driving option is 'fast': choose one of"),
        (
            {"driving_multiplier": np.nan},
            "driving_multiplier is nan: it must be a finite",
        ),
        ({"composition": "original", "region": "eyes"}, "moves only lips"),
        ({"normalize_lips": True, "eye_retargeting": True}, "choose one of them"),
        ({"normalize_lips": True, "relative_motion": False}, "choose one of them"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Retargeting(**options)


def test_openness_that_is_not_known_is_named(figures):
    clip = read_driving(figures)
    with pytest.raises(ValueError, match="of the source's eyes and lips is not known"):
        drive_golden(figures, clip, normalize_lips=True)
    blind = replace(clip, eyes=None, lips=None)
    with pytest.raises(ValueError, match="how far the eyes open"):
        drive_golden(figures, blind, eye_retargeting=True, openness=OPEN)
    with pytest.raises(ValueError, match="how far the lips open"):
        drive_golden(figures, blind, lip_retargeting=True, openness=OPEN)


def test_expression_friendly_motion_starts_at_the_source(figures):
    clip = read_driving(figures)
    keypoints = drive_golden(figures, clip, driving_option="expression-friendly")
    np.testing.assert_allclose(keypoints[0], figures["x_s"][0], atol=1e-6)
    # A picture has no motion since its first frame, and is not scaled.
    picture = clip[2:3]
    friendly = drive_golden(figures, picture, driving_option="expression-friendly")
    assert_array_equal(friendly, drive_golden(figures, picture))


def test_twice_the_multiplier_is_twice_the_motion(figures):
    clip = read_driving(figures)
    once = drive_golden(figures, clip) - figures["x_s"]
    twice = drive_golden(figures, clip, driving_multiplier=2.0) - figures["x_s"]
    np.testing.assert_allclose(twice, 2 * once, atol=1e-6)


def test_strengths_scale_the_motion_since_rest(figures):
    clip = read_driving(figures)
    still = drive_golden(
        figures,
        clip,
        head_strength=0.0,
        eye_strength=0.0,
        lip_strength=0.0,
        expression_strength=0.0,
    )
    expected = np.broadcast_to(figures["x_s"], still.shape)
    np.testing.assert_allclose(still, expected, atol=1e-6)
    lips = list(GROUPS.lips)
    usual = drive_golden(figures, clip)
    weaker = drive_golden(figures, clip, lip_strength=0.5)
    moved = np.abs(weaker - usual).max(axis=(0, 2))
    assert (moved[lips] > 1e-5).all()
    assert (np.delete(moved, lips) < 1e-6).all()


def test_clips_of_several_chunks_are_those_of_one(figures):
    clip = read_driving(figures)
    order = np.arange(CHUNK + 5) % len(clip)
    options = {"driving_option": "expression-friendly"}
    long = drive_golden(figures, clip[list(order)], **options)
    assert_array_equal(long, drive_golden(figures, clip, **options)[order])


def test_the_ratio_of_heads_is_that_of_their_square_roots_of_volumes():
    cube = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T.astype(float)
    assert size_ratio(4 * cube, cube) == pytest.approx(8.0)


def test_a_head_that_does_not_move_is_not_smoothed():
    smoothing = Retargeting(head_smoothing=1.0)
    smoothing.check([], moves_head=True)
    with pytest.raises(
        ValueError, match="head_smoothing is 1, and this motion has only"
    ):
        smoothing.check([], moves_head=False)
    with pytest.raises(ValueError, match="head_smoothing is for pictures"):
        smoothing.check_source(is_video=True)
    with pytest.raises(
        ValueError, match=r"head_smoothing is 61\.0: it must be from 0 to"
    ):
        Retargeting(head_smoothing=61.0)


def test_the_composition_of_joyvasa_needs_a_head():
    composed = Retargeting("joyvasa")
    composed.check([], moves_head=True)
    with pytest.raises(ValueError, match='composition "joyvasa" moves the whole head'):
        composed.check([], moves_head=False)
    with pytest.raises(ValueError, match='composition "joyvasa" is for pictures'):
        composed.check_source(is_video=True)
