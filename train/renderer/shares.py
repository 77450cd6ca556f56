"""Shares of a batch's samples in the losses that are means over known values only.

Such a mean over a part of a batch has another denominator than that over the batch. A
part's loss is scaled by the mean share of its samples. The mean over parts is then the
loss of the whole batch.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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
    counts: Shares = {"pose": _known(jnp.stack(jnp.split(pair.pose, 2), axis=1))}
    frames = {"source": pair.source_landmarks, "driving": pair.driving_landmarks}
    for frame, landmarks in frames.items():
        if config.guided:
            _, targets = columns(config.guided)
            counts[f"{frame} landmarks"] = _known(landmarks[:, targets])
        if config.losses.gaps:
            first, second = columns(config.guided_gaps)
            gaps = landmarks[:, second] - landmarks[:, first]
            counts[f"{frame} gaps"] = _known(gaps)
    if config.losses.correspondence:
        mask = seen_in_both(pair.source_landmarks, pair.driving_landmarks)[..., 0]
        counts["correspondence"] = mask @ landmark_weights(config, mask.shape[1])
    if config.losses.focus and config.draws_pictures:
        focused = pair.driving_landmarks[:, list(config.focused)]
        weight = focus_map(focused, config.losses.focus, config.output_size)
        counts["reconstruction"] = weight.mean(axis=(1, 2, 3))
    return {name: _relative(count) for name, count in counts.items()}


def share_of(shares: Shares, name: str) -> Float[Array, ""] | float:
    """Return the factor of a loss on a part of a batch; 1 on the whole."""
    return jnp.mean(shares[name]) if name in shares else 1.0


def landmark_weights(config: RendererConfig, count: int) -> Float[Array, " l"]:
    """Return the weight of each landmark's correspondence: `1 + focus` where pixels are
    focused, 1 elsewhere."""
    focused = jnp.array(config.focused, int)
    return jnp.ones(count).at[focused].add(config.losses.focus)


def _known(values: Float[Array, "n *m"]) -> Float[Array, " n"]:
    """Count the values of each sample that are known."""
    mask: Bool[Array, n *m] = jnp.isfinite(values)
    return mask.reshape(len(values), -1).sum(axis=1).astype(jnp.float32)


def _relative(count: Float[Array, " n"]) -> Float[Array, " n"]:
    # Where nothing is known the loss is 0, whatever its factor.
    mean = jnp.mean(count)
    return count / jnp.where(mean > 0, mean, 1.0)
