"""The denoiser as a stage: a run, its continuation, and the driver that it makes."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.diffusion import DiffusionDriver
from jaxportrait.drivers.registry import load_driver
from jaxportrait.media.audio import Audio
from tests.inputs import babble
from tests.train.runs import QUICK, World, losses, weights_of
from train.export import Options, export

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


def test_an_encoder_that_is_missing_is_named(world: World):
    status, _, errors = train(world, "deaf", *SIZES, "--encoder", "frozen")
    assert status == 2
    assert "holds no hubert" in errors
