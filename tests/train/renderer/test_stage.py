"""Renderer training as a user runs it."""

import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    Crop,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import KeypointGroups
from tests.train.frames import make_frames
from tests.train.runs import QUICK, World, losses, weights_of
from train.engine.config import ConfigError, OptimizerConfig, as_json
from train.engine.initial import by_path, initial_weights
from train.engine.toml import load_config
from train.export.write import Options, export
from train.renderer.config import LossWeights, RendererConfig
from train.renderer.stage import check_sizes, fresh_leaves, open_renderer

TINY = """
image_size = 32
batch_size = 8
validation_batches = 1
scales = 2
remat = "none"
guided = [[0, 1], [3, 2]]
[appearance]
base_channels = 4
max_channels = 8
volume_channels = 4
volume_depth = 4
residual_blocks = 1
[motion]
depths = [1]
widths = [8]
[warping]
volume_channels = 4
volume_depth = 4
features = 8
compressed_channels = 1
hourglass_channels = 4
hourglass_max_channels = 8
hourglass_blocks = 1
mask_kernel = 3
[generator]
features = 8
hidden = 4
output_channels = 8
upscale = 1
middle_blocks = 1
[discriminator]
channels = 4
layers = 1
[losses]
pose = 0.01
[optimizer]
learning_rate = 2e-3
warmup_steps = 0
[loop]
log_every = 1
validate_every = 5
save_every = 5
plot_every = 10
"""


GROUPS = {"eye_left": (1,), "lips_inner": (2,)}
"""Groups of the landmarks by which keypoints 0 and 3 are guided."""


@pytest.fixture
def tiny(tmp_path: Path) -> RendererConfig:
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    return load_config(tmp_path / "tiny.toml", RendererConfig())


def test_sizes_that_frames_cannot_be_halved_to_are_named(
    tmp_path: Path, tiny: RendererConfig
):
    dataset = make_frames(tmp_path / "frames")
    with pytest.raises(
        ConfigError,
        match="image_size of 256 pixels cannot be had by halving the 32 pixels",
    ):
        check_sizes(RendererConfig(), dataset)
    # M reads 32 pixels, and G makes 64.
    fine = replace(tiny, generator=replace(tiny.generator, upscale=2))
    with pytest.raises(
        ConfigError,
        match="the generator's pictures of 64 pixels cannot be had by halving the 32",
    ):
        check_sizes(fine, dataset)
    # Without a loss on pictures, the generator makes none.
    no_pictures = LossWeights(0.0, adversarial=0.0, feature_matching=0.0)
    check_sizes(replace(fine, losses=no_pictures), dataset)


def test_landmarks_that_frames_lack_are_named(tmp_path: Path, tiny: RendererConfig):
    dataset = make_frames(tmp_path / "frames")
    for name, landmarks in (("guided", ((0, 4),)), ("focused", (1, 4))):
        with pytest.raises(
            ConfigError, match=rf"{name} names landmark 4, and .* has 4: leave it out"
        ):
            check_sizes(replace(tiny, **{name: landmarks}), dataset)
    without = make_frames(tmp_path / "without", points=0)
    losses = LossWeights(correspondence=1.0)
    with pytest.raises(
        ConfigError,
        match=r"losses\.correspondence needs landmarks, and .* has none: set it to 0",
    ):
        check_sizes(replace(tiny, guided=(), losses=losses), without)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"losses": LossWeights(focus=4.0)},
            r"losses\.focus is 4\.0, on focused landmarks, and focused names none",
        ),
        (
            {"image_size": 100},
            r"image_size is 100: .* halve it 7 times, so .* a multiple of 128",
        ),
        ({"scales": 11}, "scales is 11: .* 512 pixels, so choose from 1 to 10"),
        (
            {"optimizer": OptimizerConfig(clip_apart=("iris",))},
            "clip_apart names the network iris; the networks here: appearance, motion, ",
        ),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        RendererConfig(**options)


def test_a_missing_data_set_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"train\.frames"):
        open_renderer(RendererConfig(), tmp_path / "none")


def test_a_run_names_the_keypoints_that_its_losses_guide(
    tmp_path: Path, tiny: RendererConfig
):
    path = make_frames(tmp_path / "frames", groups=GROUPS).path
    guided = open_renderer(tiny, path).run["keypoints"]
    assert guided == {"eyes": [0], "brows": [], "lips": [3]}
    losses = replace(tiny.losses, landmarks=0.0)
    unguided = open_renderer(replace(tiny, losses=losses), path).run["keypoints"]
    assert unguided == as_json(KeypointGroups())


def test_a_run_starts_from_the_networks_that_a_checkpoint_holds(tmp_path: Path):
    sizes = {"motion": MotionConfig((1,), (8,)), "generator": GeneratorConfig.tiny()}
    leaves = leaves_of(build(sizes["motion"], rngs=nnx.Rngs(0)))
    contents = Contents(Crop(32), {"motion": sizes["motion"]})
    save_checkpoint(tmp_path / "motion", contents, {"motion": leaves})
    weights = initial_weights(tmp_path / "motion", sizes)
    assert weights.keys() == {"motion"}
    assert by_path(weights).keys() == {f"motion.{name}" for name in leaves}
    with pytest.raises(ConfigError, match="choose the options that agree"):
        initial_weights(tmp_path / "motion", {"motion": MotionConfig((2,), (8,))})
    with pytest.raises(ConfigError, match="holds none of generator"):
        initial_weights(tmp_path / "motion", {"generator": sizes["generator"]})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("renderer")
    make_frames(root / "frames", groups=GROUPS)
    (root / "tiny.toml").write_text(TINY)
    return World(root)


