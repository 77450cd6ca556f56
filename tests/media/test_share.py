"""Shares of a picture among the crops of several faces."""

import numpy as np
import pytest

from jaxportrait.media.paste import PasteBack, soft_mask
from jaxportrait.media.share import Place, crop_share

SIDE = 64
MIDDLE = SIDE // 2


def place(x: float, y: float = 0.0, scale: float = 1.0) -> Place:
    """Return a crop whose upper left corner is at a point of the picture."""
    matrix = np.eye(3)
    matrix[:2] *= scale
    matrix[:2, 2] = (x, y)
    return Place(matrix, SIDE)


def test_crops_that_do_not_touch_have_all_of_their_pixels():
    far = place(3 * SIDE)
    share = crop_share(place(0), [far])
    np.testing.assert_array_equal(share, 1)


def test_crops_that_overlap_share_their_pixels():
    first = place(0)
    second = place(MIDDLE)
    left = crop_share(first, [second])
    right = crop_share(second, [first])
    # Each has its own center, and none of the other's.
    assert left[MIDDLE, 0] == 1
    assert left[MIDDLE, -1] == 0
    assert right[MIDDLE, 0] == 0
    assert right[MIDDLE, -1] == 1
    # In the overlap they make a whole.
    total = left[:, MIDDLE:] + right[:, :MIDDLE]
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_a_face_keeps_its_share_at_every_size():
    # A crop of half the size, whose center lies in the other's corner.
    corner = place(48, 48, 0.5)
    share = crop_share(corner, [place(0)])
    assert share[MIDDLE, MIDDLE] == 1


def paste_gray(
    picture: np.ndarray, crop: Place, other: Place, gray: int, onto: np.ndarray | None
) -> np.ndarray:
    """Paste a gray crop that shares a picture with another one."""
    share = crop_share(crop, [other])
    mask = soft_mask(SIDE) * share
    paste = PasteBack(picture, crop.crop_to_image, SIDE, mask)
    frame = np.full((SIDE, SIDE, 3), gray, np.uint8)
    return paste(frame, onto)


def test_a_face_is_pasted_beside_another():
    picture = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    left = place(0)
    right = place(MIDDLE)
    first = paste_gray(picture, left, right, 100, None)
    both = paste_gray(picture, right, left, 200, first)
    # The centers of both crops, at 32 and 64, are their own.
    row = both[MIDDLE, :, 0]
    assert row[30] == pytest.approx(100, abs=1)
    assert row[66] == pytest.approx(200, abs=1)
    # Neither the picture nor the first frame has changed.
    assert not picture.any()
    assert first[MIDDLE, 66, 0] == 0
