"""Options: TOML files, the command line over them, and differences of a resumed
run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jaxportrait.ranges import OptionError
from train.command import parse
from train.engine.config import (
    ConfigError,
    LoopConfig,
    OptimizerConfig,
    as_json,
    differences,
    keep_saved,
    read_saved,
)
from train.engine.toml import apply, find_config, load_config
from train.flow.config import FlowConfig, TransformerSize
from train.renderer.config import RendererConfig

CONFIGS = Path(__file__).parents[3] / "configs"
REQUIRED = ["--dataset-path", "D", "--checkpoint", "C", "--work-dir", "R"]


def test_the_published_recipe_is_what_its_page_says():
    config = load_config(CONFIGS / "mead_lip.toml", FlowConfig())
    assert config.motion_space == "lip"
    assert config.export_weights == "raw"
    assert config.batch_size == 64
    # The defaults, spelled out; PyTorch counts its drops after the warm-up.
    assert config.optimizer == OptimizerConfig(
        learning_rate=1e-4,
        schedule="steps",
        warmup_steps=1000,
        drop_steps=(25_000, 28_000),
        drop_factor=0.1,
        length=30_000,
        beta1=0.9,
        beta2=0.95,
        epsilon=1e-8,
        weight_decay=1e-6,
        clip_norm=1.0,
        ema_decay=0.9999,
    )
    assert config.loop.steps == 30_000
    assert config.condition_dropout == 0.1
    assert config.transformer == TransformerSize(896, 14, 4, 8)


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem
)
def test_every_preset_loads_and_begins_with_its_command(path: Path):
    command = "# python -m train "
    line = path.read_text(encoding="utf-8").splitlines()[0]
    assert line.startswith(command)
    # Commands name presets from the repository's root.
    arguments = line.removeprefix(command).replace("configs/", f"{CONFIGS}/")
    assert parse(arguments.split()).input.config == path


@pytest.mark.parametrize("name", ["debug", "debug.toml", "configs/debug.toml"])
def test_a_preset_is_found_by_its_name_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(Path(name)) == CONFIGS / "debug.toml"
    # A file of the user's wins over a preset of that name.
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert find_config(Path(name)) == Path(name)


@pytest.mark.parametrize("name", ["mead", "debug.txt", "other/debug.toml"])
def test_a_name_of_no_preset_is_answered_with_those_that_there_are(name):
    with pytest.raises(FileNotFoundError, match=r"no configuration at .*: .*debug, "):
        find_config(Path(name))


def test_the_command_line_overrides_the_file(tmp_path: Path):
    file = tmp_path / "a.toml"
    file.write_text(
        "batch_size = 8\naccumulation = 2\n[loop]\nsteps = 7\n"
        "[optimizer]\ndrop_steps = [3, 5]\n"
    )
    training = parse([*REQUIRED, "--config", str(file), "--steps", "9"]).training
    assert training.batch_size == 8
    assert training.accumulation == 2
    assert training.loop.steps == 9
    assert training.optimizer.drop_steps == (3, 5)


@pytest.fixture
def old_run(tmp_path: Path) -> list[str]:
    """Required words of a run that an earlier version has saved."""
    optimizer = OptimizerConfig(drop_steps=(24_000, 27_000))
    saved = FlowConfig(optimizer=optimizer, loop=LoopConfig(steps=7))
    folder = tmp_path / "run" / "checkpoints" / "5" / "run"
    folder.mkdir(parents=True)
    run = {"stage": "flow", "config": as_json(saved)}
    (folder / "metadata").write_text(json.dumps(run))
    return [*REQUIRED, "--work-dir", str(tmp_path / "run")]


@pytest.mark.parametrize("preset", ["mead_lip", "configs/mead_lip.toml"])
def test_a_preset_that_has_changed_leaves_a_resumed_run_as_it_is(
    preset: str, old_run, monkeypatch
):
    # The clone's root, where the second name is that of a file.
    monkeypatch.chdir(CONFIGS.parent)
    options = ["--config", preset]
    training = parse([*old_run, *options]).training
    assert training.dtype == "float32"
    assert training.accumulation == 4
    assert training.optimizer.drop_steps == (24_000, 27_000)
    # Its length may change, and what the user names is what counts.
    assert training.loop.steps == 30_000
    training = parse([*old_run, *options, "--dtype", "bfloat16"]).training
    assert training.dtype == "bfloat16"
    # A new run has the preset's values.
    training = parse([*REQUIRED, *options]).training
    assert (training.dtype, training.accumulation) == ("bfloat16", 1)


def test_a_file_of_the_users_is_not_passed_over_by_a_resumed_run(old_run, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("seed = 3\n")
    assert parse([*old_run, "--config", str(file)]).training.seed == 3


def test_an_option_may_need_the_file():
    """Focus and contrast mean nothing over the defaults, which name no landmarks."""
    file = str(CONFIGS / "demo_renderer.toml")
    arguments = [*REQUIRED, "--stage", "renderer", "--config", file]
    training = parse([*arguments, "--losses.focus", "4", "--contrast", "0.5"]).training
    assert training.losses.focus == 4.0
    assert training.contrast == 0.5
    assert training.image_size == 128


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize = 8", "no option batchsize; the options here are batch_size, "),
        ("[loop]\nstep = 8", r"\[loop\]: no option step; the options here are steps, "),
        ("batch_size = '8'", "batch_size is '8': expected `int`"),
        ("batch_size = true", "batch_size is True: expected `int`"),
        ("loop = 3", "loop is 3: expected"),
        ("base = 3", "base is 3: expected a file's name"),
        ("[loop]\nsteps = 0.5", r"loop\.steps is 0\.5: expected `int`"),
        ("[optimizer]\ndrop_steps = [1, 'x']", r"optimizer\.drop_steps\[1\] is 'x'"),
        ("dtype = 'float16'", "dtype is 'float16': expected float32, bfloat16"),
        ("motion_space = 'eyes'", "motion_space is 'eyes': expected lip, face"),
        ("[loop]\nsteps = 0", "steps is 0"),
        (
            "[loop]\nsave_every = 30\nvalidate_every = 20",
            "no multiple of validate_every",
        ),
        ("accumulation = 7", "cannot be cut into 7"),
        ("= 3", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, message: str):
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(file, FlowConfig())
    assert str(caught.value).startswith(str(file))


def test_a_table_replaces_only_the_options_that_it_names():
    config = apply(RendererConfig(), {"optimizer": {"warmup_steps": 3}}, "a.toml")
    optimizer = replace(RendererConfig().optimizer, warmup_steps=3)
    assert config == replace(RendererConfig(), optimizer=optimizer)
    # A whole number is a float where one is expected.
    whole = apply(RendererConfig(), {"scales": 2, "color_jitter": 0}, "a.toml")
    assert isinstance(whole.color_jitter, float)


def test_a_tuple_of_another_length_is_named():
    with pytest.raises(
        ConfigError,
        match=r"guided\[0\] is \[6, 62, 1\]: expected `array` of length 2, got 3",
    ):
        apply(RendererConfig(), {"guided": [[6, 62, 1]]}, "a.toml")


def test_a_file_starts_from_its_base(tmp_path: Path):
    (tmp_path / "a.toml").write_text("seed = 3\n[loop]\nsteps = 40\nlog_every = 20")
    # A base lies beside the file that names it.
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
        # Rates are compared by `check_rates`, which knows the update.
        optimizer=replace(config.optimizer, beta1=0.8, drop_steps=(5,)),
    )
    saved = read_saved(as_json(config), FlowConfig)
    assert saved == config
    assert differences(saved, config) == []
    assert differences(saved, other) == [
        "seed: the run has 0, now 3",
        "beta1: the run has 0.9, now 0.8",
    ]


def test_a_resumed_run_keeps_what_nobody_has_changed():
    saved = FlowConfig(batch_size=6, accumulation=2, fsdp=4, seed=3)
    config = keep_saved(saved, FlowConfig(loop=LoopConfig(steps=5)))
    # Devices and length are those of the command that resumes.
    assert config == replace(saved, fsdp=1, loop=LoopConfig(steps=5))
    assert differences(saved, config) == []


def test_a_run_from_before_an_option_existed_has_its_default():
    saved = as_json(FlowConfig())
    del saved["condition_dropout"]
    assert read_saved(saved, FlowConfig) == FlowConfig()


def test_networks_that_are_clipped_apart_exist():
    apart = OptimizerConfig(clip_apart=("generator",))
    with pytest.raises(ConfigError, match="network generator; the networks here: none"):
        FlowConfig(optimizer=apart)
    assert RendererConfig(optimizer=apart).optimizer.clip_apart == ("generator",)
    other = OptimizerConfig(clip_apart=("nosuch",))
    with pytest.raises(ConfigError, match="network nosuch; the networks here: appear"):
        RendererConfig(optimizer=other)


def test_a_stage_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(OptionError, match="--stage x: expected flow, diffusion, "):
        parse([*REQUIRED, "--stage", "x"])


def test_a_file_of_another_stage_is_named_with_that_stage(tmp_path: Path):
    with pytest.raises(ConfigError, match="another stage: pass --stage renderer, or"):
        parse([*REQUIRED, "--config", "demo_renderer"])
    # What fits no stage is told as it is.
    file = tmp_path / "a.toml"
    file.write_text("nosuch = 1")
    with pytest.raises(ConfigError, match="no option nosuch"):
        parse([*REQUIRED, "--config", str(file)])


def test_paths_of_the_home_folder_are_found_before_the_rest_is_read(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.toml").write_text("seed = 3")
    assert parse([*REQUIRED, "--config=~/a.toml"]).training.seed == 3


@pytest.mark.parametrize("stage", ["flow", "diffusion", "renderer", "stitching"])
def test_groups_of_every_stage_are_described_by_their_text(stage: str, capsys):
    # tyro would print a comment above a field that has no text.
    with pytest.raises(SystemExit):
        parse(["--stage", stage, "--help"])
    lines = capsys.readouterr().out.splitlines()
    for title, text in (("optimizer", "AdamW, its"), ("loop", "length of the run")):
        number = next(i for i, line in enumerate(lines) if f"{title} options" in line)
        # Its title, a rule where there is no box, and the text.
        assert text in "".join(lines[number : number + 3])
