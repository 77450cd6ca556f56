"""The audio features that a checkpoint may name, by kind."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.features.base import AudioFeatures
from jaxportrait.features.spectrogram import log_mel_features, whisper_features

FEATURES: dict[str, Callable[[Any], AudioFeatures]] = {
    "log_mel": log_mel_features,
    "whisper": whisper_features,
}
"""Kind, which is also the part of a checkpoint that holds the network -> its features."""


def load_features(
    checkpoint: Checkpoint, *, dtype: DTypeLike = jnp.float32
) -> AudioFeatures:
    """Load the audio features of a checkpoint.

    Args:
      dtype: compute dtype of their network.

    Raises:
      CheckpointError: the checkpoint holds no audio encoder, or it is damaged.
    """
    kind = checkpoint.config.audio_encoder
    return FEATURES[kind](checkpoint.network(kind, dtype=dtype))
