"""The networks that are trained together, S and R; and F, M, W and G, which are not."""

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
        for part, size in config.sizes.items():
            setattr(self, part, begin_at_zero(build(size, dtype=dtype, rngs=rngs)))

    def __getitem__(self, part: str) -> Any:
        return getattr(self, part)


def begin_at_zero(network: Any) -> Any:
    """The same network, whose offsets are 0 until it learns, so that it begins with
    whole pictures."""
    last = network.layers[-1].kernel
    last.set_value(jnp.zeros_like(last.get_value()))
    return network


def build_corrections(config: StepConfig, params: Params) -> Corrections:
    """S and R with these parameters."""
    dtype = jnp.dtype(config.training.dtype)
    return network_of(
        nnx.eval_shape(lambda: Corrections(config, dtype=dtype, rngs=nnx.Rngs(0))),
        params,
    )


def build_renderer(config: StepConfig, frozen: Params) -> Renderer:
    """F, M, W and G with these weights, in their inference form."""
    dtype = jnp.dtype(config.training.dtype)
    template = nnx.eval_shape(
        lambda: Renderer(config.renderer, dtype=dtype, rngs=nnx.Rngs(0))
    )
    template.eval()
    return network_of(template, frozen)


def render(
    renderer: Renderer,
    volume: Float[Array, "n d h w c"],
    source: Float[Array, "n k 3"],
    driving: Sequence[Float[Array, "n k 3"]],
) -> list[Float[Array, "n h w 3"]]:
    """A picture of every source for each of `driving`, by one pass of W and G; those of
    a source lie together in it."""
    n, copies = len(source), len(driving)
    compressed = renderer.warping.dense_motion.compress_volume(volume)
    volume, compressed, source = (
        jnp.repeat(each, copies, axis=0) for each in (volume, compressed, source)
    )
    warped = renderer.warping(
        volume, source, jnp.stack(driving, axis=1).reshape(source.shape), compressed
    )
    made = renderer.generator(warped.features).astype(jnp.float32)
    made = made.reshape(n, copies, *made.shape[1:])
    return [made[:, copy] for copy in range(copies)]
