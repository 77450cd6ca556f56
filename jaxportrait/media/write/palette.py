"""The colours of GIF: at most 256 a frame."""

from fractions import Fraction

import av
from av.error import BlockingIOError, EOFError
from av.filter import Graph
from av.video.format import VideoFormat


class PaletteFilter:
    """Reduces each frame to 256 colours of its own.

    Colours between those are dots in a fixed pattern, which does not flicker.
    """

    def __init__(self, size: tuple[int, int], fps: Fraction):
        graph = Graph()
        width, height = size
        source = graph.add_buffer(
            width=width,
            height=height,
            format=VideoFormat("rgb24"),
            time_base=1 / fps,
        )
        split = graph.add("split")
        palette = graph.add("palettegen", "stats_mode=single")
        apply = graph.add("paletteuse", "dither=bayer:bayer_scale=4:new=1")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(palette, 0, 0)
        split.link_to(apply, 1, 0)
        palette.link_to(apply, 0, 1)
        apply.link_to(sink)
        graph.configure()
        self._graph = graph

    def push(self, picture: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Reduce a frame, or None at the end; return the frames that are ready."""
        self._graph.push(picture)
        frames = []
        while True:
            try:
                frames.append(self._graph.vpull())
            except (BlockingIOError, EOFError):
                return frames
