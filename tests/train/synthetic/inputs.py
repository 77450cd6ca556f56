"""Values that several tests of drawn heads share."""

# ruff: noqa: RUF001 - letters of the IPA are meant

import numpy as np
import pytest

from train.synthetic.espeak import open_library
from train.synthetic.speech import Phoneme

SIZE = 96
"""Side of the pictures, in pixels."""
SAMPLE_RATE = 22_050
PAPA = (
    Phoneme("", 0, 0.3),
    Phoneme("p", 0.3, 0.34),
    Phoneme("ɑː", 0.34, 0.6),
    Phoneme("m", 0.6, 0.7),
    Phoneme("uː", 0.7, 1),
)
needs_espeak = pytest.mark.skipif(
    open_library() is None, reason="espeak-ng is not installed"
)


def luminance(picture: np.ndarray) -> np.ndarray:
    """Return the mean of the colours of each pixel."""
    return picture.astype(np.float64).mean(axis=-1)
