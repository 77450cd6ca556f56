"""The audio features that a checkpoint may name, by kind."""

from collections.abc import Callable
from typing import Any

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.features.base import AudioFeatures
from jaxportrait.features.spectrogram import log_mel_features, whisper_features
from jaxportrait.features.waveform import hubert_features
from jaxportrait.models.parts import kind_of

# Each kind is a row of `models.parts` with the role "audio features".
FEATURES: dict[str, Callable[[Any], AudioFeatures]] = {
    "hubert": hubert_features,
    "log_mel": log_mel_features,
    "whisper": whisper_features,
}
"""Kind of the network -> its features."""


def load_features(checkpoint: Checkpoint, part: str | None = None) -> AudioFeatures:
    """Load the audio features of a checkpoint, which compute in float32.

    Audio encoders hold a few activations above 600, beside which bfloat16 loses the
    rest: real features would be 5 % off (docs/parity.md).

    Args:
      part: name of the audio encoder; by default the only one.

    Raises:
      CheckpointError: the checkpoint holds no such audio encoder, or it is damaged.
    """
    part = checkpoint.encoder(part)
    kind = kind_of(checkpoint.sizes(part))
    return FEATURES[kind](checkpoint.network(part))
