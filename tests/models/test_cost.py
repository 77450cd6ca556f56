"""What a frame costs, counted and not timed: a saving that is lost by accident fails
here."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxportrait.models.blocks import fold
from jaxportrait.models.dense_motion import WarpingConfig
from jaxportrait.models.generator import GeneratorConfig
from tests.models.test_networks import drawn, inputs_of

FLOPS, BYTES = 6.661e9, 5.843e8
"""Of two frames of small networks, wide enough for every saving, in their inference
form, as compiled for a CPU.

Renew them with a new saving.

The mask convolution counts depth taps beyond the volume too, and is the faster for it
(docs/performance.md).
"""


@jax.jit
def frames(warping, generator, volume, source, driving, compressed):
    return generator(warping(volume, source, driving, compressed).features)


def cost_of(warping: nnx.Module, generator: nnx.Module) -> dict[str, float]:
    """The compiled operations and bytes of two frames of one source."""
    volume, source, driving = inputs_of("warping")
    compressed = jnp.zeros(
        (1, *volume.shape[1:-1], warping.dense_motion.compress.conv.bias.size)
    )
    compiled = frames.lower(
        warping, generator, volume[:1], source[:1], driving, compressed
    ).compile()
    return compiled.cost_analysis()


def test_a_frame_costs_what_it_did():
    configs = {
        "warping": replace(WarpingConfig.tiny(), features=64),
        "generator": replace(
            GeneratorConfig.tiny(), features=64, hidden=64, output_channels=64
        ),
    }
    networks = [drawn(part, config) for part, config in configs.items()]
    plain = cost_of(*networks)
    for network in networks:
        fold(network)
    cost = cost_of(*networks)
    assert cost["flops"] == pytest.approx(FLOPS, rel=0.02)
    assert cost["bytes accessed"] == pytest.approx(BYTES, rel=0.05)
    assert cost["flops"] < 0.46 * plain["flops"]
