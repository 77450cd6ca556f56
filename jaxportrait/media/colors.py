"""Colours between RGB and the forms of video codecs."""

import threading

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


class _Reformatters(threading.local):
    """A reformatter for each thread, which keeps its tables for one size."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_REFORMATTERS = _Reformatters()


def to_picture(frame: UInt8[np.ndarray, "h w 3"]) -> av.VideoFrame:
    """Convert RGB to yuv420p by the matrix of BT.709, limited range, for encoders.

    Threads may call it at the same time.
    """
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    return _REFORMATTERS.reformatter.reformat(
        picture,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=EXACT,
    )
