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
from jaxtyping import Array, Float, Int, PRNGKeyArray

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
from train.renderer.config import RendererConfig
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


@pytree
@dataclass(frozen=True)
class Draws:
    """What chance decides about each pair.

    Attributes:
      gain: of each colour.
      warp: for the equivariance of keypoints.
    """

    gain: Float[Array, "n 3"]
    warp: Warp


@pytree
@dataclass(frozen=True)
class Pair:
    """What the losses read of a batch.

    Attributes:
      source, driving: as F and M read them, values from 0 to 1.
      target: the driving frame at the size that G makes, or as the others where it
        makes none.
      source_landmarks, driving_landmarks: x and y in [-1, 1]; NaN where unknown.
      pose: of the source frames, and after them of the driving frames, in degrees; NaN
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
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update of all networks.

    Args:
      vgg: of the perceptual loss, where that counts; it stays as it is.
      key: of the run; folded with the step and each sample's row.

    Returns:
      The next state, and `loss` (the renderer's), `gradient_norm`, `learning_rate` and
      every term of the loss.
    """
    draws = draw(jax.random.fold_in(key, state.step), batch["row"], config.color_jitter)
    pair = prepare(config, batch, draws.gain)

    def loss(params: Params) -> tuple[Float[Array, ""], tuple[Params, Terms]]:
        networks = build(
            config, hold(params, config.optimizer.hold), state.batch_statistics
        )
        networks.train()
        for name in config.optimizer.hold:
            getattr(networks, name).eval()
        terms = renderer_terms(config, networks, vgg, pair, draws.warp)
        weighted = {
            name: getattr(config.losses, name) * value
            for name, value in terms.items()
            if name != "hinge"
        }
        total = sum(weighted.values(), jnp.zeros(()))
        measured = batch_statistics_of(networks)
        return total + terms.get("hinge", 0.0), (measured, terms | {"loss": total})

    (_, (measured, terms)), gradients = jax.value_and_grad(loss, has_aux=True)(
        state.params
    )
    rate = jnp.asarray(learning_rate(config.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, config.optimizer, measured)
    return state, terms | {"gradient_norm": norm, "learning_rate": rate}


def draw(key: PRNGKeyArray, rows: Int[Array, " n"], jitter: float) -> Draws:
    """Colour gains and warps, row by row."""

    def draw_row(row: Array) -> Draws:
        gain, warp = jax.random.split(jax.random.fold_in(key, row))
        return Draws(jnp.exp(jitter * jax.random.normal(gain, (3,))), draw_warp(warp))

    return jax.vmap(draw_row)(rows)


def prepare(config: RendererConfig, batch: Batch, gain: Float[Array, "n 3"]) -> Pair:
    """8-bit frames as the networks read them and are to make them."""
    source, driving = (
        jnp.clip(
            batch[role].astype(jnp.float32) / 255.0 * gain[:, None, None], 0.0, 1.0
        )
        for role in ("source", "driving")
    )
    return Pair(
        shrink(source, config.image_size),
        shrink(driving, config.image_size),
        shrink(driving, config.target_size),
        batch["source_landmarks"],
        batch["driving_landmarks"],
        jnp.concatenate([batch["source_pose"], batch["driving_pose"]]),
    )


def shrink(images: Float[Array, "n H W 3"], size: int) -> Float[Array, "n h w 3"]:
    """Halve height and width until they are `size`."""
    while images.shape[1] > size:
        images = mean_pool(images)
    return images


def renderer_terms(
    config: RendererConfig, networks: Networks, vgg: VGG | None, pair: Pair, warp: Warp
) -> Terms:
    """Every loss that counts, before its weight; `hinge` is the discriminator's own."""
    placed = networks.place(pair.source, pair.driving)
    terms = keypoint_terms(config, pair, placed)
    if config.losses.equivariance:
        terms["equivariance"] = equivariance_error(
            networks, pair.driving, placed.motion, warp
        )
    if not config.warps:
        return terms
    warped = networks.warp(pair.source, placed)
    if config.losses.correspondence:
        terms["correspondence"] = landmark_flow_error(config, pair, warped)
    return terms | (
        picture_terms(config, networks, vgg, pair, warped) if config.draws else {}
    )


def picture_terms(
    config: RendererConfig,
    networks: Networks,
    vgg: VGG | None,
    pair: Pair,
    warped: Warped,
) -> Terms:
    """What is asked of the made picture."""
    image = networks.generator(warped.features)
    terms = {"reconstruction": reconstruction_error(config, pair, image)}
    if vgg is not None:
        terms["perceptual"] = perceptual_error(vgg, image, pair.target, config.scales)
    if config.judged:
        terms |= adversarial_terms(networks.discriminator, image, pair.target)
    return terms


def reconstruction_error(
    config: RendererConfig, pair: Pair, made: Float[Array, "n h w 3"]
) -> Float[Array, ""]:
    """The error of the made picture, with more weight on focused landmarks."""
    size = made.shape[1]
    weight = jnp.ones((1, size, size, 1))
    if config.losses.focus:
        weight = focus_map(
            pair.driving_landmarks[:, list(config.focused)], config.losses.focus, size
        )
    return pyramid_error(made, pair.target, weight, config.scales)


def landmark_flow_error(
    config: RendererConfig, pair: Pair, warped: Warped
) -> Float[Array, ""]:
    """How far from its place in the source each landmark is taken from, with more
    weight on focused landmarks."""
    weight = (
        jnp.ones(pair.source_landmarks.shape[1])
        .at[jnp.array(config.focused, int)]
        .add(config.losses.focus)
    )
    landmarks = (pair.source_landmarks, pair.driving_landmarks)
    return correspondence_error(
        warped.motion.deformation, *landmarks, weight, config.folds
    )


def keypoint_terms(config: RendererConfig, pair: Pair, placed: Placed) -> Terms:
    """What is asked of keypoints and motion, whatever picture they make."""
    guided = [keypoint for keypoint, _ in config.guided]
    terms = {
        "spread": (crowding(placed.source, guided) + crowding(placed.driving, guided))
        / 2,
        "depth": jnp.mean(
            jnp.square(jnp.mean(placed.motion.keypoints[..., 2], axis=1))
        ),
        "expression": jnp.mean(jnp.abs(placed.motion.expression)),
        "pose": pose_error(placed.motion.pose, pair.pose),
    }
    if config.guided:
        terms["landmarks"] = both_frames(
            partial(guidance_error, guided=config.guided), pair, placed
        )
    if config.losses.gaps:
        terms["gaps"] = both_frames(
            partial(gap_error, guided=config.guided, gaps=config.gaps), pair, placed
        )
    return terms


def both_frames(
    error: Callable[[Array, Array], Array], pair: Pair, placed: Placed
) -> Float[Array, ""]:
    """The mean over both frames of an error of keypoints from landmarks."""
    source = error(placed.source, pair.source_landmarks)
    return (source + error(placed.driving, pair.driving_landmarks)) / 2


def equivariance_error(
    networks: Networks, driving: Float[Array, "n h w 3"], motion: Motion, warp: Warp
) -> Float[Array, ""]:
    """How far the keypoints of a warped frame, warped back, lie from the frame's own, x
    and y."""
    n = len(driving)
    own = jax.tree.map(lambda leaf: leaf[n:], motion)
    seen = networks.motion(warp_images(warp, driving))
    returned = warp_points(warp, place_keypoints(seen, seen.keypoints)[..., :2])
    return jnp.mean(jnp.abs(returned - place_keypoints(own, own.keypoints)[..., :2]))


def adversarial_terms(
    discriminator: Discriminator,
    made: Float[Array, "n h w 3"],
    true: Float[Array, "n h w 3"],
) -> Terms:
    """The hinge, whose gradient reaches the discriminator alone, and what it says to
    the generator alone."""
    n = len(made)
    opinions, _ = discriminator(jnp.concatenate([true, lax.stop_gradient(made)]))
    graph, state = nnx.split(discriminator)
    judge = nnx.merge(graph, lax.stop_gradient(state))
    judge.eval()
    judged, maps = judge(jnp.concatenate([true, made]))
    return {
        "hinge": discriminator_hinge(opinions[:n], opinions[n:]),
        "adversarial": -jnp.mean(judged[n:]),
        "feature_matching": feature_distance(
            [each[n:] for each in maps], [each[:n] for each in maps]
        ),
    }


def validation_error(
    config: RendererConfig, average: Params, batch: Batch
) -> Float[Array, ""]:
    """The reconstruction error of the averaged networks in their inference form,
    without jitter or focus.

    Where no pictures are made, the error of the deformation at landmarks; without one,
    of guided keypoints.
    """
    pair, networks = (
        prepare(config, batch, jnp.ones((len(batch["row"]), 3))),
        build(config, average, {}),
    )
    placed = networks.place(pair.source, pair.driving)
    if not config.warps:
        return both_frames(partial(guidance_error, guided=config.guided), pair, placed)
    warped = networks.warp(pair.source, placed)
    if not config.draws:
        return landmark_flow_error(config, pair, warped)
    image = networks.generator(warped.features)
    return pyramid_error(
        image, pair.target, jnp.ones((1, *image.shape[1:3], 1)), config.scales
    )


def picture(
    config: RendererConfig, average: Params, batch: Batch
) -> Float[Array, "H W 3"]:
    """A row a pair: source, driving frame, and what the averaged networks make.

    Where no pictures are made, the driving frame with its guided keypoints in white.
    """
    pair, networks = (
        prepare(config, batch, jnp.ones((len(batch["row"]), 3))),
        build(config, average, {}),
    )
    placed = networks.place(pair.source, pair.driving)
    if config.draws:
        image = networks.draw(pair.source, placed)
    else:
        guided = [keypoint for keypoint, _ in config.guided]
        image = jnp.maximum(
            pair.target, marks(placed.driving[:, guided, :2], config.target_size)
        )
    source = shrink(batch["source"].astype(jnp.float32) / 255.0, config.target_size)
    rows = jnp.concatenate([source, pair.target, image], axis=2)
    return rows.reshape(-1, *rows.shape[2:])


def hold(params: Params, networks: Sequence[str]) -> Params:
    """The same parameters; no gradient reaches those of `networks`."""
    held = tuple(f"{name}." for name in networks)
    return {
        name: lax.stop_gradient(leaf) if name.startswith(held) else leaf
        for name, leaf in params.items()
    }


def build(config: RendererConfig, params: Params, measured: Params) -> Any:
    """The networks with these parameters and batch statistics, in their inference
    form."""
    return network_of(template(config), params | measured)


def template(config: RendererConfig) -> Networks:
    """The networks with shapes in place of arrays."""
    networks = nnx.eval_shape(
        lambda: Networks(config, dtype=jnp.dtype(config.dtype), rngs=nnx.Rngs(0))
    )
    networks.eval()
    return networks