def arguments(world: World, run: str, *options: str) -> list[str]:
    """Return a command line of the stage."""
    paths = "--stage renderer --dataset-path frames --config tiny.toml"
    return world.command(run, *paths.split(), *options)


def finish(world: World, command: list[str], devices: int = 1) -> str:
    """Return the output of a program that succeeds."""
    flags = f"{QUICK} --xla_force_host_platform_device_count={devices}"
    status, output, errors = world.finish(command, flags=flags)
    assert status == 0, errors
    return output


@pytest.fixture(scope="module")
def whole(world: World) -> Path:
    """Updates that nothing interrupted, with pictures."""
    output = finish(world, arguments(world, "whole", "--steps", "40"))
    assert "step 40/40  loss " in output
    return world.root / "whole"


@pytest.mark.full
def test_a_killed_renderer_run_ends_as_one_that_was_not(world: World, whole: Path):
    command = arguments(world, "killed", "--steps", "40")
    # Killed as soon as there is a checkpoint.
    process = world.start(command, flags=QUICK)
    while not (world.root / "killed/checkpoints/5").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "from step 0 " not in finish(world, command)
    weights, _ = weights_of(world.root / "killed")
    expected, _ = weights_of(whole)
    assert weights.keys() == expected.keys()
    assert "warping.flatten.norm.mean" in weights
    for name, leaf in expected.items():
        np.testing.assert_array_equal(weights[name], leaf, err_msg=name)


def test_a_renderer_run_becomes_a_checkpoint_to_start_from(world: World, whole: Path):
    with pytest.raises(
        CheckpointError, match=r"1\.5 belongs to a driver, and there is no flow"
    ):
        export(Options(whole, world.root / "trained", cfg_scale=1.5))
    export(Options(whole, world.root / "trained", log_mel=80))
    checkpoint = open_checkpoint(world.root / "trained")
    renderer = ["appearance", "motion", "warping", "generator"]
    assert list(checkpoint.parts) == [*renderer, "log_mel"]
    assert checkpoint.crop == Crop(32, 1.0, "haar")
    assert checkpoint.keypoints == KeypointGroups((0,), (), (3,))
    # Exported weights are the averaged ones.
    kernel = weights_of(whole)[0]["generator.stem.kernel"]
    exported = checkpoint.leaves("generator")["stem.kernel"]
    np.testing.assert_array_equal(exported, kernel)
    # The same program as before, which is compiled; fresh weights would be others.
    options = ["--steps", "1", "--init", "trained", "--seed", "1"]
    finish(world, arguments(world, "tuned", *options))
    tuned, _ = weights_of(world.root / "tuned")
    # One update moves a weight by the learning rate at most, and decay by less.
    moves = np.abs(tuned["generator.stem.kernel"] - kernel)
    assert 0 < moves.max() < 2.2e-3
    assert np.abs(kernel).max() > 0.05


NO_PICTURES = """
base = "tiny.toml"
[losses]
reconstruction = 0.0
adversarial = 0.0
feature_matching = 0.0
"""
ONLY_WARPING = f"""{NO_PICTURES}
correspondence = 10.0
[optimizer]
hold = ["motion", "appearance"]
"""


def fresh_weights(config: Path) -> Mapping[str, np.ndarray]:
    params, _ = fresh_leaves(load_config(config, RendererConfig()))
    return {name: np.asarray(leaf) for name, leaf in params.items()}


def test_without_a_loss_on_pictures_only_the_motion_extractor_learns(
    world: World, whole: Path
):
    config = world.root / "keypoints.toml"
    config.write_text(NO_PICTURES)
    options = ["--steps", "10", "--config", str(config)]
    finish(world, arguments(world, "keypoints", *options))
    # The generator has neither a gradient nor weight decay.
    learnt, _ = weights_of(world.root / "keypoints")
    fresh = fresh_weights(config)
    expression, stem = "motion.expression.kernel", "generator.stem.kernel"
    assert not np.array_equal(learnt[expression], fresh[expression])
    np.testing.assert_allclose(learnt[stem], fresh[stem], rtol=1e-6)
    # Such a run has no discriminator.
    names = weights_of(whole)[0].keys()
    rest = {name for name in names if not name.startswith("discriminator.")}
    assert rest == learnt.keys()


def test_landmarks_are_enough_to_teach_the_warping_network(world: World):
    config = world.root / "warping.toml"
    config.write_text(ONLY_WARPING)
    options = ["--steps", "5", "--config", str(config)]
    finish(world, arguments(world, "warping", *options))
    learnt, _ = weights_of(world.root / "warping")
    changed = set()
    for name, leaf in fresh_weights(config).items():
        if not np.allclose(leaf, learnt[name], rtol=1e-5, atol=1e-7):
            changed.add(name)
    assert "warping.dense_motion.mask.kernel" in changed
    assert {name.split(".")[0] for name in changed} == {"warping"}


@pytest.mark.full
def test_eight_devices_train_a_renderer_as_one(world: World):
    one = finish(world, arguments(world, "one", "--steps", "3"), devices=1)
    eight = finish(world, arguments(world, "eight", "--steps", "3"), devices=8)
    assert "on 8 device(s)" in eight
    np.testing.assert_allclose(losses(eight), losses(one), rtol=1e-4)
    name = "warping.flatten.norm.mean"
    mean = weights_of(world.root / "eight")[0][name]
    expected = weights_of(world.root / "one")[0][name]
    # Means near 0 are no scale.
    bound = 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(mean, expected, atol=bound)
