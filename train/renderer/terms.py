"""Losses of the renderer's networks on a batch of pairs, by name."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxportrait.models.vgg import VGG
from jaxportrait.models.warping import Warped
from jaxportrait.types import Motion
from train.renderer.config import RendererConfig
from train.renderer.losses import (
    correspondence_error,
    crowding,
    discriminator_hinge,
    feature_distance,
    focus_map,
    gap_error,
    guidance_error,
    perceptual_error,
    pose_error,
    pyramid_error,
)
from train.renderer.networks import Discriminator, Networks, Placed, place_keypoints
from train.renderer.pair import Pair
from train.renderer.shares import NO_SHARES, Shares, landmark_weights, share_of
from train.renderer.transform import Warp, warp_images, warp_points

Terms = dict[str, Float[Array, ""]]
"""Losses by name, before their weights."""
Factors = tuple[Float[Array, ""] | float, Float[Array, ""] | float]
"""Those of a loss on source and driving frames."""


def renderer_terms(
    config: RendererConfig,
    networks: Networks,
    vgg: VGG | None,
    pair: Pair,
    warp: Warp,
    shares: Shares = NO_SHARES,
) -> Terms:
    """Return every loss that counts, before its weight; `hinge` is the
    discriminator's.

    Args:
      config: options of the run.
      networks: all networks.
      vgg: network of the perceptual loss; None without it.
      pair: frames of a batch, or of a part of it.
      warp: warp of each frame.
      shares: shares of the samples of a part.
    """
    placed = networks.place(pair.source, pair.driving)
    terms = keypoint_terms(config, pair, placed, shares)
    if config.losses.equivariance:
        motion = placed.motion
        terms["equivariance"] = equivariance_error(networks, pair.driving, motion, warp)
    if not config.warps_source:
        return terms
    warped = networks.warp(pair.source, placed)
    if config.losses.correspondence:
        error = landmark_flow_error(config, pair, warped)
        terms["correspondence"] = error * share_of(shares, "correspondence")
    if config.draws_pictures:
        terms |= picture_terms(config, networks, vgg, pair, warped)
        terms["reconstruction"] *= share_of(shares, "reconstruction")
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
    weight = landmark_weights(config, pair.source_landmarks.shape[1])
    return correspondence_error(
        warped.motion.deformation,
        pair.source_landmarks,
        pair.driving_landmarks,
        weight,
        config.folds,
    )


def keypoint_terms(
    config: RendererConfig, pair: Pair, placed: Placed, shares: Shares = NO_SHARES
) -> Terms:
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
        "pose": pose_error(motion.pose, pair.pose) * share_of(shares, "pose"),
    }
    if config.guided:
        guidance = partial(guidance_error, guided=config.guided)
        factors = frame_shares(shares, "landmarks")
        terms["landmarks"] = both_frames(guidance, pair, placed, factors)
    if config.losses.gaps:
        gap = partial(gap_error, guided=config.guided, gaps=config.gaps)
        factors = frame_shares(shares, "gaps")
        terms["gaps"] = both_frames(gap, pair, placed, factors)
    return terms


def frame_shares(shares: Shares, name: str) -> Factors:
    """Return the factors of a loss on source and driving frames."""
    return share_of(shares, f"source {name}"), share_of(shares, f"driving {name}")


def both_frames(
    error: Callable[[Array, Array], Array],
    pair: Pair,
    placed: Placed,
    factors: Factors = (1.0, 1.0),
) -> Float[Array, ""]:
    """Return the mean over both frames of an error of keypoints from landmarks, each
    times its factor."""
    source = error(placed.source, pair.source_landmarks) * factors[0]
    driving = error(placed.driving, pair.driving_landmarks) * factors[1]
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
