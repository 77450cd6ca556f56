"""Sheets of pictures to look at, with captions."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.renderer import Renderer
from jaxportrait.whole import write_whole
from train.data.pictures import FrameRecord, decode_image
from train.evaluate.renderer.pairs import (
    UNSTITCHED,
    Pair,
    driving_frames,
    resize,
)

Picture = UInt8[np.ndarray, "h w 3"]

AMPLIFICATION = 4
SHOWN_SIDE = 256  # pixels
CAPTION_HEIGHT = 22  # pixels
PAPER = 255
INK = (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.42


def own_sheet(pairs: Sequence[Pair]) -> Picture:
    """Draw a row a pair: source, driving frame, rendered frame, and its difference from
    the driving frame."""
    difference_caption = f"difference x{AMPLIFICATION}"
    rows = []
    for pair in pairs:
        difference = np.abs(pair.rendered.astype(int) - pair.true)
        # small errors would be invisible
        amplified = np.minimum(AMPLIFICATION * difference, 255).astype(np.uint8)
        pictures = (pair.source, pair.true, pair.rendered, amplified)
        captions = (f"source {pair.subject}", "driving", "made", difference_caption)
        rows.append(caption_row(pictures, captions))
    return np.concatenate(rows)


def cross_sheet(
    renderer: Renderer,
    sources: Sequence[FrameRecord],
    driving: FrameRecord,
    columns: int,
) -> Picture:
    """Draw a row a source, the first frame of a clip, and a column a frame of another
    clip, whose motion drives the source."""
    chosen = driving_frames(driving.frames, columns)
    pictures = [decode_image(image) for image in driving.images]
    reduced = [resize(picture, renderer.image_size) for picture in pictures]
    motion = renderer.read(reduced, MOTION_FPS)
    # the first column is above the sources
    heading = (0, *chosen)
    captions = [f"{driving.subject}, frame {frame}" for frame in heading]
    rows = [caption_row([pictures[frame] for frame in heading], captions)]
    for record in sources:
        still = decode_image(record.images[0])
        source = renderer.source(resize(still, renderer.image_size))
        keypoints = renderer.keypoints(source, motion, "mixed", UNSTITCHED)[chosen]
        rendered = np.concatenate(list(renderer.frames(source, keypoints)))
        captions = [f"source {record.subject}", *[""] * len(rendered)]
        rows.append(caption_row((still, *rendered), captions))
    return np.concatenate(rows)


def caption_row(pictures: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """Draw pictures side by side, each under its caption."""
    cells = []
    for picture, caption in zip(pictures, captions, strict=True):
        shown = resize(picture, SHOWN_SIDE)
        cells.append(np.concatenate([_caption(caption, SHOWN_SIDE), shown]))
    return np.concatenate(cells, axis=1)


def write_png(path: Path, picture: Picture) -> None:
    """Write a picture, whole or not at all; raise an OSError if that fails."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with write_whole(path) as partial:
        partial.write_bytes(data.tobytes())


def _caption(text: str, width: int) -> Picture:
    """Draw a strip with the text, or as much of its end as fits."""
    # 4 pixels stay free on either side
    while _text_width(text) > width - 8:
        text = text[1:]
    strip = np.full((CAPTION_HEIGHT, width, 3), PAPER, np.uint8)
    start = (4, CAPTION_HEIGHT - 7)
    cv2.putText(strip, text, start, FONT, FONT_SCALE, INK, 1, cv2.LINE_AA)
    return strip


def _text_width(text: str) -> int:
    (width, _), _ = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    return width
