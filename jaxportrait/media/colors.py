"""Colours between RGB and the forms that codecs take."""

import threading
from typing import Literal

import av
import numpy as np
from av.video.reformatter import (
    ColorRange,
    Colorspace,
    Interpolation,
    VideoReformatter,
)
from jaxtyping import UInt8

# swscale's default rounding and chroma darken a picture by one level each way, and cost
# 6 dB
EXACT = (
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
)

PixelForm = Literal["yuv420p", "yuvj420p", "rgb24", "bgra"]

COLORS = {
    # Video in BT.709 has no values at the ends of its range; JPEG has, in BT.601.
    "yuv420p": (Colorspace.ITU709, ColorRange.MPEG),
    "yuvj420p": (Colorspace.ITU601, ColorRange.JPEG),
    "rgb24": (Colorspace.DEFAULT, ColorRange.UNSPECIFIED),
    "bgra": (Colorspace.DEFAULT, ColorRange.UNSPECIFIED),
}
"""Matrix and range of values of each form."""


class _Reformatters(threading.local):
    """A reformatter for each thread, which keeps its tables for one size."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_REFORMATTERS = _Reformatters()


def to_picture(
    frame: UInt8[np.ndarray, "h w 3"], form: PixelForm = "yuv420p"
) -> av.VideoFrame:
    """Convert RGB to the form that an encoder takes.

    Threads may call it at the same time.
    """
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    matrix, levels = COLORS[form]
    return _REFORMATTERS.reformatter.reformat(
        picture,
        format=form,
        dst_colorspace=matrix,
        dst_color_range=levels,
        interpolation=EXACT,
    )
