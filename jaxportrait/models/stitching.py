"""S and R, the stitching and retargeting MLPs: small corrections of keypoints.

Source: LivePortrait (its StitchingRetargetingNetwork).
"""

import itertools
from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ranges import Width, check_ranges


@dataclass(frozen=True)
class StitchingConfig:
    """Sizes of an MLP of S or R: keypoints (and ratios) -> offsets.

    Attributes:
      inputs: values that it reads.
      hidden: widths of its hidden layers.
      outputs: values that it returns.
    """

    inputs: Width
    hidden: tuple[Width, ...]
    outputs: Width

    def __post_init__(self) -> None:
        check_ranges(self)

    @classmethod
    def stitching(cls, keypoints: int = 21) -> Self:
        # Source and driving keypoints -> offsets, and a shift in x and y.
        return cls(2 * 3 * keypoints, (128, 128, 64), 3 * keypoints + 2)

    @classmethod
    def lips(cls, keypoints: int = 21) -> Self:
        # Keypoints, the mouth's opening in the source, and the target.
        return cls(3 * keypoints + 2, (128, 128, 64), 3 * keypoints)

    @classmethod
    def eyes(cls, keypoints: int = 21) -> Self:
        # Keypoints, the opening of both eyes in the source, and the target.
        return cls(3 * keypoints + 3, (256, 256, 128, 128, 64), 3 * keypoints)


class StitchingNetwork(nnx.Module):
    """Linear layers with ReLU between."""

    def __init__(
        self, config: StitchingConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        widths = (config.inputs, *config.hidden, config.outputs)
        self.layers = nnx.List(
            nnx.Linear(inputs, outputs, dtype=dtype, rngs=rngs)
            for inputs, outputs in itertools.pairwise(widths)
        )

    def __call__(self, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
        *hidden, last = self.layers
        for layer in hidden:
            x = nnx.relu(layer(x))
        return last(x)


def stitch(
    network: StitchingNetwork,
    source: Float[Array, "m k 3"],
    driving: Float[Array, "n k 3"],
) -> Float[Array, "n k 3"]:
    """Correct driving keypoints so that the shoulders stay where the source has them.

    Args:
      network: S.
      source: keypoints of the source; m = n, or m = 1 where it serves every frame.
      driving: keypoints of the frames.
    """
    n, keypoints, _ = driving.shape
    # m = 1: one source serves every frame.
    source = jnp.broadcast_to(source, driving.shape)
    # (n, k, 3) -> (n, 3 k), the source's keypoints first
    inputs = jnp.concatenate([source.reshape(n, -1), driving.reshape(n, -1)], axis=-1)
    outputs = network(inputs).astype(driving.dtype)
    offsets = outputs[:, : 3 * keypoints].reshape(driving.shape)
    shift = jnp.pad(outputs[:, 3 * keypoints :], ((0, 0), (0, 1)))  # x and y; z stays
    return driving + offsets + shift[:, None, :]


def opening_offsets(
    network: StitchingNetwork,
    source: Float[Array, "m k 3"],
    openness: Float[Array, "n r"],
) -> Float[Array, "n k 3"]:
    """Return offsets of the source's keypoints that open eyes or lips by an amount.

    Args:
      network: R of the eyes or of the lips.
      source: keypoints of the source; m = n, or m = 1 where it serves every frame.
      openness: opening of each eye, or of the lips, in the source, and last the wanted
        one: heights in widths.
    """
    n = len(openness)
    keypoints = source.shape[1]
    # m = 1: one source serves every frame.
    source = jnp.broadcast_to(source, (n, keypoints, 3))
    # (n, k, 3) -> (n, 3 k + r), keypoints first
    inputs = jnp.concatenate([source.reshape(n, -1), openness], axis=-1)
    return network(inputs).astype(source.dtype).reshape(source.shape)


def retarget(
    network: StitchingNetwork,
    source: Float[Array, "m k 3"],
    openness: Float[Array, "n r"],
) -> Float[Array, "n k 3"]:
    """Return the source's keypoints with eyes or lips that open by a given amount; see
    `opening_offsets` for the arguments."""
    return source + opening_offsets(network, source, openness)
