"""The regressor on drawn mouths, and the changes of the patches that it learns from."""

import jax
import numpy as np

from jaxportrait.media.crop import CLIP_SCALE, FaceRectangle
from tests.train.videos import HEIGHT, WIDTH, draw_head
from train.evaluate.motion.metrics import correlation
from train.evaluate.speech.heads import Region, cut_region
from train.evaluate.speech.regressor import (
    MARGIN,
    PATCH_SIDE,
    SIDE,
    change_patch,
    train_reader,
)

MOUTH = Region(0.0, 0.42, 0.95)


def mouth_patch(seconds: float) -> np.ndarray:
    """The mouth that `draw_head` draws then, in a box as a tracker frames it."""
    sway = 3 * np.sin(2 * np.pi * 0.7 * seconds)
    box = FaceRectangle((WIDTH / 2 + sway, HEIGHT / 2 - 4), CLIP_SCALE * 84)
    return cut_region(draw_head(seconds), box, MOUTH, PATCH_SIDE)


def test_a_regressor_reads_mouths_it_has_not_seen():
    # 90 frames of a mouth that opens three times a second
    seconds = np.arange(90) / 60
    patches = np.stack([mouth_patch(time) for time in seconds])
    opening = 5 + np.sin(2 * np.pi * 3 * seconds)

    # the last third is held out
    reader = train_reader(patches[:60], opening[:60], steps=60)

    # colours that were not trained
    shaded = (patches[60:] * np.array([0.7, 0.9, 0.6])).astype(np.uint8)
    assert correlation(reader(patches[60:]), opening[60:]) > 0.95
    assert correlation(reader(shaded), opening[60:]) > 0.9

    assert abs(reader(patches[60:]).mean() - 5) < 0.3


def change_spot() -> np.ndarray:
    """A patch with a bright spot in its middle, changed in 32 ways."""
    spot = np.full((PATCH_SIDE, PATCH_SIDE, 3), 0.5, np.float32)
    # the spot is twice as bright as its surroundings
    spot[PATCH_SIDE // 2, PATCH_SIDE // 2] = 1

    keys = jax.random.split(jax.random.key(0), 32)
    return np.asarray(jax.vmap(change_patch, (0, None))(keys, spot))


def test_patches_are_tinted_as_a_whole():
    patches = change_spot()
    assert patches.shape == (32, SIDE, SIDE, 3)

    # the corner shows the tint, the patch around the spot being flat
    tints = patches[:, 0, 0]
    assert tints.std(axis=0).min() > 0.02

    # the opposite corner has the same
    np.testing.assert_allclose(patches[:, -1, -1], tints, rtol=1e-3)


def test_patches_are_moved_by_a_few_pixels():
    brightest = change_spot()[..., 0].reshape(32, -1).argmax(axis=1)

    rows, columns = np.unravel_index(brightest, (SIDE, SIDE))
    places = range(SIDE // 2 - MARGIN, SIDE // 2 + MARGIN + 1)
    assert set(rows) <= set(places)

    # they are moved to many places
    assert len(set(rows)) > 4
    assert len(set(columns)) > 4


def test_patches_are_softened_by_any_degree():
    patches = change_spot()
    # the spot's height over its surroundings, without the tint
    peaks = (patches.max(axis=(1, 2)) / patches[:, 0, 0]).min(axis=1)

    # from fully softened to not at all
    assert peaks.min() < 1.4
    assert 1.7 < peaks.max() <= 2.01
