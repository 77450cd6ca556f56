"""Drivers of an exported checkpoint: of the network that a run has trained, guided as
the driver that it replaces."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxportrait.checkpoint import (
    DRIVER,
    Checkpoint,
    CheckpointError,
    Contents,
    DriverEntry,
)
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.motion.space import MotionStatistics
from train.data.dataset import network_identity
from train.diffusion.config import ENCODER
from train.diffusion.step import DIFFUSION

LEAST_DEVIATION = 1e-6
"""Deviation, in a checkpoint, of a value that never changed in training."""
DRIVERS = {"flow": DRIVER, "diffusion": DIFFUSION}
"""Stage -> name of the driver that its network becomes."""


def with_driver(
    contents: Contents,
    run: Mapping[str, Any],
    frozen: Checkpoint | None,
    statistics: MotionStatistics | None,
) -> Contents:
    """Return `contents` with the driver of the network that a run has trained; other
    stages have none.

    Args:
      contents: contents of the checkpoint to write.
      run: identity of the run.
      frozen: checkpoint of the parts that were not trained.
      statistics: mean and deviation of the motion space.
    """
    name = DRIVERS.get(run["stage"])
    if name is None:
        return contents
    make = make_flow_driver if name == DRIVER else make_diffusion_driver
    driver = make(contents, run, frozen)
    # Guided as the one that it replaces.
    previous = None if frozen is None else frozen.drivers.get(name)
    if previous is not None:
        driver = replace(driver, cfg_scale=previous.config.cfg_scale)
    entry = DriverEntry(driver, without_zeros(statistics))
    return replace(contents, drivers={**contents.drivers, name: entry})


def make_flow_driver(
    contents: Contents, run: Mapping[str, Any], frozen: Checkpoint | None
) -> FlowDriverConfig:
    """Return the driver of a trained flow transformer."""
    # Emotions, with the highest level of each; earlier runs have none.
    levels = run.get("emotion_levels", {})
    return FlowDriverConfig(
        features=find_encoder(contents, run, frozen),
        space=run["config"]["motion_space"],
        emotion_names=tuple(levels),
        emotion_levels=tuple(levels.values()),
    )


def make_diffusion_driver(
    contents: Contents, run: Mapping[str, Any], frozen: Checkpoint | None
) -> DiffusionDriverConfig:
    """Return the driver of a trained denoiser."""
    encodes = run["config"]["encoder"] != "stored"
    features = ENCODER if encodes else find_encoder(contents, run, frozen)
    return DiffusionDriverConfig(features=features, space=run["space"])


def find_encoder(
    contents: Contents, run: Mapping[str, Any], frozen: Checkpoint | None
) -> str:
    """Return the name of the audio encoder that a run's features are of.

    Raises:
      CheckpointError: there is none.
    """
    encoders = contents.with_role("audio features")
    if len(encoders) == 1:
        return encoders[0]
    # Of several, the one that made the features.
    identity = run["dataset"]["audio_encoder"]
    for name in encoders:
        if frozen is not None and network_identity(frozen, name) == identity:
            return name
    raise CheckpointError(
        f"the checkpoint holds {' and '.join(encoders) or 'no audio encoder'}: pass a "
        "--checkpoint with the one that made the features"
    )


def without_zeros(statistics: MotionStatistics | None) -> MotionStatistics | None:
    """Return statistics whose deviations are all above 0, as checkpoints require.

    A value that never changed in training stays at its mean, to a millionth.
    """
    if statistics is None:
        return None
    deviation = np.asarray(statistics.std)
    positive = np.where(deviation > 0, deviation, LEAST_DEVIATION)
    return replace(statistics, std=positive.astype(deviation.dtype))


def with_guidance(contents: Contents, cfg_scale: float, name: str) -> Contents:
    """Return `contents` with another default scale of guidance.

    Raises:
      CheckpointError: there is no driver, to which the scale belongs.
    """
    driver = contents.drivers.get(name)
    if driver is None:
        raise CheckpointError(
            f"--cfg-scale {cfg_scale:g} belongs to a driver, and there is no {name}: pass it "
            "when one is exported"
        )
    config = replace(driver.config, cfg_scale=cfg_scale)
    drivers = {**contents.drivers, name: replace(driver, config=config)}
    return replace(contents, drivers=drivers)
