"""One update of the renderer and its discriminator: pure, and the same on any number of
devices.

Every random draw belongs to a sample's row in the global batch. Batch norms see the
whole batch, wherever it lies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from jaxportrait.models.vgg import VGG
from jaxportrait.models.warping import Warped
from jaxportrait.ops.resize import mean_pool
from jaxportrait.types import Motion, pytree
from train.engine.state import (
    Params,
    TrainState,
    batch_statistics_of,
    learning_rate,
    network_of,
    update,
)
from train.renderer.config import LossWeights, RendererConfig
from train.renderer.losses import (
    correspondence_error,
    crowding,
    discriminator_hinge,
    feature_distance,
    focus_map,
    gap_error,
    guidance_error,
    marks,
    perceptual_error,
    pose_error,
    pyramid_error,
)
from train.renderer.networks import Discriminator, Networks, Placed, place_keypoints
from train.renderer.transform import Warp, draw_warp, warp_images, warp_points

Batch = Mapping[str, Array]
"""Pairs of frames, as `train.renderer.data.pairs` makes them."""
Terms = dict[str, Float[Array, ""]]
"""Losses by name, before their weights."""


@pytree
@dataclass(frozen=True)
class Draws:
    """Random draws of each pair.

    Attributes:
      gain: factor of each colour.
      warp: warp of the equivariance of keypoints.
    """

    gain: Float[Array, "n 3"]
    warp: Warp


@pytree
@dataclass(frozen=True)
class Pair:
    """Frames as the losses read them.

    Attributes:
      source: source frames as F and M read them, values from 0 to 1.
      driving: driving frames, likewise.
      target: driving frames at the size that G makes, or that M reads where G makes
        none.
      source_landmarks: x and y in [-1, 1]; NaN where unknown.
      driving_landmarks: likewise of the driving frames.
      pose: pose of the source frames, and then of the driving frames, in degrees; NaN
        where unknown.
    """

    source: Float[Array, "n h w 3"]
    driving: Float[Array, "n h w 3"]
    target: Float[Array, "n H W 3"]
    source_landmarks: Float[Array, "n l 2"]
    driving_landmarks: Float[Array, "n l 2"]
    pose: Float[Array, "m 3"]


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
    # Held networks are in their inference form, and receive no gradient.
    held = config.optimizer.hold
    step_key = jax.random.fold_in(key, state.step)
    draws = draw(step_key, batch["row"], config.color_jitter)
    pair = prepare(config, batch, draws.gain)

    def loss(params: Params) -> tuple[Float[Array, ""], tuple[Params, Terms]]:
        # Batch norms see the whole batch and are measured in this step.
        networks = build(config, hold(params, held), state.batch_statistics)
        networks.train()
        for name in held:
            getattr(networks, name).eval()
        terms = renderer_terms(config, networks, vgg, pair, draws.warp)
        total = weigh(config.losses, terms)
        # The discriminator learns from its hinge in the same update.
        objective = total + terms.get("hinge", 0.0)
        return objective, (batch_statistics_of(networks), terms | {"loss": total})

    gradient = jax.value_and_grad(loss, has_aux=True)
    (_, (measured, terms)), gradients = gradient(state.params)
    rate = jnp.asarray(learning_rate(config.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, config.optimizer, measured)
    return state, terms | {"gradient_norm": norm, "learning_rate": rate}


def weigh(losses: LossWeights, terms: Terms) -> Float[Array, ""]:
    """Return the sum of the renderer's losses, each by its weight."""
    weighted = [
        getattr(losses, name) * value
        for name, value in terms.items()
        if name != "hinge"
    ]
    return sum(weighted, jnp.zeros(()))


