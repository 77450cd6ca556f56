"""`python -m examples.edit_sheet -o FILE`: a sheet of the demo's portrait, a row a slider.

Each row goes from a slider's smallest number to its largest, the unchanged portrait
among them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from jaxtyping import UInt8

from jaxportrait import demo
from jaxportrait.animator import Animator
from jaxportrait.pipeline.edits import NEUTRAL, RATIOS, Edits
from jaxportrait.portrait import Portrait
from jaxportrait.ranges import field_ranges

Tile = UInt8[np.ndarray, "h w 3"]

SHARES = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Shares of the way from the neutral number to an end of the range."""
TILE = 128
MARGIN = 150
"""Width of the names, in pixels."""
FACE = slice(90, 430)
"""Rows and columns of the portrait that show the face."""
INK = (40, 40, 40)
LIGHT = (255, 255, 255)
SHADE = (0, 0, 0)


@dataclass(frozen=True)
class Options:
    """Draw a sheet of edits.

    Attributes:
      output: picture to write.
    """

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")] = Path(
        "docs/edits.jpg"
    )


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    animator = Animator.from_checkpoint(demo.CHECKPOINT, driver=None)
    portrait = animator.prepare(demo.PORTRAIT)
    rows = [
        draw_row(animator, portrait, name, numbers) for name, numbers in slider_rows()
    ]
    sheet = np.vstack(rows)
    cv2.imwrite(str(options.output), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def slider_rows() -> Iterator[tuple[str, list[float]]]:
    """Yield the name of each slider and the numbers of its row."""
    for name, field in field_ranges(Edits).items():
        # The demo has no networks for openness.
        if name in RATIOS:
            continue
        neutral = NEUTRAL[name]
        least = field.allowed.least
        most = field.allowed.most
        assert least is not None
        assert most is not None
        # Shares below zero go towards the smallest number.
        ends = [least if share < 0 else most for share in SHARES]
        pairs = zip(SHARES, ends, strict=True)
        yield name, [neutral + abs(share) * (end - neutral) for share, end in pairs]


def draw_row(
    animator: Animator, portrait: Portrait, name: str, numbers: list[float]
) -> Tile:
    """Draw the name of a slider and the portrait for each number."""
    label = np.full((TILE, MARGIN, 3), 255, np.uint8)
    write_line(label, name, TILE // 2, INK)
    tiles = [label]
    for number in numbers:
        # An edit is a clip of one frame.
        frame = next(iter(animator.edit(portrait, Edits(**{name: number}))))
        tile = cv2.resize(
            frame[FACE, FACE], (TILE, TILE), interpolation=cv2.INTER_AREA
        ).astype(np.uint8)
        # Black around white is read on hair and on the wall.
        write_line(tile, f"{number:.3g}", TILE - 6, SHADE, width=3)
        write_line(tile, f"{number:.3g}", TILE - 6, LIGHT)
        tiles.append(tile)
    return np.hstack(tiles)


def write_line(
    tile: Tile, text: str, y: int, color: tuple[int, int, int], width: int = 1
) -> None:
    cv2.putText(tile, text, (4, y), 0, 0.4, color, width, cv2.LINE_AA)


if __name__ == "__main__":
    main()
