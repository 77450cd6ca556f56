"""The log-mel spectrogram as audio features, in place of Whisper's.

There is nothing to download, and a feature depends on 35 ms of sound. Only its floor,
which the clip's maximum sets, depends on more.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND
from jaxportrait.ranges import Width, check_ranges


@dataclass(frozen=True)
class LogMelConfig:
    """Sizes of the log-mel spectrogram as audio features.

    Attributes:
      mel_bins: mel filters of the spectrogram; a feature is twice as wide.
    """

    mel_bins: Width = 80

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def width(self) -> int:
        return 2 * self.mel_bins

    @property
    def context(self) -> int:
        """Features of a block: 2 s. A feature is the same in whatever block."""
        # Short blocks waste little padding, as no feature depends on its block.
        return 2 * FEATURES_PER_SECOND


class LogMelEncoder(nnx.Module):
    """A block of the log-mel spectrogram -> audio features.

    Every two frames side by side make one feature. It has no weights.
    """

    def __init__(
        self, config: LogMelConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        self.config = config
        self.dtype = dtype

    def __call__(
        self, log_mel: Float[Array, "n frames mel_bins"]
    ) -> Float[Array, "n frames/2 width"]:
        """Compute the features of a block of an even number of frames."""
        # (n, frames, bins) -> (n, frames / 2, 2 bins): 100 frames a second become 50
        # features.
        return log_mel.reshape(len(log_mel), -1, self.config.width).astype(self.dtype)