def draw(key: PRNGKeyArray, rows: Int[Array, " n"], jitter: float) -> Draws:
    """Draw colour gains and warps, row by row.

    Args:
      key: key of the step.
      rows: place of each sample in the global batch.
      jitter: standard deviation of a gain's logarithm.
    """

    def draw_row(row: Array) -> Draws:
        gain_key, warp_key = jax.random.split(jax.random.fold_in(key, row))
        gain = jnp.exp(jitter * jax.random.normal(gain_key, (3,)))
        return Draws(gain, draw_warp(warp_key))

    return jax.vmap(draw_row)(rows)


def prepare(config: RendererConfig, batch: Batch, gain: Float[Array, "n 3"]) -> Pair:
    """Return 8-bit frames at the sizes that networks read and make."""
    # Both frames of a pair have the same gains.
    source = colored(batch["source"], gain)
    driving = colored(batch["driving"], gain)
    return Pair(
        shrink(source, config.image_size),
        shrink(driving, config.image_size),
        shrink(driving, config.target_size),
        batch["source_landmarks"],
        batch["driving_landmarks"],
        jnp.concatenate([batch["source_pose"], batch["driving_pose"]]),
    )


def colored(
    frames: UInt8[Array, "n h w 3"], gain: Float[Array, "n 3"]
) -> Float[Array, "n h w 3"]:
    """Return 8-bit frames as values from 0 to 1, each colour times its gain."""
    values = frames.astype(jnp.float32) / 255.0
    return jnp.clip(values * gain[:, None, None], 0.0, 1.0)


def shrink(images: Float[Array, "n H W 3"], size: int) -> Float[Array, "n h w 3"]:
    """Halve height and width until they are `size`."""
    while images.shape[1] > size:
        images = mean_pool(images)
    return images


def renderer_terms(
    config: RendererConfig, networks: Networks, vgg: VGG | None, pair: Pair, warp: Warp
) -> Terms:
    """Return every loss that counts, before its weight; `hinge` is the
    discriminator's."""
    placed = networks.place(pair.source, pair.driving)
    terms = keypoint_terms(config, pair, placed)
    if config.losses.equivariance:
        motion = placed.motion
        terms["equivariance"] = equivariance_error(networks, pair.driving, motion, warp)
    if not config.warps_source:
        return terms
    warped = networks.warp(pair.source, placed)
    if config.losses.correspondence:
        terms["correspondence"] = landmark_flow_error(config, pair, warped)
    if config.draws_pictures:
        terms |= picture_terms(config, networks, vgg, pair, warped)
    return terms


def picture_terms(
    config: RendererConfig,
    networks: Networks,
    vgg: VGG | None,
    pair: Pair,
    warped: Warped,
) -> Terms:
    """Return the losses of the made picture."""
    image = networks.generator(warped.features)
    terms = {"reconstruction": reconstruction_error(config, pair, image)}
    if vgg is not None:
        terms["perceptual"] = perceptual_error(vgg, image, pair.target, config.scales)
    if config.has_discriminator:
        terms |= adversarial_terms(networks.discriminator, image, pair.target)
    return terms


def reconstruction_error(
    config: RendererConfig, pair: Pair, image: Float[Array, "n h w 3"]
) -> Float[Array, ""]:
    """Return the error of the made picture, with more weight on focused landmarks."""
    size = image.shape[1]
    # Focused pixels weigh up to `1 + focus`.
    weight = jnp.ones((1, size, size, 1))
    if config.losses.focus:
        landmarks = pair.driving_landmarks[:, list(config.focused)]
        weight = focus_map(landmarks, config.losses.focus, size)
    return pyramid_error(image, pair.target, weight, config.scales)


def landmark_flow_error(
    config: RendererConfig, pair: Pair, warped: Warped
) -> Float[Array, ""]:
    """Return the distance of the place from which each landmark is taken to its own in
    the source, with more weight on focused landmarks."""
    # Focused landmarks weigh `1 + focus`.
    focused = jnp.array(config.focused, int)
    weight = jnp.ones(pair.source_landmarks.shape[1])
    weight = weight.at[focused].add(config.losses.focus)
    return correspondence_error(
        warped.motion.deformation,
        pair.source_landmarks,
        pair.driving_landmarks,
        weight,
        config.folds,
    )


