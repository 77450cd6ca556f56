"""Ranges of training's options: the same at the command line, in TOML and in Python."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from train.command import parse
from train.engine.config import ConfigError, StageConfig
from train.engine.toml import apply, load_config
from train.flow.config import FlowConfig
from train.renderer.config import RendererConfig
from train.stitching.config import OrganConfig, StitchingTrainConfig

REQUIRED = ["--dataset-path", "D", "--checkpoint", "C", "--work-dir", "R"]
STAGES: dict[str, type[StageConfig]] = {
    "flow": FlowConfig,
    "renderer": RendererConfig,
    "stitching": StitchingTrainConfig,
}

# Stage, option with the tables that hold it, and values outside its range.
TABLE: list[tuple[str, str, list[str]]] = [
    ("flow", "optimizer.learning_rate", ["0.0", "-1.0", "nan", "inf", "1.5"]),
    ("flow", "optimizer.warmup_steps", ["-1"]),
    ("flow", "optimizer.drop_factor", ["0.0", "2.0"]),
    ("flow", "optimizer.beta1", ["1.0", "-0.1"]),
    ("flow", "optimizer.beta2", ["2.0", "nan"]),
    ("flow", "optimizer.epsilon", ["0.0", "-1e-08"]),
    ("flow", "optimizer.weight_decay", ["-1.0", "inf"]),
    ("flow", "optimizer.clip_norm", ["0.0", "-1.0", "nan"]),
    ("flow", "optimizer.ema_decay", ["1.0", "2.0"]),
    ("flow", "loop.steps", ["0", str(2**31)]),
    ("flow", "loop.keep", ["0"]),
    ("flow", "batch_size", ["0", str(10**12)]),
    ("flow", "seed", ["-1"]),
    ("flow", "validation_batches", ["-1"]),
    ("flow", "fsdp", ["0"]),
    ("flow", "accumulation", ["0"]),
    ("flow", "condition_dropout", ["1.0", "-0.1"]),
    ("flow", "transformer.width", ["0"]),
    ("flow", "transformer.heads", ["0", "-7"]),
    ("flow", "transformer.joint_blocks", ["0"]),
    ("flow", "transformer.fused_blocks", ["-1"]),
    ("renderer", "image_size", ["0", "-256", "1024"]),
    ("renderer", "scales", ["0"]),
    ("renderer", "color_jitter", ["-0.1", "nan"]),
    ("renderer", "contrast", ["1.5"]),
    ("renderer", "losses.perceptual", ["-1.0", "nan"]),
    ("renderer", "discriminator.layers", ["0"]),
    ("stitching", "batch_size", ["1"]),
    ("stitching", "band", ["0.0", "1.0"]),
    ("stitching", "losses.offsets", ["inf"]),
]
UNPREFIXED = ("optimizer", "loop", "transformer")
"""Tables whose options have no prefix at the command line."""


@pytest.mark.parametrize(
    ("stage", "option", "value"),
    [(stage, option, value) for stage, option, values in TABLE for value in values],
)
def test_a_value_outside_its_range_is_refused(
    stage: str, option: str, value: str, tmp_path: Path, capsys
):
    table, _, name = option.rpartition(".")
    message = rf"\b{name} is {re.escape(value)}: it must be "
    # In a TOML file.
    file = tmp_path / "a.toml"
    file.write_text(f"[{table}]\n{name} = {value}" if table else f"{name} = {value}")
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(file, STAGES[stage]())
    assert str(caught.value).startswith(str(file))
    # At the command line.
    words = name if table in UNPREFIXED else option
    flag = f"--{words.replace('_', '-')}"
    with pytest.raises(SystemExit, match="2"):
        parse([*REQUIRED, "--stage", stage, flag, value])
    line = f"error: {name} is {value}: it must be .*\n"
    assert re.fullmatch(line, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: replace(FlowConfig(), batch_size=2.0), "batch_size is 2.0: it must"),
        (lambda: replace(FlowConfig(), seed=2**64), "seed is 18446744073709551616: it"),
        (lambda: OrganConfig((), 0.0, 1.0), "widest is 0.0: it must be above 0"),
        (lambda: OrganConfig((), 0.8, -1.0), "radius is -1.0: it must be above 0"),
    ],
)
def test_python_checks_the_same(make: Any, message: str):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("drops", [[5, 3], [3, 3], [-1], [0]])
def test_drops_come_in_order(drops: list[int]):
    with pytest.raises(ConfigError, match="drop_steps is"):
        apply(FlowConfig(), {"optimizer": {"drop_steps": drops}}, "a.toml")


def test_heads_divide_the_width():
    with pytest.raises(ConfigError, match="width 32 gives 3 heads no even width"):
        apply(FlowConfig(), {"transformer": {"width": 32, "heads": 3}}, "a.toml")
