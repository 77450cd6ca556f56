"""One update of the renderer and its discriminator: pure, and the same on any number of
devices.

Every random draw belongs to a sample's row in the global batch. Batch norms see the
whole batch, wherever it lies, or each part of it where batches are cut into parts.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxportrait.models.vgg import VGG
from train.engine.state import (
    Params,
    TrainState,
    batch_statistics_of,
    learning_rate,
    mean_gradients,
    network_of,
    update,
)
from train.engine.trainable import networks_of
from train.renderer.config import LossWeights, RendererConfig
from train.renderer.losses import guidance_error, marks, pyramid_error
from train.renderer.networks import Networks
from train.renderer.pair import Batch, Draws, Pair, draw, prepare, shrink
from train.renderer.remat import rematerialize
from train.renderer.shares import NO_SHARES, Shares, sample_shares
from train.renderer.terms import (
    Terms,
    both_frames,
    landmark_flow_error,
    renderer_terms,
)


def train_step(
    config: RendererConfig,
    vgg: VGG | None,
    key: PRNGKeyArray,
    state: TrainState,
    batch: Batch,
) -> tuple[TrainState, Terms]:
    """Return the state after one update of all networks, and its metrics.

    Args:
      config: options of the run.
      vgg: network of the perceptual loss, which stays as it is; None without it.
      key: key of the run's updates; folded with the step and each sample's row.
      state: the state before.
      batch: pairs of frames.

    Returns:
      The next state, and `loss` (the renderer's), `gradient_norm`, `learning_rate` and
      every term of the loss.
    """
    step_key = jax.random.fold_in(key, state.step)
    draws = draw(step_key, batch["row"], config.color_jitter, config.mirror)
    shares = NO_SHARES
    if config.accumulation > 1:
        shares = sample_shares(config, prepare_drawn(config, batch, draws))

    def loss(params: Params, part: tuple[Batch, Draws, Shares]) -> Any:
        return objective(config, vgg, state, params, *part)

    # Measured statistics are averaged over the parts, as losses and gradients are.
    (_, (measured, terms)), gradients = mean_gradients(
        loss,
        state.params,
        (dict(batch), draws, shares),
        config.accumulation,
        has_aux=True,
    )
    rate = jnp.asarray(learning_rate(config.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, config.optimizer, measured)
    return state, terms | {"gradient_norm": norm, "learning_rate": rate}


def objective(
    config: RendererConfig,
    vgg: VGG | None,
    state: TrainState,
    params: Params,
    batch: Batch,
    draws: Draws,
    shares: Shares,
) -> tuple[Float[Array, ""], tuple[Params, Terms]]:
    """Return what is minimised on a batch or a part of it; batch statistics; and every
    term of the loss.

    Args:
      config: options of the run.
      vgg: network of the perceptual loss.
      state: the state before, whose batch statistics and fixed weights count.
      params: parameters that are trained.
      batch: pairs of frames.
      draws: random draws of each pair.
      shares: shares of the samples of a part.
    """
    pair = prepare_drawn(config, batch, draws)
    # Networks that are fixed as a whole are in their inference form.
    fixed = set(networks_of(state.fixed)) - set(networks_of(state.params))
    networks = build(config, params | state.fixed, state.batch_statistics)
    networks.train()
    for name in sorted(fixed):
        getattr(networks, name).eval()
    networks = rematerialize(networks, config.remat)
    terms = renderer_terms(config, networks, vgg, pair, draws.warp, shares)
    total = weigh(config.losses, terms)
    # The discriminator learns from its hinge in the same update.
    minimum = total + terms.get("hinge", 0.0)
    return minimum, (batch_statistics_of(networks), terms | {"loss": total})


def prepare_drawn(config: RendererConfig, batch: Batch, draws: Draws) -> Pair:
    """Return frames as `prepare` does, coloured and mirrored at random."""
    return prepare(config, batch, draws.gain, draws.mirrored)


def weigh(losses: LossWeights, terms: Terms) -> Float[Array, ""]:
    """Return the sum of the renderer's losses, each by its weight."""
    weighted = [
        getattr(losses, name) * value
        for name, value in terms.items()
        if name != "hinge"
    ]
    return sum(weighted, jnp.zeros(()))


def validation_error(
    config: RendererConfig, vgg: VGG | None, average: Params, batch: Batch
) -> Float[Array, ""]:
    """Return the reconstruction error of the averaged networks in their inference form,
    without jitter or focus.

    Where no pictures are made, it is the error of the deformation at landmarks; without
    a deformation, that of guided keypoints.

    Args:
      config: options of the run.
      vgg: unused, as no loss of feature maps is measured.
      average: averaged weights and batch statistics.
      batch: pairs of frames.
    """
    pair = prepare(config, batch, jnp.ones((len(batch["row"]), 3)))
    networks = build(config, average, {})
    placed = networks.place(pair.source, pair.driving)
    if not config.warps_source:
        guidance = partial(guidance_error, guided=config.guided)
        return both_frames(guidance, pair, placed)
    warped = networks.warp(pair.source, placed)
    if not config.draws_pictures:
        return landmark_flow_error(config, pair, warped)
    image = networks.generator(warped.features)
    weight = jnp.ones((1, *image.shape[1:3], 1))
    return pyramid_error(image, pair.target, weight, config.scales)


def picture(
    config: RendererConfig, vgg: VGG | None, average: Params, batch: Batch
) -> Float[Array, "H W 3"]:
    """Draw a row a pair: source, driving frame, and the averaged networks' picture.

    Where no pictures are made, the driving frame with its guided keypoints in white.

    Args:
      config: options of the run.
      vgg: unused, as no loss of feature maps is measured.
      average: averaged weights and batch statistics.
      batch: pairs of frames.
    """
    pair = prepare(config, batch, jnp.ones((len(batch["row"]), 3)))
    networks = build(config, average, {})
    placed = networks.place(pair.source, pair.driving)
    if config.draws_pictures:
        image = networks.draw(pair.source, placed)
    else:
        guided = [keypoint for keypoint, _ in config.guided]
        points = marks(placed.driving[:, guided, :2], config.target_size)
        image = jnp.maximum(pair.target, points)
    # Source, driving frame and picture side by side; pairs below each other.
    source = batch["source"].astype(jnp.float32) / 255.0
    source = shrink(source, config.target_size)
    rows = jnp.concatenate([source, pair.target, image], axis=2)
    return rows.reshape(-1, *rows.shape[2:])


def build(config: RendererConfig, params: Params, measured: Params) -> Any:
    """Return the networks with these parameters and batch statistics, in their
    inference form."""
    return network_of(template(config), params | measured)


def template(config: RendererConfig) -> Networks:
    """Return the networks with shapes in place of arrays."""
    dtype = jnp.dtype(config.dtype)
    networks = nnx.eval_shape(lambda: Networks(config, dtype=dtype, rngs=nnx.Rngs(0)))
    networks.eval()
    return networks
