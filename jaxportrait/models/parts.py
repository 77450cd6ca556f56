"""The registry of networks: one row a network, and the only table of them.

A checkpoint calls its networks parts. A part has a name of its own and a kind, which
names a row here: `stitching` and `lip_retargeting`, for example, are two parts of the
kind `stitching`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array

from jaxportrait.models.appearance import AppearanceConfig, AppearanceExtractor
from jaxportrait.models.character import Character, CharacterConfig
from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.models.generator import Generator, GeneratorConfig
from jaxportrait.models.hubert import HubertConfig, HubertEncoder
from jaxportrait.models.lmdm import LMDM, LMDMConfig
from jaxportrait.models.log_mel import LogMelConfig, LogMelEncoder
from jaxportrait.models.motion import MotionConfig, MotionExtractor
from jaxportrait.models.motion_diffusion import MotionDiffusion, MotionDiffusionConfig
from jaxportrait.models.stitching import StitchingConfig, StitchingNetwork
from jaxportrait.models.vgg import VGG, VGGConfig
from jaxportrait.models.warping import WarpingConfig, WarpingNetwork
from jaxportrait.models.whisper import WhisperConfig, WhisperEncoder

Role = Literal["renderer", "audio features", "driver", "retargeting", "training"]
"""Purpose of a network; a `training` network is no part of a portrait."""


class Network(NamedTuple):
    """A row of the registry.

    Attributes:
      config: the frozen dataclass of the network's sizes, which belongs to no other row.
      network: the module, built from that config.
    """

    config: type[Any]
    network: type[nnx.Module]
    role: Role


# Checkpoints store these kinds: renaming a row would make old files unreadable.
NETWORKS: dict[str, Network] = {
    "appearance": Network(AppearanceConfig, AppearanceExtractor, "renderer"),
    "motion": Network(MotionConfig, MotionExtractor, "renderer"),
    "warping": Network(WarpingConfig, WarpingNetwork, "renderer"),
    "generator": Network(GeneratorConfig, Generator, "renderer"),
    "stitching": Network(StitchingConfig, StitchingNetwork, "retargeting"),
    "whisper": Network(WhisperConfig, WhisperEncoder, "audio features"),
    "log_mel": Network(LogMelConfig, LogMelEncoder, "audio features"),
    "hubert": Network(HubertConfig, HubertEncoder, "audio features"),
    "flow_transformer": Network(FlowTransformerConfig, FlowTransformer, "driver"),
    "motion_diffusion": Network(MotionDiffusionConfig, MotionDiffusion, "driver"),
    "lmdm": Network(LMDMConfig, LMDM, "driver"),
    "character": Network(CharacterConfig, Character, "driver"),
    "vgg": Network(VGGConfig, VGG, "training"),
}
"""Kind -> network."""


def kinds(role: Role) -> tuple[str, ...]:
    """Return the kinds of network with this role, in the registry's order."""
    return tuple(kind for kind, row in NETWORKS.items() if row.role == role)


RENDERER = kinds("renderer")
"""The parts of a renderer: F, M, W and G. Their names are their kinds."""


def kind_of(config: Any) -> str:
    """Return the kind of network that `config` describes."""
    for kind, row in NETWORKS.items():
        # Exactly this class: a subclass could be the config of another row.
        if type(config) is row.config:
            return kind
    raise TypeError(f"{type(config).__name__} is the config of no registered network")


def build(config: Any, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs) -> nnx.Module:
    """Return a freshly initialised network of this config.

    Args:
      dtype: compute dtype; the weights are float32.
    """
    network = NETWORKS[kind_of(config)].network
    return network(config, dtype=dtype, rngs=rngs)  # pyright: ignore[reportCallIssue]


def abstract(config: Any, *, dtype: DTypeLike = jnp.float32) -> nnx.Module:
    """Return the network of this config with shapes in place of arrays."""
    # A copy, since the caller may fill it.
    return nnx.clone(_abstract(config, jnp.dtype(dtype)))


class SameKey:
    """Random generators of one key, where shapes are wanted and nothing is drawn.

    Those of Flax count their keys, which takes most of the time that tracing takes.
    """

    def __init__(self) -> None:
        self.key = jax.random.key(0)

    def __getattr__(self, stream: str) -> Callable[[], Array]:
        return lambda: self.key


# Tracing a network's initialisation takes up to half a second, a copy few milliseconds.
@lru_cache(maxsize=64)
def _abstract(config: Any, dtype: DTypeLike) -> nnx.Module:
    rngs = cast(nnx.Rngs, SameKey())
    return nnx.eval_shape(lambda: build(config, dtype=dtype, rngs=rngs))
