"""Rematerialisation: values that the backward pass computes again, in place of keeping
them from the forward pass."""

from functools import cache

from flax import nnx

from jaxportrait.models.appearance import AppearanceExtractor, ResidualBlock
from jaxportrait.models.blocks import ConvNorm
from jaxportrait.models.convnextv2 import Block
from jaxportrait.models.generator import Generator, SpadeBlock
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.models.warping import WarpingNetwork
from train.renderer.config import Remat
from train.renderer.networks import Discriminator, Networks

PARTS: dict[Remat, tuple[type[nnx.Module], ...]] = {
    "none": (),
    # The discriminator, whose layers are no blocks, is computed again as a whole.
    "blocks": (SpadeBlock, ResidualBlock, Block, ConvNorm, Discriminator),
    "networks": (
        AppearanceExtractor,
        MotionExtractor,
        WarpingNetwork,
        Generator,
        Discriminator,
    ),
}
"""Choice -> modules whose inputs are kept, and nothing inside."""


def rematerialize(networks: Networks, choice: Remat) -> Networks:
    """Return the networks, some modules of which compute their values again.

    Weights, results and gradients are those of `networks`.
    """
    for _, module in nnx.iter_modules(networks):
        # The networks were built for this trace, so that no other holds them.
        if type(module) in PARTS[choice]:
            module.__class__ = _form(type(module))
    return networks


@cache
def _form(kind: type[nnx.Module]) -> type[nnx.Module]:
    """Return the subclass whose call is rematerialised."""
    # Flax's form also passes on what batch and spectral norms measure.
    call = nnx.remat(kind.__call__)
    return type(kind.__name__, (kind,), {"__call__": call})
