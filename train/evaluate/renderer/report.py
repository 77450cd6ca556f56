"""What an evaluation of a renderer says: means over pairs, a table, and
`evaluation.json`."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from train.evaluate.renderer.measures import (
    INNER,
    landmark_box,
    signal_to_noise,
    similarity,
)
from train.evaluate.renderer.pairs import Pair

Regions = Mapping[str, Sequence[Sequence[int]]]
"""Name -> the landmarks of each of its boxes."""
Measures = dict[str, dict[str, dict[str, float]]]
"""Region -> picture -> `psnr` in dB and `ssim`."""

WHOLE = "picture"
COMPARED = {
    "made": "made",
    "reduced": "truth at input size",
    "source": "source, unmoved",
}
"""Attributes of `Pair` and what tables call them."""


def measure(pairs: Sequence[Pair], regions: Regions) -> Measures:
    """Mean PSNR and SSIM of what is made, beside those of what would be had without a
    renderer.

    A region of which no pair has the landmarks is left out.
    """
    found: dict[str, list[dict[str, dict[str, float]]]] = {
        name: [] for name in (WHOLE, *regions)
    }
    for pair in pairs:
        for name, region in found.items():
            where = _pixels(pair, regions.get(name))
            if where[INNER, INNER].any():
                region.append(_compare(pair, where))
    return {name: _mean(rows) for name, rows in found.items() if rows}


def _pixels(pair: Pair, boxes: Sequence[Sequence[int]] | None) -> np.ndarray:
    size = len(pair.true)
    if boxes is None:
        return np.ones((size, size), bool)
    known = len(pair.landmarks) > 0
    masks = [
        landmark_box(pair.landmarks[list(points)], size) for points in boxes if known
    ]
    return np.logical_or.reduce(masks) if masks else np.zeros((size, size), bool)


def _compare(pair: Pair, where: np.ndarray) -> dict[str, dict[str, float]]:
    pictures = {name: getattr(pair, name) for name in COMPARED}
    return {
        name: {
            "psnr": signal_to_noise(picture, pair.true, where),
            "ssim": float(np.nanmean(similarity(picture, pair.true)[where])),
        }
        for name, picture in pictures.items()
    }


def _mean(rows: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            measure: float(np.mean([row[name][measure] for row in rows]))
            for measure in ("psnr", "ssim")
        }
        for name in COMPARED
    }


def table(measures: Measures) -> Table:
    """A row a picture and region: PSNR in dB and SSIM against the true frame."""
    result = Table("region", "picture", "PSNR, dB", "SSIM")
    for region, pictures in measures.items():
        for name, values in pictures.items():
            result.add_row(
                region, COMPARED[name], f"{values['psnr']:.2f}", f"{values['ssim']:.3f}"
            )
        result.add_section()
    return result
