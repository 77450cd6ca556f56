"""Stand-ins for Ditto's network: each hears its own frame, or continues the frame before
its window."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array

from jaxportrait.drivers.ditto import DittoDriver
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.motion.binned import BINNED_ANGLES, BINNED_WIDTH, BINS
from jaxportrait.ops.geometry import DEGREES_PER_BIN, FIRST_BIN_DEGREES

SPREAD = 10.0
"""Deviation of the bins of an angle, in degrees."""
BIN_ANGLES = FIRST_BIN_DEGREES + DEGREES_PER_BIN * np.arange(BINS)


@partial(register_dataclass, data_fields=["share", "step"], meta_fields=["config"])
@dataclass(frozen=True)
class StandIn:
    """A network whose clean motion is plain.

    Attributes:
      share: share of the condition's first values, beside that of the frame before the
        window.
      step: is added to every frame.
      config: sizes, of which it uses only the shapes.
    """

    share: Array
    step: Array
    config: LMDMConfig

    def encode_condition(self, values: Array) -> Array:
        return values[..., :BINNED_WIDTH]

    def encode_step(self, time: Array) -> Array:
        return time

    def denoise(
        self, motion: Array, earlier: Array, step: Array, condition: Array
    ) -> Array:
        continued = jnp.broadcast_to(earlier[:, None], motion.shape)
        mixed = self.share * condition + (1 - self.share) * continued
        return mixed + self.step[None, None]


def with_stand_in(driver: DittoDriver, network: Any, **changes: Any) -> DittoDriver:
    """Return a driver whose network is another; it has no guidance and no limits."""
    infinite = np.full((2, BINNED_WIDTH), np.inf, np.float32)
    limits = infinite * np.array([[-1], [1]], np.float32)
    return replace(driver, network=network, cfg_scale=1.0, limits=limits, **changes)


def echo(config: LMDMConfig) -> StandIn:
    """Return the network that moves each frame by its own condition."""
    return StandIn(jnp.asarray(1.0), jnp.zeros(BINNED_WIDTH), config)


def drifter(config: LMDMConfig, degrees: float) -> StandIn:
    """Return the network whose frames are the one before the window, turned."""
    return StandIn(jnp.asarray(0.0), jnp.asarray(turn(degrees)), config)


def turn(degrees: float) -> np.ndarray:
    """Return what turns `straight` in yaw by so many degrees, when added to it."""
    motion = np.zeros(BINNED_WIDTH, np.float32)
    # The logits of a normal distribution have a slope when it moves.
    motion[BINNED_ANGLES[1]] = degrees * BIN_ANGLES / SPREAD**2
    return motion


def straight() -> np.ndarray:
    """Return a frame that looks ahead."""
    motion = np.zeros(BINNED_WIDTH, np.float32)
    for columns in BINNED_ANGLES:
        motion[columns] = -(BIN_ANGLES**2) / (2 * SPREAD**2)
    return motion