def keypoint_terms(config: RendererConfig, pair: Pair, placed: Placed) -> Terms:
    """Return the losses of keypoints and motion, which need no picture."""
    # Guided keypoints may be as near as their landmarks.
    guided = [keypoint for keypoint, _ in config.guided]
    crowds = crowding(placed.source, guided) + crowding(placed.driving, guided)
    motion = placed.motion
    # The depth of a face's keypoints is free but for their mean.
    mean_depth = jnp.mean(motion.keypoints[..., 2], axis=1)
    terms = {
        "spread": crowds / 2,
        "depth": jnp.mean(jnp.square(mean_depth)),
        "expression": jnp.mean(jnp.abs(motion.expression)),
        "pose": pose_error(motion.pose, pair.pose),
    }
    if config.guided:
        guidance = partial(guidance_error, guided=config.guided)
        terms["landmarks"] = both_frames(guidance, pair, placed)
    if config.losses.gaps:
        gap = partial(gap_error, guided=config.guided, gaps=config.gaps)
        terms["gaps"] = both_frames(gap, pair, placed)
    return terms


def both_frames(
    error: Callable[[Array, Array], Array], pair: Pair, placed: Placed
) -> Float[Array, ""]:
    """Return the mean over both frames of an error of keypoints from landmarks."""
    source = error(placed.source, pair.source_landmarks)
    driving = error(placed.driving, pair.driving_landmarks)
    return (source + driving) / 2


def equivariance_error(
    networks: Networks, driving: Float[Array, "n h w 3"], motion: Motion, warp: Warp
) -> Float[Array, ""]:
    """Return the distance of the keypoints of a warped frame, warped back, from the
    frame's own, x and y.

    Args:
      networks: F, M, W and G.
      driving: frames.
      motion: motion of the source frames, and then of the driving frames.
      warp: warp of each frame.
    """
    # Poses, expressions and keypoints of the driving frames are the second half.
    n = len(driving)
    frame_motion = jax.tree.map(lambda leaf: leaf[n:], motion)
    keypoints = place_keypoints(frame_motion, frame_motion.keypoints)
    warped_motion = networks.motion(warp_images(warp, driving))
    warped_keypoints = place_keypoints(warped_motion, warped_motion.keypoints)
    returned = warp_points(warp, warped_keypoints[..., :2])
    return jnp.mean(jnp.abs(returned - keypoints[..., :2]))


def adversarial_terms(
    discriminator: Discriminator,
    image: Float[Array, "n h w 3"],
    target: Float[Array, "n h w 3"],
) -> Terms:
    """Return the hinge, whose gradient reaches only the discriminator, and the losses
    whose gradient reaches only the picture."""
    n = len(image)
    scores, _ = discriminator(jnp.concatenate([target, lax.stop_gradient(image)]))
    # A second discriminator, of the same weights, receives no gradient.
    graph, state = nnx.split(discriminator)
    frozen = nnx.merge(graph, lax.stop_gradient(state))
    # In evaluation its spectral norms are those of the first pass.
    frozen.eval()
    frozen_scores, maps = frozen(jnp.concatenate([target, image]))
    target_maps = [both[:n] for both in maps]
    image_maps = [both[n:] for both in maps]
    return {
        "hinge": discriminator_hinge(scores[:n], scores[n:]),
        "adversarial": -jnp.mean(frozen_scores[n:]),
        "feature_matching": feature_distance(image_maps, target_maps),
    }


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


def hold(params: Params, networks: Sequence[str]) -> Params:
    """Return the same parameters; no gradient reaches those of `networks`."""
    prefixes = tuple(f"{name}." for name in networks)
    return {
        name: lax.stop_gradient(leaf) if name.startswith(prefixes) else leaf
        for name, leaf in params.items()
    }


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
