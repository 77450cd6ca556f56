"""Shares of a picture among the crops of several faces."""

import numpy as np
import pytest

from jaxportrait.media.paste import PasteBack, soft_mask
from jaxportrait.media.share import Place, crop_share

SIDE = 64


def place(x: float, y: float = 0.0, scale: float = 1.0) -> Place:
    """Return a crop whose upper left corner is at a point of the picture."""
    return Place(np.array([[scale, 0, x], [0, scale, y], [0, 0, 1.0]]), SIDE)


def test_crops_that_do_not_touch_have_all_of_their_pixels():
    share = crop_share(place(0), [place(3 * SIDE)])
    np.testing.assert_array_equal(share, 1)


def test_crops_that_overlap_share_their_pixels():
    shift = SIDE // 2
    left = crop_share(place(0), [place(shift)])
    right = crop_share(place(shift), [place(0)])
    # Each has its own center, and the sum in the overlap is 1.
    assert left[SIDE // 2, 0] == right[SIDE // 2, -1] == 1
    assert left[SIDE // 2, -1] == right[SIDE // 2, 0] == 0
    np.testing.assert_allclose(left[:, shift:] + right[:, :shift], 1, atol=1e-5)


def test_a_face_keeps_its_share_at_every_size():
    # A crop of half the size, whose center lies in the other's corner.
    small = crop_share(place(48, 48, 0.5), [place(0)])
    assert small[SIDE // 2, SIDE // 2] == 1


def test_a_face_is_pasted_beside_another():
    picture = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    places = [place(0), place(SIDE // 2)]
    pastes = []
    for index, one in enumerate(places):
        share = crop_share(one, [places[1 - index]])
        mask = soft_mask(SIDE) * share
        pastes.append(PasteBack(picture, one.crop_to_image, SIDE, mask))
    first = pastes[0](np.full((SIDE, SIDE, 3), 100, np.uint8))
    both = pastes[1](np.full((SIDE, SIDE, 3), 200, np.uint8), first)
    row = both[SIDE // 2, :, 0]
    # The centers of both crops, at 32 and 64, are their own.
    assert row[30] == pytest.approx(100, abs=1)
    assert row[66] == pytest.approx(200, abs=1)
    assert not picture.any()
    assert first[SIDE // 2, 66, 0] == 0
