"""Frames as players show them: turned, mirrored, and in the right colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from tests.media.pictures import UPRIGHT

# Quarters of a picture, different in light.
CHART = np.kron(
    np.array([[0, 80], [160, 250]], np.uint8)[..., None], np.ones((16, 32, 3), np.uint8)
)

MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""Orientation, a number of EXIF -> (a, b, c, d) of a display matrix."""


def set_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix into the header of an mp4's first track."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    a, b, c, d = matrix
    # Fixed-point numbers with 16 bits after the point, 30 in the last column.
    rows = [[a << 16, b << 16, 0], [c << 16, d << 16, 0], [0, 0, 1 << 30]]
    data[start : start + 36] = np.array(rows, ">i4").tobytes()
    path.write_bytes(data)


@pytest.mark.parametrize("orientation", MATRICES)
def test_every_display_matrix_gives_the_upright_frame(tmp_path, orientation):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, size=(64, 32), fps=30, audio=None) as writer:
        writer.write(CHART)
    set_matrix(path, MATRICES[orientation])
    reader = VideoReader(path)
    ((_, frame),) = reader
    expected = UPRIGHT[orientation](CHART)
    assert reader.size == (expected.shape[1], expected.shape[0])
    # codecs blur the edges of the quarters
    assert np.abs(frame.astype(int) - expected).mean() < 3


COLOR = (200, 60, 120)


def write_patch(path: Path, size: tuple[int, int], matrix: Colorspace) -> None:
    """Write a video of one colour, which does not state its matrix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        patch = np.full((size[1], size[0], 3), COLOR, np.uint8)
        frame = av.VideoFrame.from_ndarray(patch, format="rgb24")
        picture = frame.reformat(
            format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG
        )
        # an encoder copies the tags of its frames
        picture.colorspace = 2
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ((640, 480), Colorspace.ITU601),
        ((720, 576), Colorspace.ITU601),
        ((1280, 720), Colorspace.ITU709),
        ((720, 1280), Colorspace.ITU709),
    ],
)
def test_colours_that_are_not_stated_are_those_of_the_size(tmp_path, size, matrix):
    path = tmp_path / "a.mp4"
    write_patch(path, size, matrix)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.colorspace == 2
    ((_, frame),) = VideoReader(path)
    difference = frame.astype(int) - COLOR
    assert np.abs(difference).max() <= 3
