"""The log-mel spectrogram as audio features, in place of Whisper's: nothing to
download, and a feature hears 35 ms.

Only the floor, which the clip's maximum sets, is of more.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND


@dataclass(frozen=True)
class LogMelConfig:
    """The log-mel spectrogram itself as audio features: two frames side by side make
    one; it has no weights.

    Attributes:
      mel_bins: of the spectrogram; a feature is twice as wide.
    """

    mel_bins: int = 80

    def __post_init__(self):
        if self.mel_bins < 1:
            raise ValueError(
                f"a log-mel spectrogram of {self.mel_bins} bins was asked for: take 1 or more, such as 80"
            )

    @property
    def width(self) -> int:
        return 2 * self.mel_bins

    @property
    def context(self) -> int:
        """Features made at once, 2 s; a feature is the same whatever block it is made
        in."""
        return 2 * FEATURES_PER_SECOND


class LogMelEncoder(nnx.Module):
    """A block of the log-mel spectrogram -> features: every two frames side by side. It
    has no weights."""

    def __init__(
        self, config: LogMelConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        self.config = config
        self.dtype = dtype

    def __call__(
        self, log_mel: Float[Array, "n frames mel_bins"]
    ) -> Float[Array, "n frames/2 width"]:
        """The features of a block of an even number of frames."""
        return log_mel.reshape(len(log_mel), -1, self.config.width).astype(self.dtype)
