"""Division of parameters into those that are trained and those that stay fixed."""

import pytest

from train.engine.config import ConfigError
from train.engine.trainable import select, split

NAMES = [
    "audio_stem.conv.kernel",
    "joint_blocks.0.audio.qkv.kernel",
    "joint_blocks.0.motion.mlp.w1.kernel",
    "joint_blocks.1.motion.mlp.w1.kernel",
    "motion.bias",
    "motion_stem.conv.kernel",
]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        # The name of a network is all of it, and no other that begins alike.
        ("motion", ["motion.bias"]),
        ("motion.bias", ["motion.bias"]),
        ("joint_blocks.1", [NAMES[3]]),
        ("audio_stem.*", [NAMES[0]]),
        ("joint_blocks.*", NAMES[1:4]),
        ("joint_blocks.*.mlp", NAMES[2:4]),
        ("*.kernel", [*NAMES[:4], NAMES[5]]),
        ("joint_blocks.[1-9].*", [NAMES[3]]),
    ],
)
def test_a_pattern_selects_parameters_by_their_paths(pattern, matches):
    assert select(NAMES, (pattern,), "hold") == matches


def test_parameters_are_divided_into_trained_and_fixed_ones():
    params = dict.fromkeys(NAMES, 0)
    trained, fixed = split(params, ("audio_stem", "joint_blocks.0.*"))
    assert list(fixed) == NAMES[:3]
    assert list(trained) == NAMES[3:]
    assert split(params, ()) == (params, {})


def test_patterns_that_cannot_be_meant_are_refused():
    params = dict.fromkeys(NAMES, 0)
    with pytest.raises(
        ConfigError,
        match=r"hold names joint\.\*, which matches no parameter; their names begin with "
        "audio_stem, joint_blocks, motion, motion_stem",
    ):
        split(params, ("motion", "joint.*"))
    with pytest.raises(ConfigError, match=r"hold names \*, which are all parameters"):
        split(params, ("*",))
