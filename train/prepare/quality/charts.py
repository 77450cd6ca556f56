"""Histograms as SVG, for the report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

WIDTH, HEIGHT = 420, 110
BASE = 90
"""Pixels from the top to the axis."""
BARS = 40


@dataclass(frozen=True)
class Series:
    """Values of one colour.

    Attributes:
      values: numbers to count.
      style: class of the bars, which has its colour in the page's style.
    """

    values: Float64[np.ndarray, " n"]
    style: str


def draw_histogram(series: Sequence[Series], bound: float) -> str:
    """Return a histogram of values with a line at a bound.

    Series lie over each other, each as high as its largest bar.
    """
    everything = np.concatenate([item.values for item in series])
    # the bound is always in sight
    low = float(min(everything.min(), bound))
    high = float(max(everything.max(), bound))
    if high - low < 1e-9:
        high = low + 1
    edges = np.linspace(low, high, BARS + 1)
    bars = [bar for item in series for bar in _bars(item, edges)]
    x = _place(bound, low, high)
    line = f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{BASE}"/>'
    labels = [
        f'<text x="0" y="{HEIGHT - 4}">{low:.3g}</text>',
        f'<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">{high:.3g}</text>',
        f'<text class="bound" x="{min(max(x, 60), WIDTH - 60):.1f}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{bound:.3g}</text>',
    ]
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return f"<svg {box}>{''.join(bars)}{line}{''.join(labels)}</svg>"


def _bars(series: Series, edges: Float64[np.ndarray, " n"]) -> list[str]:
    """Return the bars of a series."""
    counts, _ = np.histogram(series.values, edges)
    most = max(1, int(counts.max()))
    width = WIDTH / BARS
    bars = []
    for index, count in enumerate(counts.tolist()):
        if count:
            # a single clip among thousands is seen
            height = max(2.0, BASE * count / most)
            bars.append(
                f'<rect class="{series.style}" x="{index * width:.1f}" y="{BASE - height:.1f}" '
                f'width="{width - 1:.1f}" height="{height:.1f}"/>'
            )
    return bars


def _place(value: float, low: float, high: float) -> float:
    """Return the place of a value along the axis."""
    return WIDTH * (value - low) / (high - low)
