"""The networks that are trained together, S and R, and the frozen F, M, W and G."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.parts import build
from train.engine.state import Params, network_of
from train.renderer.networks import Renderer
from train.stitching.config import StepConfig


class Corrections(nnx.Module):
    """S and, where eyes and lips are known, R, by the names of their parts."""

    def __init__(
        self, config: StepConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        # Attributes are named as the parts of a checkpoint.
        for part, size in config.sizes.items():
            network = build(size, dtype=dtype, rngs=rngs)
            setattr(self, part, begin_at_zero(network))

    def __getitem__(self, part: str) -> Any:
        return getattr(self, part)


def begin_at_zero(network: Any) -> Any:
    """Set the last layer of a network to 0, so that it begins with whole pictures."""
    last = network.layers[-1].kernel
    last.set_value(jnp.zeros_like(last.get_value()))
    return network


def build_corrections(config: StepConfig, params: Params) -> Corrections:
    """Return S and R with these parameters."""
    dtype = jnp.dtype(config.training.dtype)
    template = nnx.eval_shape(
        lambda: Corrections(config, dtype=dtype, rngs=nnx.Rngs(0))
    )
    return network_of(template, params)


def build_renderer(config: StepConfig, frozen: Params) -> Renderer:
    """Return F, M, W and G with these weights, in their inference form."""
    dtype = jnp.dtype(config.training.dtype)
    template = nnx.eval_shape(
        lambda: Renderer(config.renderer, dtype=dtype, rngs=nnx.Rngs(0))
    )
    # Batch norms use their stored statistics.
    template.eval()
    return network_of(template, frozen)


def render(
    renderer: Renderer,
    volume: Float[Array, "n d h w c"],
    source: Float[Array, "n k 3"],
    driving: Sequence[Float[Array, "n k 3"]],
) -> list[Float[Array, "n h w 3"]]:
    """Draw every source for each of `driving`, by one pass of W and G.

    Args:
      renderer: F, M, W and G.
      volume: features of the sources.
      source: keypoints of the sources.
      driving: keypoints that the sources are moved to.
    """
    n, copies = len(source), len(driving)
    compressed = renderer.warping.dense_motion.compress_volume(volume)

    def repeat(array: Array) -> Array:
        return jnp.repeat(array, copies, axis=0)

    # The copies of a source lie together in the batch of n x copies.
    targets = jnp.stack(driving, axis=1).reshape(n * copies, *source.shape[1:])
    warped = renderer.warping(
        repeat(volume), repeat(source), targets, repeat(compressed)
    )
    images = renderer.generator(warped.features).astype(jnp.float32)
    images = images.reshape(n, copies, *images.shape[1:])
    return [images[:, copy] for copy in range(copies)]
