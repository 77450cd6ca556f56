"""The VGG of the perceptual loss, whose weights come from a checkpoint and stay
fixed."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp

from jaxportrait.checkpoint import Checkpoint, fill, open_checkpoint
from jaxportrait.models.parts import abstract
from jaxportrait.models.vgg import VGG, VGGConfig
from train.data.dataset import network_identity
from train.engine.config import ConfigError
from train.renderer.config import RendererConfig

PART = "perceptual"


def open_vgg(
    path: Path | None, config: RendererConfig
) -> tuple[VGG | None, dict[str, str]]:
    """Open the network of the perceptual loss, its weights on the host.

    Args:
      path: checkpoint that holds it; None without a perceptual loss.
      config: options of the run.

    Returns:
      The network, and the identity of its weights by part; None and nothing without a
      perceptual loss.

    Raises:
      ConfigError: the loss counts and there is no checkpoint, or the other way round,
        or pictures are too small.
    """
    # A weight and a checkpoint belong together.
    weight = config.losses.perceptual
    if path is None:
        if weight:
            raise ConfigError(
                f"losses.perceptual is {weight}, and --perceptual is missing: pass a checkpoint of "
                "`python -m convert_weights --vgg vgg19-dcbb9e9d.pth`, or set it to 0"
            )
        return None, {}
    if not weight:
        raise ConfigError(
            f"--perceptual {path} has no effect, as losses.perceptual is 0: set it, such as to "
            "10, or leave out the checkpoint"
        )
    checkpoint = open_checkpoint(path)
    check_size(config, checkpoint.sizes(PART))
    return read_vgg(checkpoint, config), {PART: network_identity(checkpoint, PART)}


def read_vgg(checkpoint: Checkpoint, config: RendererConfig) -> VGG:
    """Read the network, which computes in the run's dtype."""
    network: Any = abstract(checkpoint.sizes(PART), dtype=jnp.dtype(config.dtype))
    fill(network, checkpoint.leaves(PART))
    return network


def check_size(config: RendererConfig, vgg: VGGConfig) -> None:
    """Raise a ConfigError if the coarsest picture that is compared is too small for the
    network."""
    # The VGG halves the coarsest picture several times.
    coarsest = config.output_size // 2 ** (config.scales - 1)
    least = 2**vgg.halvings
    if coarsest < least:
        raise ConfigError(
            f"scales is {config.scales}, which shrinks pictures of {config.output_size} pixels "
            f"to {coarsest}, and the perceptual loss needs {least}: use fewer scales"
        )
