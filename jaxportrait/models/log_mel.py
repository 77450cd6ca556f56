"""The log-mel spectrogram as audio features, in place of Whisper's: nothing to
download, and a feature hears 35 ms.

Only the floor, which the clip's maximum sets, is of more.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.config import LogMelConfig


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
