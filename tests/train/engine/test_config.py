from dataclasses import asdict, replace
from pathlib import Path

import pytest

from train.__main__ import parse
from train.engine.config import (
    ConfigError,
    LoopConfig,
    OptimizerConfig,
    differences,
    load_config,
)
from train.flow.config import FlowConfig, TransformerSize

CONFIGS = Path(__file__).parents[3] / "configs"
REQUIRED = ["--dataset-path", "D", "--checkpoint", "C", "--work-dir", "R"]


def test_the_published_recipe_is_what_its_page_says():
    config = load_config(CONFIGS / "mead_lip.toml", FlowConfig())
    assert (config.motion_space, config.export_weights, config.batch_size) == (
        "lip",
        "raw",
        64,
    )
    assert config.optimizer == OptimizerConfig(
        1e-4, 1000, (24_000, 27_000), 0.1, 0.9, 0.95, 1e-8, 1e-6, 1.0, 0.9999
    )
    assert (config.loop.steps, config.condition_dropout) == (30_000, 0.1)
    assert config.transformer == TransformerSize(896, 14, 4, 8)


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem
)
def test_every_preset_loads_and_begins_with_its_command(path: Path):
    command, line = (
        "# python -m train ",
        path.read_text(encoding="utf-8").splitlines()[0],
    )
    assert line.startswith(command)
    options = parse(
        line.removeprefix(command).replace("configs/", f"{CONFIGS}/").split()
    )
    assert options.config == path


def test_the_command_line_wins_over_the_file(tmp_path: Path):
    file = tmp_path / "a.toml"
    file.write_text(
        "batch_size = 8\naccumulation = 2\n[loop]\nsteps = 7\n[optimizer]\ndrop_steps = [3, 5]\n"
    )
    training = parse([*REQUIRED, "--config", str(file), "--steps", "9"]).training
    assert (training.batch_size, training.accumulation, training.loop.steps) == (
        8,
        2,
        9,
    )
    assert training.optimizer.drop_steps == (3, 5)


def test_an_option_may_need_the_file():
    """Focus and contrast mean nothing over the defaults, which name no landmarks."""
    arguments = [
        *REQUIRED,
        "--stage",
        "renderer",
        "--config",
        str(CONFIGS / "demo_renderer.toml"),
    ]
    training = parse([*arguments, "--losses.focus", "4", "--contrast", "0.5"]).training
    assert (training.losses.focus, training.contrast, training.image_size) == (
        4.0,
        0.5,
        128,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize = 8", "no option batchsize"),
        ("batch_size = '8'", "expected int"),
        ("dtype = 'float16'", "expected float32, bfloat16"),
        ("[loop]\nsteps = 0", "steps is 0"),
        (
            "[loop]\nsave_every = 30\nvalidate_every = 20",
            "no multiple of validate_every",
        ),
        ("accumulation = 7", "cannot be cut into 7"),
        ("condition_dropout = 1.0", "a probability below 1"),
        ("= 3", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str):
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(file, FlowConfig())


def test_a_file_goes_on_from_its_base(tmp_path: Path):
    (tmp_path / "a.toml").write_text("seed = 3\n[loop]\nsteps = 40\nlog_every = 20")
    (tmp_path / "b.toml").write_text('base = "a.toml"\n[loop]\nsteps = 80')
    config = load_config(tmp_path / "b.toml", FlowConfig())
    assert (config.seed, config.loop.steps, config.loop.log_every) == (3, 80, 20)


def test_a_base_that_leads_back_is_named(tmp_path: Path):
    (tmp_path / "a.toml").write_text('base = "b.toml"')
    (tmp_path / "b.toml").write_text('base = "a.toml"')
    with pytest.raises(ConfigError, match=r"a\.toml is its own base"):
        load_config(tmp_path / "a.toml", FlowConfig())


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"a\.toml"):
        load_config(tmp_path / "a.toml", FlowConfig())


def test_differences_show_what_a_resumed_run_must_not_change():
    config = FlowConfig()
    other = replace(
        config,
        seed=3,
        fsdp=2,
        loop=LoopConfig(steps=5),
        optimizer=replace(config.optimizer, beta1=0.8),
    )
    assert differences(asdict(config), config) == []
    assert differences(asdict(config), other) == [
        "seed: the run has 0, now 3",
        "beta1: the run has 0.9, now 0.8",
    ]
