"""The denoiser as a stage: a run, its continuation, and the driver that it makes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxportrait.checkpoint import CheckpointError, open_checkpoint, save_checkpoint
from jaxportrait.drivers.diffusion import DiffusionDriver
from jaxportrait.drivers.registry import load_driver
from jaxportrait.media.audio import Audio
from jaxportrait.models.log_mel import LogMelConfig
from tests.inputs import babble
from tests.train.runs import QUICK, World, losses, make_dataset, weights_of
from train.data.dataset import network_identity
from train.diffusion.config import DiffusionConfig
from train.diffusion.stage import open_diffusion
from train.engine.config import ConfigError
from train.export.write import Options, export

SIZES = [
    "--denoiser.width", "16", "--denoiser.heads", "2", "--denoiser.blocks", "1",
    "--denoiser.frames", "20", "--denoiser.earlier-frames", "4",
    "--denoiser.diffusion-steps", "6",
]  # fmt: skip
INTERVALS = ["--save-every", "2", "--validate-every", "2", "--log-every", "1"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("diffusion"))


def train(world: World, run: str, *options: str) -> tuple[int, str, str]:
    paths = ["--dataset-path", "clips", "--checkpoint", "base"]
    common = ["--stage", "diffusion", "--batch-size", "4", *paths, *INTERVALS]
    command = world.command(run, *common, *options)
    return world.finish(command, flags=QUICK)


@pytest.fixture(scope="module")
def run(world: World) -> Path:
    status, output, errors = train(world, "whole", *SIZES, "--steps", "4")
    assert status == 0, errors
    # Four updates, and two validations.
    assert len(losses(output)) == 6
    return world.root / "whole"


def test_a_run_in_two_parts_is_the_run_as_a_whole(world: World, run: Path):
    for steps in ("2", "4"):
        status, _, errors = train(world, "parts", *SIZES, "--steps", steps)
        assert status == 0, errors
    whole, _ = weights_of(run)
    parts, _ = weights_of(world.root / "parts")
    for name, leaf in whole.items():
        np.testing.assert_array_equal(parts[name], leaf, err_msg=name)


def test_a_trained_denoiser_drives_and_is_trained_further(world: World, run: Path):
    path = world.root / "trained"
    summary = export(Options(run, path, checkpoint=world.root / "base"))
    assert "motion_diffusion" not in summary.split("with ")[1]
    driver = load_driver(open_checkpoint(path))
    assert isinstance(driver, DiffusionDriver)
    assert driver.sizes.positions == "sequence"
    clip = driver.make(Audio.from_samples(babble(1.5), 16_000), seed=0)
    assert len(clip) == 38
    assert np.isfinite(clip.expression).all()
    # The sizes are those of the checkpoint.
    status, _, errors = train(world, "further", "--init", "trained", "--steps", "1")
    assert status == 0, errors
    status, _, errors = train(
        world, "other", "--init", "trained", "--denoiser.width", "32", "--steps", "1"
    )
    assert status == 2
    assert "leave out the sizes" in errors


def test_motion_is_normalised_as_before_or_by_the_new_data(world: World, run: Path):
    path, base = world.root / "normalised", world.root / "base"
    export(Options(run, path, checkpoint=base))
    identity = network_identity(open_checkpoint(base), "whisper")
    other = make_dataset(world.root / "other_clips", identity, train=2)
    before = open_checkpoint(path).driver("diffusion").statistics
    config = DiffusionConfig()
    for source, expected in {
        None: before,
        "init": before,
        "data": other.statistics("face"),
    }.items():
        stage = open_diffusion(config, lambda: other, base, path, source)
        assert expected is not None
        np.testing.assert_array_equal(stage.statistics.mean, expected.mean)
    with pytest.raises(ConfigError, match="--statistics init chooses between those"):
        open_diffusion(config, lambda: other, base, None, "init")


def test_of_several_encoders_the_one_that_made_the_features_is_exported(
    world: World, run: Path
):
    base = open_checkpoint(world.root / "base")
    parts = {"log_mel": LogMelConfig(4), **base.parts}
    leaves = {"log_mel": {}, "whisper": base.leaves("whisper")}
    both = world.root / "both"
    save_checkpoint(both, replace(base.contents, parts=parts), leaves)
    path = world.root / "chosen"
    export(Options(run, path, checkpoint=both))
    assert open_checkpoint(path).driver("diffusion").config.features == "whisper"
    # Others have neither made them nor are the only one.
    others = {"log_mel": LogMelConfig(4), "second": LogMelConfig(8)}
    other = world.root / "other_encoders"
    contents = replace(base.contents, parts=others)
    save_checkpoint(other, contents, {name: {} for name in others})
    with pytest.raises(CheckpointError, match="log_mel and second: pass a --check"):
        export(Options(run, world.root / "none", checkpoint=other))


def test_an_encoder_that_is_missing_is_named(world: World):
    status, _, errors = train(world, "deaf", *SIZES, "--encoder", "frozen")
    assert status == 2
    assert "holds no hubert" in errors
