"""Results of an evaluation of a renderer: means over pairs, and their table."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.table import Table

from train.evaluate.renderer.measures import (
    INNER,
    Mask,
    landmark_box,
    signal_to_noise,
    similarity,
)
from train.evaluate.renderer.pairs import Pair

Regions = Mapping[str, Sequence[Sequence[int]]]
"""Name -> landmarks of each of its boxes."""
Row = dict[str, dict[str, float]]
"""Picture -> `psnr` in dB and `ssim`."""
Measures = dict[str, Row]
"""Region -> its means."""

WHOLE = "picture"
MEASURES = ("psnr", "ssim")
COMPARED = {"made": "rendered", "reduced": "reduced", "source": "source"}
"""Name of a picture in the results -> attribute of `Pair`. What is rendered is compared
with pictures that need no renderer."""
TITLES = {
    "made": "made",
    "reduced": "truth at input size",
    "source": "source, unmoved",
}


def measure(pairs: Sequence[Pair], regions: Regions) -> Measures:
    """Return mean PSNR and SSIM of rendered pictures, and of those that need no
    renderer.

    A region is left out if no pair has its landmarks.
    """
    rows: dict[str, list[Row]] = {WHOLE: []}
    rows |= {name: [] for name in regions}
    for pair in pairs:
        for name, region in rows.items():
            where = _pixels(pair, regions.get(name))
            # a region at the border has no similarity
            if where[INNER, INNER].any():
                region.append(_compare(pair, where))
    return {name: _mean(region) for name, region in rows.items() if region}


def _pixels(pair: Pair, boxes: Sequence[Sequence[int]] | None) -> Mask:
    """Return the pixels of a region; all of them without boxes."""
    size = len(pair.true)
    if boxes is None:
        return np.ones((size, size), bool)
    mask = np.zeros((size, size), bool)
    # a clip without landmarks has none of the region's
    if len(pair.landmarks):
        for points in boxes:
            mask |= landmark_box(pair.landmarks[list(points)], size)
    return mask


def _compare(pair: Pair, where: Mask) -> Row:
    row = {}
    for name, attribute in COMPARED.items():
        picture = getattr(pair, attribute)
        likeness = similarity(picture, pair.true)[where]
        row[name] = {
            "psnr": signal_to_noise(picture, pair.true, where),
            "ssim": float(np.nanmean(likeness)),
        }
    return row


def _mean(rows: Sequence[Row]) -> Row:
    means: Row = {}
    for name in COMPARED:
        values = {key: [row[name][key] for row in rows] for key in MEASURES}
        means[name] = {key: float(np.mean(values[key])) for key in MEASURES}
    return means


def table(measures: Measures) -> Table:
    """Return a table with one row a picture and region: PSNR in dB and SSIM against the
    true frame."""
    result = Table("region", "picture", "PSNR, dB", "SSIM")
    for region, pictures in measures.items():
        for name, values in pictures.items():
            psnr = f"{values['psnr']:.2f}"
            ssim = f"{values['ssim']:.3f}"
            result.add_row(region, TITLES[name], psnr, ssim)
        result.add_section()
    return result
