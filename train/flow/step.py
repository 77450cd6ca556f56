"""One update of the flow transformer: pure, and the same on any number of devices.

Every random draw belongs to a sample's row in the global batch, whatever device or
process holds it. Source: Lipman et al., "Flow matching for generative modeling", 2022;
times as in Esser et al., "Scaling rectified flow transformers", 2024; dropped
conditions as in Ho and Salimans, "Classifier-free diffusion guidance", 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.models.parts import abstract
from jaxportrait.ops.flow import interpolate, target_velocity
from jaxportrait.types import pytree
from train.engine.config import OptimizerConfig
from train.engine.keys import Purpose, root_key
from train.engine.state import (
    Params,
    TrainState,
    learning_rate,
    mean_gradients,
    network_of,
    update,
)

GOLDEN_RATIO = 0.618034
"""Multiples of it, without their whole part, fill [0, 1) evenly however many there
are."""
VALIDATION_SEED = 0

Batch = Mapping[str, Array]
"""`motion` (n, 30, d) normalised, `features` (n, 50, a), `row` (n,): each sample's
place in the global batch."""


@dataclass(frozen=True)
class StepConfig:
    """What is static in an update."""

    transformer: FlowTransformerConfig
    optimizer: OptimizerConfig
    condition_dropout: float = 0.1
    accumulation: int = 1
    dtype: str = "float32"


@pytree
@dataclass(frozen=True)
class Draws:
    """What chance decides about each sample.

    Attributes:
      noise: at which the flow starts.
      time: of the flow.
      dropped: whether the audio is replaced by the learned vector.
    """

    noise: Float[Array, "n t d"]
    time: Float[Array, " n"]
    dropped: Bool[Array, " n"]


def train_step(
    config: StepConfig, key: PRNGKeyArray, state: TrainState, batch: Batch
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update.

    Args:
      key: of the run; folded with the step and each sample's row.

    Returns:
      The next state, and `loss`, `gradient_norm` (before the clip) and `learning_rate`.
    """
    draws = draw(
        jax.random.fold_in(key, state.step),
        batch["row"],
        batch["motion"].shape[1:],
        config.condition_dropout,
    )

    def loss(params: Params, part: tuple[Batch, Draws]) -> Float[Array, ""]:
        return flow_loss(build(config, params), *part)

    value, gradients = mean_gradients(
        loss, state.params, (dict(batch), draws), config.accumulation
    )
    rate = jnp.asarray(learning_rate(config.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, config.optimizer)
    return state, {"loss": value, "gradient_norm": norm, "learning_rate": rate}


def validation_loss(
    config: StepConfig, params: Params, batch: Batch
) -> Float[Array, ""]:
    """The loss with the audio kept, at noise and times that depend on nothing but a
    sample's row."""
    drawn = draw(
        root_key(VALIDATION_SEED, Purpose.VALIDATION),
        batch["row"],
        batch["motion"].shape[1:],
        0.0,
    )
    spread = jnp.modf((batch["row"].astype(jnp.float32) + 0.5) * GOLDEN_RATIO)[0]
    draws = Draws(drawn.noise, jax.nn.sigmoid(ndtri(spread)), drawn.dropped)
    return flow_loss(build(config, params), batch, draws)


def draw(
    key: PRNGKeyArray, rows: Int[Array, " n"], shape: tuple[int, ...], dropout: float
) -> Draws:
    """Noise from N(0, 1), time from sigmoid(N(0, 1)), and what is dropped with
    probability `dropout`, row by row."""

    def draw_row(row: Array) -> Draws:
        noise, time, dropped = jax.random.split(jax.random.fold_in(key, row), 3)
        return Draws(
            jax.random.normal(noise, shape),
            jax.nn.sigmoid(jax.random.normal(time)),
            jax.random.uniform(dropped) < dropout,
        )

    return jax.vmap(draw_row)(rows)


def flow_loss(network: FlowTransformer, batch: Batch, draws: Draws) -> Float[Array, ""]:
    """Mean squared error of the velocity, over samples, frames and values."""
    motion, features = batch["motion"], batch["features"].astype(jnp.float32)
    audio = jnp.where(
        draws.dropped[:, None, None], network.null_audio[...][None, None], features
    )
    velocity = network(interpolate(draws.noise, motion, draws.time), draws.time, audio)
    return jnp.mean(jnp.square(velocity - target_velocity(draws.noise, motion)))


def build(config: StepConfig, params: Params) -> Any:
    """The flow transformer with these parameters, computing in the config's dtype."""
    return network_of(
        abstract(config.transformer, dtype=jnp.dtype(config.dtype)),
        params,
    )
