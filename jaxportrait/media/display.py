"""Display of decoded frames: the turn and the colours that a video states, or that are
usual where it states none."""

from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.reformatter import Colorspace
from jaxtyping import Int, UInt8

UNSPECIFIED = 2
"""FFmpeg's number of colours that a video does not state."""
SD_SIZE = (1024, 576)
"""Width and height of the largest video whose colours are BT.601 unless it states
others.

Source: players, such as mpv, read larger ones as BT.709."""


def source_colorspace(frame: av.VideoFrame) -> Colorspace | None:
    """Return the matrix of a frame's colours if it must be guessed; None if swscale
    knows it."""
    is_hd = frame.width > SD_SIZE[0] or frame.height > SD_SIZE[1]
    if frame.colorspace == UNSPECIFIED and is_hd:
        return Colorspace.ITU709
    return None


def turn_upright(
    picture: UInt8[np.ndarray, "h w 3"], frame: av.VideoFrame
) -> UInt8[np.ndarray, "H W 3"]:
    """Turn and mirror the pixels of a frame as its display matrix states.

    Args:
      picture: RGB pixels as they are stored.
      frame: the frame, which holds the matrix.

    Source: ISO/IEC 14496-12: a pixel at (x, y) is shown at (a x + c y, b x + d y), y
    down. A turn that is no quarter is rounded to one.
    """
    (a, b), (c, d) = _display_matrix(frame)
    if abs(a) + abs(d) < abs(b) + abs(c):
        # Columns are shown as rows.
        picture = picture.swapaxes(0, 1)
        x_sign, y_sign = c, b
    else:
        x_sign, y_sign = a, d
    if x_sign < 0:
        picture = picture[:, ::-1]
    if y_sign < 0:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _display_matrix(frame: av.VideoFrame) -> Int[np.ndarray, "2 2"]:
    """Return the linear part of a frame's display matrix, or the identity."""
    data = cast(SideDataContainer, frame.side_data)
    if Type.DISPLAYMATRIX not in data:
        return np.eye(2, dtype=np.int64)
    # Nine numbers of 32 bits, row by row; the last column is of no use here.
    matrix = np.frombuffer(bytes(data[Type.DISPLAYMATRIX]), np.int32).reshape(3, 3)
    return matrix[:2, :2].astype(np.int64)
