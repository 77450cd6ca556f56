"""One update of the flow transformer: pure, and the same on any number of devices.

Every random draw belongs to a sample's row in the global batch, whatever device or
process holds it. Source: Lipman et al., "Flow matching for generative modeling", 2022;
times as in Esser et al., "Scaling rectified flow transformers", 2024; dropped
conditions as in Ho and Salimans, "Classifier-free diffusion guidance", 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.models.parts import abstract
from jaxportrait.ops.flow import interpolate, target_velocity
from jaxportrait.types import pytree
from train.engine.adapters import scale_adapters
from train.engine.keys import Purpose, root_key
from train.engine.state import (
    Params,
    TrainState,
    learning_rate,
    mean_gradients,
    network_of,
    update,
)
from train.flow.config import FlowConfig
from train.flow.losses import Term, weigh

GOLDEN_RATIO = 0.618034
"""Fractional parts of its multiples fill [0, 1) evenly, however many there are."""
VALIDATION_SEED = 0

Batch = Mapping[str, Array]
"""`motion` (n, 30, d) normalised, `features` (n, 50, a), `row` (n,): each sample's
place in the global batch; `emotion` (n, e) where emotions are a condition."""
EMOTION = 3
"""Number of the emotion's key beside those that a row's is split into."""


@pytree
@dataclass(frozen=True)
class Draws:
    """Random draws of each sample.

    Attributes:
      noise: start of the flow.
      time: time of the flow, in (0, 1).
      dropped: whether the audio is replaced by the learned vector.
      unfelt: whether the emotion is left out; None leaves out none.
    """

    noise: Float[Array, "n t d"]
    time: Float[Array, " n"]
    dropped: Bool[Array, " n"]
    unfelt: Bool[Array, " n"] | None = None


def train_step(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    key: PRNGKeyArray,
    state: TrainState,
    batch: Batch,
    terms: tuple[Term, ...] = (),
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """Return the state after one update, and its metrics.

    Args:
      config: options of the run.
      transformer: config of the network.
      key: key of the run's updates; folded with the step and each sample's row.
      state: the state before.
      batch: windows.
      terms: losses beside the error of all values.

    Returns:
      The next state, and `loss`, `gradient_norm` (before the clip) and `learning_rate`.
    """
    step_key = jax.random.fold_in(key, state.step)
    shape = batch["motion"].shape[1:]
    draws = draw(step_key, batch["row"], shape, config.condition_dropout)
    if config.emotions:
        unfelt = draw_unfelt(step_key, batch["row"], config.emotion_dropout)
        draws = replace(draws, unfelt=unfelt)

    def loss(params: Params, part: tuple[Batch, Draws]) -> Float[Array, ""]:
        weights = scale_adapters(params | state.fixed, config.lora)
        network = build(transformer, weights, config.dtype)
        return flow_loss(network, *part, terms)

    value, gradients = mean_gradients(
        loss, state.params, (dict(batch), draws), config.accumulation
    )
    rate = jnp.asarray(learning_rate(config.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, config.optimizer)
    return state, {"loss": value, "gradient_norm": norm, "learning_rate": rate}


def validation_loss(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    params: Params,
    batch: Batch,
) -> Float[Array, ""]:
    """Return the loss with the audio kept, at noise and times that depend only on a
    sample's row.

    A network that knows nothing has 2, the variance of motion and noise; one that knows
    the noise has 1.
    """
    return _validation_loss(config, transformer, params, batch, dropout=0.0)


def deaf_loss(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    params: Params,
    batch: Batch,
) -> Float[Array, ""]:
    """Return `validation_loss` with the audio dropped: a network that has learnt to
    listen does worse."""
    return _validation_loss(config, transformer, params, batch, dropout=1.0)


def unfeeling_loss(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    params: Params,
    batch: Batch,
) -> Float[Array, ""]:
    """Return `validation_loss` without emotions: a network that has learnt to follow
    them does worse."""
    without = {**batch, "emotion": jnp.zeros_like(batch["emotion"])}
    return validation_loss(config, transformer, params, without)


def _validation_loss(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    params: Params,
    batch: Batch,
    dropout: float,
) -> Float[Array, ""]:
    key = root_key(VALIDATION_SEED, Purpose.VALIDATION)
    drawn = draw(key, batch["row"], batch["motion"].shape[1:], dropout)
    # Quantiles of the times' distribution, evenly spaced over the rows.
    rows = batch["row"].astype(jnp.float32)
    quantile, _ = jnp.modf((rows + 0.5) * GOLDEN_RATIO)
    draws = Draws(drawn.noise, jax.nn.sigmoid(ndtri(quantile)), drawn.dropped)
    return flow_loss(build(transformer, params, config.dtype), batch, draws)


def draw(
    key: PRNGKeyArray, rows: Int[Array, " n"], shape: tuple[int, ...], dropout: float
) -> Draws:
    """Draw noise from N(0, 1), time from sigmoid(N(0, 1)) and dropped conditions, row
    by row.

    Args:
      key: key of the step.
      rows: place of each sample in the global batch.
      shape: shape of a sample's motion.
      dropout: probability of a dropped condition.
    """

    def draw_row(row: Array) -> Draws:
        # A key of its own for each row, whatever device holds it.
        noise, time, dropped = jax.random.split(jax.random.fold_in(key, row), 3)
        return Draws(
            jax.random.normal(noise, shape),
            jax.nn.sigmoid(jax.random.normal(time)),
            jax.random.uniform(dropped) < dropout,
        )

    return jax.vmap(draw_row)(rows)


def draw_unfelt(
    key: PRNGKeyArray, rows: Int[Array, " n"], dropout: float
) -> Bool[Array, " n"]:
    """Draw whose emotion is left out, independently of all that `draw` draws.

    Args:
      key: key of the step.
      rows: place of each sample in the global batch.
      dropout: probability of an emotion that is left out.
    """

    def draw_row(row: Array) -> Array:
        row_key = jax.random.fold_in(key, row)
        return jax.random.uniform(jax.random.fold_in(row_key, EMOTION)) < dropout

    return jax.vmap(draw_row)(rows)


def flow_loss(
    network: FlowTransformer,
    batch: Batch,
    draws: Draws,
    terms: tuple[Term, ...] = (),
) -> Float[Array, ""]:
    """Return the mean squared error of the velocity, over samples, frames and values,
    and the terms beside it."""
    # Features are stored in half precision.
    motion = batch["motion"]
    features = batch["features"].astype(jnp.float32)
    null = network.null_audio[...][None, None]
    audio = jnp.where(draws.dropped[:, None, None], null, features)
    position = interpolate(draws.noise, motion, draws.time)
    emotion = batch.get("emotion")
    if emotion is not None and draws.unfelt is not None:
        emotion = jnp.where(draws.unfelt[:, None], 0.0, emotion)
    velocity = network(position, draws.time, audio, emotion)
    return weigh(velocity - target_velocity(draws.noise, motion), terms)


def build(
    transformer: FlowTransformerConfig, params: Params, dtype: str = "float32"
) -> FlowTransformer:
    """Return the flow transformer with these parameters, computing in `dtype`."""
    template = abstract(transformer, dtype=jnp.dtype(dtype))
    return network_of(template, params)
