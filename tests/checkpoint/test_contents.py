"""Drivers that fit their parts."""

import numpy as np
import pytest

from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    DriverEntry,
    untrained_statistics,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import abstract
from jaxportrait.motion.space import MotionStatistics
from tests.checkpoint.contents import FLOW, STATISTICS, TRANSFORMER

# Features of 4 mel bins have 8 values, as many as the transformer reads.
PARTS = {"flow_transformer": TRANSFORMER, "sound": LogMelConfig(4)}
SHORT = MotionStatistics(np.zeros(17, np.float32), np.ones(17, np.float32))


@pytest.mark.parametrize(
    ("parts", "driver", "message"),
    [
        ({}, FLOW, "names the flow transformer flow_transformer, which is not among"),
        (PARTS, DriverEntry(FLOW.config), "needs the mean and deviation of its motion"),
        (
            PARTS,
            DriverEntry(FlowDriverConfig(space="face"), STATISTICS),
            "makes 18 values a frame, the motion space face has 70",
        ),
        (PARTS, DriverEntry(FLOW.config, SHORT), "and the statistics 17"),
        (
            {**PARTS, "sound": LogMelConfig(10)},
            DriverEntry(FlowDriverConfig("sound"), STATISTICS),
            "features of 20 values and the flow transformer reads 8",
        ),
        (
            PARTS,
            DriverEntry(FlowDriverConfig(fps=25.0), STATISTICS),
            "fps is 25, and 30 frames last as long as 50 features, 50 a second: it must be 30",
        ),
    ],
)
def test_a_driver_that_does_not_fit_is_named(parts, driver, message):
    with pytest.raises(CheckpointError, match=f"^driver song: .*{message}"):
        Contents(parts=parts, drivers={"song": driver})


def test_the_audio_encoder_may_be_elsewhere():
    contents = Contents(parts=PARTS, drivers={"song": FLOW})
    assert contents.with_role("audio features") == ["sound"]
    assert contents.with_role("driver") == ["flow_transformer"]
    # It names an encoder that is not among the parts.
    assert contents.drivers["song"].config.features == "whisper"


def test_untrained_motion_has_statistics_as_wide_as_itself():
    statistics = untrained_statistics("face")
    assert np.shape(statistics.mean) == np.shape(statistics.std) == (70,)
    assert np.all(np.asarray(statistics.std) > 0)


@pytest.mark.parametrize("contents", [Contents.tiny(), Contents.full()])
def test_presets_are_whole_portraits(contents):
    assert contents.with_role("renderer") == [
        "appearance",
        "motion",
        "warping",
        "generator",
    ]
    assert contents.drivers["flow"].config == FlowDriverConfig()
    # Every config is one that its network can be built from.
    for config in contents.parts.values():
        abstract(config)
