"""A checkpoint of several drivers: one is named, or the only one is used."""

from dataclasses import replace
from pathlib import Path

import pytest

from infer.config import Options
from jaxportrait.animation import Retargeting
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    open_checkpoint,
    save_untrained,
)
from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.registry import load_driver
from jaxportrait.driving import DrivingMotion, DrivingSound
from jaxportrait.job import Networks
from jaxportrait.media.audio import Audio
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, neutral_frames


@pytest.fixture(scope="module")
def two_drivers(tmp_path_factory) -> Path:
    """A checkpoint of two flow drivers, of which one is guided less."""
    tiny = Contents.tiny()
    (driver,) = tiny.drivers.values()
    calm = replace(driver, config=replace(driver.config, cfg_scale=2.0))
    contents = replace(tiny, drivers={"lively": driver, "calm": calm})
    path = tmp_path_factory.mktemp("drivers") / "two"
    save_untrained(path, contents)
    return path


@pytest.fixture
def sound(voice) -> DrivingSound:
    return DrivingSound(Audio.from_samples(voice, 16_000))


def test_one_of_several_drivers_is_loaded_by_its_name(two_drivers):
    checkpoint = open_checkpoint(two_drivers)
    for name, cfg_scale in (("lively", 4.5), ("calm", 2.0)):
        driver = load_driver(checkpoint, name)
        assert isinstance(driver, FlowDriver)
        assert driver.guidance == cfg_scale


def test_several_drivers_are_not_chosen_from_by_chance(two_drivers, sound):
    message = "several drivers, lively, calm: choose the driver by its name"
    with pytest.raises(CheckpointError, match=message):
        Animator.from_checkpoint(two_drivers)
    with pytest.raises(CheckpointError, match=message):
        Networks(two_drivers).open(Retargeting(), sound)


def test_a_job_has_the_driver_that_it_names(two_drivers, sound):
    networks = Networks(two_drivers, driver="calm", detector="none")
    checkpoint = networks.open(Retargeting(), sound)
    config = networks.driver_config(checkpoint, sound)
    assert config is not None
    assert config == checkpoint.drivers["calm"].config
    animator = networks.load(checkpoint)
    assert isinstance(animator.driver, FlowDriver)
    assert animator.driver.guidance == 2.0
    assert networks.load(checkpoint, uses_driver=False).driver is None


def test_a_driver_that_is_not_there_is_named(two_drivers, tiny_checkpoint, sound):
    with pytest.raises(CheckpointError, match="no driver waltz"):
        Networks(two_drivers, driver="waltz").open(Retargeting(), sound)
    with pytest.raises(CheckpointError, match="holds no driver waltz"):
        Networks(tiny_checkpoint, driver="waltz").open(Retargeting(), sound)


def test_the_only_driver_needs_no_name(tiny_checkpoint, sound):
    networks = Networks(tiny_checkpoint)
    checkpoint = networks.open(Retargeting(), sound)
    assert networks.driver_config(checkpoint, sound) is not None


def test_a_driver_for_motion_that_needs_none_is_refused(two_drivers):
    clip = MotionClip.from_values(neutral_frames(3), MOTION_SPACES["face"], 25)
    driving = DrivingMotion(clip)
    with pytest.raises(ValueError, match="driver calm makes motion of sound, and"):
        Networks(two_drivers, driver="calm").open(Retargeting(), driving)
    # Without a name, nothing has to be chosen.
    assert Networks(two_drivers).open(Retargeting(), driving).drivers


def test_the_option_names_the_driver():
    options = Options()
    assert options.networks().driver == "auto"
    chosen = replace(options, input=replace(options.input, driver="calm"))
    assert chosen.networks().driver == "calm"
