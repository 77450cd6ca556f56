"""The networks of a denoiser's training: the denoiser, and an encoder of sound that may
run within the step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxportrait.features.waveform import pad_window
from jaxportrait.models.hubert import HubertEncoder
from jaxportrait.models.motion_diffusion import MotionDiffusion
from jaxportrait.models.parts import abstract
from jaxportrait.ops.dropout import KEEP, Keep
from train.diffusion.config import DENOISER, ENCODER, DiffusionConfig
from train.diffusion.data import FRAME_SAMPLES
from train.engine.state import Params, network_of

Batch = Mapping[str, Array]
"""See `train.diffusion.data.PairCrop.pair`, with an axis of samples before each; `row`
is each sample's place in the global batch."""


@dataclass(frozen=True)
class StepConfig:
    """Options and sizes of a step.

    Attributes:
      training: options of the run.
      sizes: part -> config of the denoiser, and of an encoder that runs within it.
      expression: the values of a frame that belong to the expression; those after the
        motion space are in no loss.
      width: values of the motion space.
    """

    training: DiffusionConfig
    sizes: Mapping[str, Any]
    expression: tuple[bool, ...]

    @property
    def width(self) -> int:
        return len(self.expression)


@dataclass(frozen=True)
class Networks:
    """The networks of a step.

    Attributes:
      denoiser: the network that learns.
      encoder: HuBERT, where it runs within the step.
      learns: whether the encoder learns too.
    """

    denoiser: MotionDiffusion
    encoder: HubertEncoder | None
    learns: bool

    def features(
        self, batch: Batch, end: Int[Array, "n 2"], drop: Keep = KEEP
    ) -> list[Array]:
        """Return the features of both windows, silent from frame `end` on, (n, s, a)
        each."""
        if self.encoder is None:
            return _silence_features(batch, end)
        frames = jnp.arange(batch["sound"].shape[-1]) // FRAME_SAMPLES
        sound = jnp.where(frames[None, None] < end[..., None], batch["sound"], 0.0)
        return [self.encode(sound[:, i], drop) for i in range(2)]

    def encode(
        self, sound: Float[Array, "n s"], drop: Keep = KEEP
    ) -> Float[Array, "n t a"]:
        """Return the features of windows of sound by the encoder.

        Args:
          drop: dropout of training, for an encoder that learns.
        """
        encoder = self.encoder
        if encoder is None:
            raise ValueError("features are stored, and there is no encoder of sound")
        # The convolutions never learn, as published.
        convolved = jax.lax.stop_gradient(encoder.convolve(pad_window(sound)))
        if self.learns:
            return encoder.transform(convolved, drop)
        return jax.lax.stop_gradient(encoder.transform(convolved))


def build(config: StepConfig, params: Params) -> Networks:
    """Return the networks with these parameters, whose names begin with their part.

    The denoiser computes in the run's dtype, and the encoder in float32.
    """
    dtype = jnp.dtype(config.training.dtype)
    template = abstract(config.sizes[DENOISER], dtype=dtype)
    denoiser = network_of(template, part_of(params, DENOISER))
    if ENCODER not in config.sizes:
        return Networks(denoiser, None, learns=False)
    encoder = network_of(abstract(config.sizes[ENCODER]), part_of(params, ENCODER))
    return Networks(denoiser, encoder, config.training.encoder == "trained")


def part_of(params: Params, part: str) -> Params:
    """Return the parameters of a part, by their names within it."""
    # A dot, so that no part is the beginning of another.
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): leaf
        for name, leaf in params.items()
        if name.startswith(prefix)
    }


def _silence_features(batch: Batch, end: Int[Array, "n 2"]) -> list[Array]:
    """Return the stored features, with silence from frame `end` on."""
    features = batch["features"].astype(jnp.float32)
    silence = batch["silence"].astype(jnp.float32)[:, None]
    count = features.shape[2]
    share = count // batch["motion"].shape[2]
    # So many features last as long as a frame.
    is_sound = jnp.arange(count)[None, None] < share * end[..., None]
    return [
        jnp.where(is_sound[:, i, :, None], features[:, i], silence) for i in range(2)
    ]
