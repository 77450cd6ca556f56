"""Samples in messages: 16 kHz mono, cut anywhere."""

from typing import Literal

import numpy as np
from jaxtyping import Float32

SampleFormat = Literal["s16", "f32"]

TYPES = {"s16": np.dtype("<i2"), "f32": np.dtype("<f4")}
"""Format -> type of a sample, in little-endian order."""
FULL_SCALE = 2**15


class PcmError(ValueError):
    """Bytes that are no samples."""


class PcmReader:
    """Turns bytes into samples, whose own bytes may lie in two messages.

    Args:
      format: "s16" for 16-bit integers, "f32" for floats from -1 to 1.
    """

    def __init__(self, format: SampleFormat):
        self._type = TYPES[format]
        self._rest = b""

    def read(self, data: bytes) -> Float32[np.ndarray, " n"]:
        """Return the samples that bytes complete.

        Raises:
          PcmError: a sample is not finite.
        """
        whole = self._rest + data
        length = len(whole) // self._type.itemsize * self._type.itemsize
        self._rest = whole[length:]
        values = np.frombuffer(whole[:length], self._type)
        if values.dtype.kind == "i":
            return values.astype(np.float32) / FULL_SCALE
        # A driver would carry it into every later frame.
        if not np.isfinite(values).all():
            raise PcmError("a sample is not finite: send floats from -1 to 1")
        return np.clip(values, -1, 1).astype(np.float32)
