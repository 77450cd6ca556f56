"""Sheets of pictures to look at, with captions."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.renderer import Renderer
from train.data.frames import FrameRecord, decode_image
from train.evaluate.renderer.pairs import Pair, driving_frames, resize

Picture = UInt8[np.ndarray, "h w 3"]

AMPLIFIED = 4
SHOWN_SIDE = 256  # pixels
CAPTION_HEIGHT = 22
PAPER, INK = 255, (0, 0, 0)
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def own_sheet(pairs: Sequence[Pair]) -> Picture:
    """A row a pair: source, driving frame, what is made, and how far it is from the
    driving frame."""
    rows = []
    for pair in pairs:
        away = np.abs(pair.made.astype(int) - pair.true)
        pictures = (
            pair.source,
            pair.true,
            pair.made,
            np.minimum(AMPLIFIED * away, 255).astype(np.uint8),
        )
        captions = (
            f"source {pair.subject}",
            "driving",
            "made",
            f"difference x{AMPLIFIED}",
        )
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
    shown = (0, *chosen)
    rows = [
        caption_row(
            [pictures[i] for i in shown],
            [f"{driving.subject}, frame {frame}" for frame in shown],
        )
    ]
    for record in sources:
        still = decode_image(record.images[0])
        source = renderer.source(resize(still, renderer.image_size))
        keypoints = renderer.keypoints(source, motion, "mixed")[chosen]
        made = np.concatenate(list(renderer.frames(source, keypoints)))
        rows.append(
            caption_row((still, *made), (f"source {record.subject}", *[""] * len(made)))
        )
    return np.concatenate(rows)


def caption_row(pictures: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """Pictures side by side, each under its caption."""
    cells = []
    for picture, caption in zip(pictures, captions, strict=True):
        shown = resize(picture, SHOWN_SIDE)
        cells.append(np.concatenate([_caption(caption, shown.shape[1]), shown]))
    return np.concatenate(cells, axis=1)


def write_png(path: Path, picture: Picture) -> None:
    """Raises an OSError if it cannot be written."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())


def _caption(text: str, width: int) -> Picture:
    """A strip with the text, or as much of its end as fits."""
    while cv2.getTextSize(text, FONT, FONT_SCALE, 1)[0][0] > width - 8:
        text = text[1:]
    strip = np.full((CAPTION_HEIGHT, width, 3), PAPER, np.uint8)
    return np.asarray(
        cv2.putText(
            strip, text, (4, CAPTION_HEIGHT - 7), FONT, FONT_SCALE, INK, 1, cv2.LINE_AA
        ),
        np.uint8,
    )
