"""A run that starts from a checkpoint: its statistics, its loss, and its notes."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from tests.train.flow.worlds import CONFIG, FlowWorld, first_loss
from tests.train.runs import weights_of
from train.data.dataset import open_dataset
from train.data.mixture import mix
from train.engine.config import ConfigError
from train.engine.initial import StatisticsSource
from train.engine.run import check_statistics
from train.flow.config import TransformerSize
from train.flow.stage import complete_config, mean_distance

pytestmark = pytest.mark.usefixtures("optax_promotion")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> FlowWorld:
    return FlowWorld.make(tmp_path_factory.mktemp("initial"))


def test_a_run_begins_with_the_loss_of_the_checkpoint(world: FlowWorld):
    # The same validation clips, by the statistics that the checkpoint was trained with.
    before = first_loss(world.open("first", "data"))
    assert first_loss(world.open("second")) == before
    assert first_loss(world.open("second", "init")) == before
    # The other data set's statistics are not those that the network knows.
    assert first_loss(world.open("second", "data")) != before


def test_a_run_keeps_the_statistics_of_the_checkpoint(world: FlowWorld):
    config = replace(CONFIG, loop=replace(CONFIG.loop, steps=1))
    stage = world.open(config=config)
    _, saved = weights_of(world.train("kept", stage))
    assert saved is not None
    np.testing.assert_array_equal(saved.mean, world.statistics.mean)
    np.testing.assert_array_equal(saved.std, world.statistics.std)
    # Only a stage of the same statistics resumes it.
    check_statistics(saved, stage)
    with pytest.raises(ConfigError, match=r"other statistics of motion .*--statistics"):
        check_statistics(saved, world.open(source="data"))


def test_a_choice_without_a_checkpoint_to_start_from_is_refused(world: FlowWorld):
    with pytest.raises(
        ConfigError, match=r"--statistics data chooses .*--init is miss"
    ):
        world.open_fresh(source="data")


def test_sizes_and_space_are_those_of_the_checkpoint(world: FlowWorld):
    config = replace(CONFIG, transformer=TransformerSize())
    stage = world.open(config=config)
    assert stage.config.transformer == CONFIG.transformer
    assert stage.config.motion_space == "lip"
    # Sizes and spaces that the options name are not replaced.
    with pytest.raises(ConfigError, match="width is 16 there, and 32 here: choose the"):
        world.open(config=replace(CONFIG, transformer=TransformerSize(32, 2, 1, 1)))
    with pytest.raises(ConfigError, match="choose the motion space lip"):
        world.open(config=replace(CONFIG, motion_space="face"))


def notes(world: FlowWorld, source: StatisticsSource) -> str:
    output = StringIO()
    world.open("second", source, console=Console(file=output, width=1000))
    return output.getvalue()


def test_motion_far_from_the_checkpoint_is_noted(world: FlowWorld, monkeypatch):
    # The means of both data sets are less than a deviation apart.
    assert notes(world, "init") == notes(world, "data") == ""
    monkeypatch.setattr("train.flow.stage.FAR", 0.0)
    assert "has to learn that first\n" in notes(world, "init")
    assert "first, which `--statistics init` avoids\n" in notes(world, "data")


def test_the_distance_of_means_is_in_deviations_of_the_statistics(world: FlowWorld):
    dataset = open_dataset(world.root / "second")
    unit = dataset.statistics("lip")
    # The last value lies three deviations of 0.5 from the data set's mean.
    mean = np.array(unit.mean)
    mean[-1] += 1.5
    unit = replace(unit, std=np.full_like(mean, 0.5))
    distance = mean_distance(dataset, "lip", replace(unit, mean=mean), unit)
    assert distance == pytest.approx(3, abs=1e-6)


def test_data_sets_of_several_spaces_need_a_choice(world: FlowWorld):
    first = open_dataset(world.root / "first")
    both = mix([first, replace(first, motion_space="face")])
    with pytest.raises(ConfigError, match="spaces face and lip: choose one"):
        complete_config(CONFIG, both, None)
    chosen = replace(CONFIG, motion_space="lip")
    assert complete_config(chosen, both, None).motion_space == "lip"
