"""The parts that a checkpoint may hold: which network each is, and how one is built
from its config."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jaxportrait.models.appearance import AppearanceExtractor
from jaxportrait.models.flow_transformer import FlowTransformer
from jaxportrait.models.generator import Generator
from jaxportrait.models.log_mel import LogMelEncoder
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.models.stitching import StitchingNetwork
from jaxportrait.models.vgg import VGG
from jaxportrait.models.warping import WarpingNetwork
from jaxportrait.models.whisper import WhisperEncoder

NETWORKS: dict[str, type[nnx.Module]] = {
    "appearance": AppearanceExtractor,
    "motion": MotionExtractor,
    "warping": WarpingNetwork,
    "generator": Generator,
    "stitching": StitchingNetwork,
    "lip_retargeting": StitchingNetwork,
    "eye_retargeting": StitchingNetwork,
    "whisper": WhisperEncoder,
    "log_mel": LogMelEncoder,
    "flow_transformer": FlowTransformer,
    "perceptual": VGG,
}
"""Part -> network; each part is a field of `PortraitConfig`."""

AudioEncoder = WhisperEncoder | LogMelEncoder
"""What makes audio features of a log-mel spectrogram; the config of each has
`mel_bins`, `context` and `width`."""


def build(
    part: str, config: Any, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
) -> nnx.Module:
    """A freshly initialised network of `part`."""
    return NETWORKS[part](config, dtype=dtype, rngs=rngs)  # pyright: ignore[reportCallIssue]


def abstract(part: str, config: Any, *, dtype: DTypeLike = jnp.float32) -> nnx.Module:
    """The network of `part` with shapes in place of arrays."""
    return nnx.eval_shape(lambda: build(part, config, dtype=dtype, rngs=nnx.Rngs(0)))
