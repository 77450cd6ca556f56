"""Groups of keypoints that a renderer run names."""

from pathlib import Path

import pytest

from jaxportrait.checkpoint import Checkpoint, Contents
from jaxportrait.checkpoint.description import FORMAT_1_KEYPOINTS
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.warping import WarpingConfig
from jaxportrait.motion.space import KeypointGroups
from train.data.landmarks import group_points
from train.engine.toml import load_config
from train.renderer.config import RendererConfig
from train.renderer.keypoints import keypoint_groups
from train.synthetic.landmarks import GROUP_NAMES

CONFIG = Path(__file__).parents[3] / "configs/demo_renderer.toml"
GUIDED = ((4, 0), (9, 1), (2, 2), (7, 3))
LANDMARKS = {"lips_outer": (0, 1), "iris_right": (2,), "nose_base": (3,)}
OTHER = KeypointGroups(eyes=(1,), brows=(2,), lips=(3,))


def checkpoint_of(part: str, config: MotionConfig | WarpingConfig) -> Checkpoint:
    return Checkpoint(Path(), Contents(parts={part: config}, keypoints=OTHER))


MOTION = checkpoint_of("motion", MotionConfig.tiny())
WARPING = checkpoint_of("warping", WarpingConfig.tiny())


def test_the_demo_renderer_has_the_keypoints_that_format_1_implied():
    config = load_config(CONFIG, RendererConfig())
    groups = keypoint_groups(config.guided, group_points(GROUP_NAMES))
    assert groups == FORMAT_1_KEYPOINTS


def test_guided_keypoints_have_the_meanings_of_their_landmarks():
    # No keypoint lies on a brow, and a nose is in no group.
    expected = KeypointGroups(eyes=(2,), brows=(), lips=(4, 9))
    assert keypoint_groups(GUIDED, LANDMARKS) == expected


@pytest.mark.parametrize(
    ("guided", "landmarks", "default"),
    [
        ((), LANDMARKS, KeypointGroups()),
        (((7, 3),), LANDMARKS, KeypointGroups()),
        # As a data set of format 1 has them.
        (GUIDED, {}, FORMAT_1_KEYPOINTS),
    ],
    ids=["not guided", "guided elsewhere", "unknown landmarks"],
)
def test_other_keypoints_are_those_of_the_other_parts(guided, landmarks, default):
    assert keypoint_groups(guided, landmarks) == default
    assert keypoint_groups(guided, landmarks, rest=MOTION) == OTHER


def test_a_motion_extractor_from_a_checkpoint_keeps_its_groups():
    assert keypoint_groups(GUIDED, LANDMARKS, init=MOTION) == OTHER
    # This one has no extractor, so that the run begins a new one.
    groups = keypoint_groups(GUIDED, LANDMARKS, init=WARPING, rest=MOTION)
    assert groups == keypoint_groups(GUIDED, LANDMARKS)
