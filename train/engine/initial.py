"""Parts of checkpoints that a run starts from: weights in place of fresh ones (`--init`)
and the guidance of a driver."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MotionStatistics
from train.engine.config import ConfigError, LoraConfig

StatisticsSource = Literal["init", "data"]
"""Statistics by which a run that starts from a checkpoint normalises its motion: the
checkpoint's or the data set's."""


def initial_weights(
    path: Path, sizes: Mapping[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of those networks that a checkpoint holds: part -> dotted
    path -> array.

    Args:
      path: checkpoint.
      sizes: part -> config of the networks that are trained.

    Raises:
      ConfigError: the checkpoint holds none of them, or some of other sizes.
    """
    # Parts that the checkpoint lacks start fresh.
    checkpoint = open_checkpoint(path)
    parts = [part for part in sizes if part in checkpoint.parts]
    if not parts:
        raise ConfigError(
            f"{checkpoint.path} holds none of {', '.join(sizes)}: start from one that does"
        )
    # Weights of another size would not fit.
    for part in parts:
        present, size = checkpoint.sizes(part), sizes[part]
        if present not in (size, without_emotions(size)):
            raise ConfigError(
                f"{checkpoint.path} holds another {part} than this run trains: "
                f"{describe_differences(present, size)}: choose the options that agree with it"
            )
    return {part: checkpoint.leaves(part) for part in parts}


def describe_differences(present: Any, size: Any) -> str:
    """Return a phrase on the sizes in which a checkpoint's network and a run's differ."""
    if type(present) is not type(size):
        return f"{present} there, and {size} here"
    pairs = [
        (item.name, getattr(present, item.name), getattr(size, item.name))
        for item in fields(size)
    ]
    # Most of a network's sizes agree.
    return ", ".join(
        f"{name} is {there} there, and {here} here"
        for name, there, here in pairs
        if there != here
    )


def check_source(source: StatisticsSource | None, init: Path | None) -> None:
    """Raise a ConfigError if statistics are chosen, and there is one choice only."""
    if source is not None and init is None:
        raise ConfigError(
            f"--statistics {source} chooses between those of --init and of the data set, and --init is missing: "
            "pass it, or leave the choice out"
        )


def check_start(lora: LoraConfig, init: Path | None) -> None:
    """Raise a ConfigError if adapters are to be trained of random weights."""
    if lora.rank and init is None:
        raise ConfigError(
            f"lora.rank is {lora.rank}, and --init is missing: pass the checkpoint whose weights are adapted"
        )


def initial_motion(checkpoint: Checkpoint, part: str) -> tuple[str, MotionStatistics]:
    """Return the motion space of a network to start from, and its statistics.

    Raises:
      ConfigError: the checkpoint lacks the network, or its statistics.
    """
    if part not in checkpoint.parts:
        raise ConfigError(
            f"{checkpoint.path} holds no {part}: start from a checkpoint that does"
        )
    for driver in checkpoint.drivers.values():
        if driver.config.motion_part == part and driver.statistics is not None:
            return driver.config.space, driver.statistics
    raise ConfigError(
        f"{checkpoint.path} holds no driver of {part}, whose statistics are needed: convert it again"
    )


def without_emotions(config: Any) -> Any:
    """Return the config of the same network without emotions, whose weights start one
    that learns them."""
    is_flow = isinstance(config, FlowTransformerConfig)
    return replace(config, emotions=0) if is_flow else config


def by_path(leaves: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the weights of several parts by one dotted path, which begins with the
    part."""
    return {
        f"{part}.{name}": leaf
        for part, weights in leaves.items()
        for name, leaf in weights.items()
    }


def driver_guidance(
    checkpoint: Checkpoint,
    name: str,
    kind: type[FlowDriverConfig] | type[DiffusionDriverConfig],
) -> float:
    """Return the guidance of a checkpoint's driver, which `train.export` keeps, or else
    the default of its kind.

    Args:
      checkpoint: checkpoint of the parts that are not trained.
      name: name of the driver.
      kind: config of the drivers that the run makes.
    """
    entry = checkpoint.drivers.get(name)
    config = None if entry is None else entry.config
    return config.cfg_scale if isinstance(config, kind) else kind.cfg_scale
