"""Shares of a batch's samples in the losses that are means over known values only.

Such a mean over a part of a batch has another denominator than that over the batch. A
part's loss is scaled by the mean share of its samples. The mean over parts is then the
loss of the whole batch.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from train.renderer.config import RendererConfig
from train.renderer.losses import columns, focus_map, seen_in_both
from train.renderer.pair import Pair

Shares = dict[str, Float[Array, " n"]]
"""Name of a loss, with the frame where it has one -> share of each sample, 1 on
average."""
NO_SHARES: Shares = {}
"""Those of a batch that is computed as a whole."""


def sample_shares(config: RendererConfig, pair: Pair) -> Shares:
    """Return the share of each sample, from what is known of it."""
    # Poses of the source frames come first, then those of the driving frames.
    source_pose, driving_pose = jnp.split(pair.pose, 2)
    poses = jnp.concatenate([source_pose, driving_pose], axis=1)
    counts: Shares = {"pose": _known(poses)}
    counts |= _landmark_counts(config, "source", pair.source_landmarks)
    counts |= _landmark_counts(config, "driving", pair.driving_landmarks)
    losses = config.losses
    if losses.correspondence:
        mask = seen_in_both(pair.source_landmarks, pair.driving_landmarks)
        weights = landmark_weights(config, mask.shape[1])
        counts["correspondence"] = mask[..., 0].astype(jnp.float32) @ weights
    if losses.focus and config.draws_pictures:
        focused = pair.driving_landmarks[:, list(config.focused)]
        weight = focus_map(focused, losses.focus, config.output_size)
        # Halving a map leaves its mean, so that one share serves all scales.
        counts["reconstruction"] = weight.mean(axis=(1, 2, 3))
    shares = {}
    for name, count in counts.items():
        shares[name] = _relative(count)
    return shares


def _landmark_counts(
    config: RendererConfig, frame: str, landmarks: Float[Array, "n l 2"]
) -> Shares:
    """Count the values of a frame that guide keypoints and their gaps."""
    counts: Shares = {}
    if config.guided:
        _, targets = columns(config.guided)
        counts[f"{frame} landmarks"] = _known(landmarks[:, targets])
    if config.losses.gaps:
        first, second = columns(config.guided_gaps)
        gaps = landmarks[:, second] - landmarks[:, first]
        counts[f"{frame} gaps"] = _known(gaps)
    return counts


def share_of(shares: Shares, name: str) -> Float[Array, ""] | float:
    """Return the factor of a loss on a part of a batch; 1 on the whole."""
    if name not in shares:
        return 1.0
    return jnp.mean(shares[name])


def landmark_weights(config: RendererConfig, count: int) -> Float[Array, " l"]:
    """Return the weight of each landmark's correspondence: `1 + focus` where pixels are
    focused, 1 elsewhere."""
    focused = jnp.array(config.focused, int)
    return jnp.ones(count).at[focused].add(config.losses.focus)


def _known(values: Float[Array, "n *m"]) -> Float[Array, " n"]:
    """Count the values of each sample that are known."""
    mask = jnp.isfinite(values).astype(jnp.float32)
    flat = mask.reshape(len(values), -1)
    return flat.sum(axis=1)


def _relative(count: Float[Array, " n"]) -> Float[Array, " n"]:
    mean = jnp.mean(count)
    # Where nothing is known the loss is 0, whatever its factor.
    divisor = jnp.where(mean > 0, mean, 1.0)
    return count / divisor
