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
from tests.train.frames import make_frames
from tests.train.runs import QUICK, World, weights_of
from train.engine.config import ConfigError, OptimizerConfig, apply, load_config
from train.engine.initial import by_path, initial_weights
from train.engine.run import RunOptions
from train.export import Options, export
from train.renderer.config import LossWeights, RendererConfig
from train.renderer.stage import check_sizes, fresh_leaves, open_renderer

TINY = """
image_size = 32
batch_size = 8
validation_batches = 1
scales = 2
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


def test_sizes_that_do_not_fit_are_named(tmp_path: Path):
    dataset = make_frames(tmp_path / "frames")
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    tiny = load_config(tmp_path / "tiny.toml", RendererConfig())
    with pytest.raises(
        ConfigError,
        match="image_size of 256 pixels cannot be had by halving the 32 pixels",
    ):
        check_sizes(RendererConfig(), dataset)
    with pytest.raises(
        ConfigError,
        match=r"losses\.focus is 4\.0, on focused landmarks, and focused names none",
    ):
        RendererConfig(losses=LossWeights(focus=4.0))
    for names in ({"guided": ((0, 4),)}, {"focused": (1, 4)}):
        with pytest.raises(
            ConfigError,
            match=rf"{next(iter(names))} names landmark 4, and .* has 4: leave it out",
        ):
            check_sizes(replace(tiny, **names), dataset)
    fine = replace(tiny, generator=replace(tiny.generator, upscale=2))
    with pytest.raises(
        ConfigError,
        match="the generator's pictures of 64 pixels cannot be had by halving the 32",
    ):
        check_sizes(fine, dataset)
    check_sizes(
        replace(fine, losses=LossWeights(0.0, adversarial=0.0, feature_matching=0.0)),
        dataset,
    )  # makes none
    unknown = make_frames(tmp_path / "unknown", points=0)
    with pytest.raises(
        ConfigError,
        match=r"losses\.correspondence needs landmarks, and .* has none: set it to 0",
    ):
        check_sizes(
            replace(tiny, guided=(), losses=LossWeights(correspondence=1.0)), unknown
        )
    for size in (0, 100):
        with pytest.raises(
            ConfigError,
            match=rf"image_size is {size}: .* halve it 7 times, so .* a multiple of 128",
        ):
            RendererConfig(image_size=size)
    for scales in (0, 11):
        with pytest.raises(
            ConfigError,
            match=rf"scales is {scales}: .* 512 pixels, so choose from 1 to 10",
        ):
            RendererConfig(scales=scales)
    with pytest.raises(
        ConfigError, match="clip_apart names iris; there are appearance, motion, "
    ):
        RendererConfig(optimizer=OptimizerConfig(clip_apart=("iris",)))
    with pytest.raises(
        ConfigError, match=r"guided holds \[6, 62, 1\]: expected 2 values"
    ):
        apply(tiny, {"guided": [[6, 62, 1]]}, "")
    with pytest.raises(FileNotFoundError, match=r"train\.frames"):
        open_renderer(
            RunOptions(tmp_path / "none", None, tmp_path / "run"), RendererConfig()
        )


def test_a_run_starts_from_the_networks_that_a_checkpoint_holds(tmp_path: Path):
    sizes = {"motion": MotionConfig((1,), (8,)), "generator": GeneratorConfig.tiny()}
    leaves = leaves_of(build(sizes["motion"], rngs=nnx.Rngs(0)))
    save_checkpoint(
        tmp_path / "motion",
        Contents(Crop(32), {"motion": sizes["motion"]}),
        {"motion": leaves},
    )
    found = initial_weights(tmp_path / "motion", sizes)
    assert found.keys() == {"motion"}
    assert by_path(found).keys() == {f"motion.{name}" for name in leaves}
    with pytest.raises(ConfigError, match="choose the options that agree"):
        initial_weights(tmp_path / "motion", {"motion": MotionConfig((2,), (8,))})
    with pytest.raises(ConfigError, match="holds none of generator"):
        initial_weights(tmp_path / "motion", {"generator": sizes["generator"]})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("renderer")
    make_frames(root / "frames")
    (root / "tiny.toml").write_text(TINY)
    return World(root)


def arguments(world: World, run: str, *more: str) -> list[str]:
    command = world.arguments(run)[:3]
    paths = [
        "--stage",
        "renderer",
        "--dataset-path",
        "frames",
        "--work-dir",
        run,
        "--config",
        "tiny.toml",
    ]
    return [*command, *paths, "--peak-tflops", "0.1", *more]


def finish(world: World, command: list[str], devices: int = 1) -> tuple[int, str, str]:
    return world.finish(
        command, flags=f"{QUICK} --xla_force_host_platform_device_count={devices}"
    )


@pytest.fixture(scope="module")
def whole(world: World) -> Path:
    """Updates that nothing interrupted, with pictures."""
    status, out, err = finish(world, arguments(world, "whole", "--steps", "40"))
    assert status == 0, err
    assert "step 40/40  loss " in out
    return world.root / "whole"


@pytest.mark.full
def test_a_killed_renderer_run_ends_as_one_that_was_not(world: World, whole: Path):
    command = arguments(world, "killed", "--steps", "40")
    process = world.start(command, flags=QUICK)
    while not (world.root / "killed/checkpoints/5").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    status, out, err = finish(world, command)
    assert status == 0, err
    assert "from step 0 " not in out
    ours, expected = (
        weights_of(folder)[0] for folder in (world.root / "killed", whole)
    )
    assert ours.keys() == expected.keys()
    assert "warping.flatten.norm.mean" in ours
    for name, leaf in expected.items():
        np.testing.assert_array_equal(ours[name], leaf, err_msg=name)


def test_a_renderer_run_becomes_a_checkpoint_to_start_from(world: World, whole: Path):
    with pytest.raises(CheckpointError, match=r"1\.5 belongs to a flow transformer"):
        export(Options(whole, world.root / "trained", cfg_scale=1.5))
    export(Options(whole, world.root / "trained", log_mel=80))
    checkpoint, trained = open_checkpoint(world.root / "trained"), weights_of(whole)[0]
    assert list(checkpoint.parts) == [
        "appearance",
        "motion",
        "warping",
        "generator",
        "log_mel",
    ]
    assert checkpoint.crop == Crop(32, 1.0)
    np.testing.assert_array_equal(
        checkpoint.leaves("generator")["stem.kernel"], trained["generator.stem.kernel"]
    )
    command = arguments(
        world, "tuned", "--steps", "1", "--init", "trained", "--learning-rate", "0"
    )
    status, _, err = finish(world, command)
    assert status == 0, err
    tuned = weights_of(world.root / "tuned")[0]
    np.testing.assert_allclose(
        tuned["generator.stem.kernel"], trained["generator.stem.kernel"], rtol=1e-6
    )


def test_without_a_loss_on_pictures_the_motion_extractor_learns_alone(
    world: World, whole: Path
):
    (world.root / "keypoints.toml").write_text(
        'base = "tiny.toml"\n[losses]\nreconstruction = 0.0\nadversarial = 0.0\nfeature_matching = 0.0\n'
    )
    status, _, err = finish(
        world,
        [*arguments(world, "keypoints", "--steps", "10"), "--config", "keypoints.toml"],
    )
    assert status == 0, err
    learnt, drawn, fresh = (
        weights_of(world.root / "keypoints")[0],
        weights_of(whole)[0],
        fresh_weights(world),
    )
    assert not np.array_equal(
        learnt["motion.expression.kernel"], fresh["motion.expression.kernel"]
    )
    np.testing.assert_allclose(
        learnt["generator.stem.kernel"], fresh["generator.stem.kernel"], rtol=1e-6
    )
    assert {
        name for name in drawn if not name.startswith("discriminator.")
    } == learnt.keys()


def test_landmarks_alone_teach_the_warping_network(world: World):
    (world.root / "warping.toml").write_text(
        'base = "tiny.toml"\n[losses]\nreconstruction = 0.0\nadversarial = 0.0\nfeature_matching = 0.0\n'
        'correspondence = 10.0\n[optimizer]\nhold = ["motion", "appearance"]\n'
    )
    status, _, err = finish(
        world,
        [*arguments(world, "warping", "--steps", "5"), "--config", "warping.toml"],
    )
    assert status == 0, err
    params, _ = fresh_leaves(load_config(world.root / "warping.toml", RendererConfig()))
    learnt = weights_of(world.root / "warping")[0]
    moved = {
        name
        for name, leaf in params.items()
        if not np.allclose(leaf, learnt[name], rtol=1e-5, atol=1e-7)
    }
    assert "warping.dense_motion.mask.kernel" in moved
    assert {name.split(".")[0] for name in moved} == {"warping"}


@pytest.mark.full
def test_eight_devices_train_a_renderer_as_one(world: World):
    runs = {
        name: finish(world, arguments(world, name, "--steps", "3"), devices)
        for name, devices in (("one", 1), ("eight", 8))
    }
    assert "on 8 device(s)" in runs["eight"][1], runs["eight"][2]
    one, eight = (losses(out) for _, out, _ in runs.values())
    np.testing.assert_allclose(eight, one, rtol=1e-4)
    ours, expected = (
        weights_of(world.root / run)[0]["warping.flatten.norm.mean"]
        for run in ("eight", "one")
    )
    np.testing.assert_allclose(
        ours, expected, atol=1e-3 * np.abs(expected).max()
    )  # means near 0 are no scale


def losses(out: str) -> list[float]:
    return [
        float(line.split("loss ")[1].split()[0])
        for line in out.splitlines()
        if " loss " in line
    ]


def fresh_weights(world: World) -> Mapping[str, np.ndarray]:
    params, _ = fresh_leaves(
        load_config(world.root / "keypoints.toml", RendererConfig())
    )
    return {name: np.asarray(leaf) for name, leaf in params.items()}
