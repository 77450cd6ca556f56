"""Pasting a frame back: against the published code, against exact arithmetic, and at
the edges."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle, crop_face, image_to_crop
from jaxportrait.media.paste import (
    MASK_BORDER,
    PasteBack,
    color_correction,
    mask_border,
    motion_border,
    soft_mask,
)
from tests.media.test_crop import formula_picture

TURNED = np.linalg.inv(image_to_crop(FaceRectangle((330, 210), 260, 0.4), 512))
PARTLY_OUTSIDE = np.linalg.inv(image_to_crop(FaceRectangle((30, 410), 260, -0.4), 512))


def stripes() -> np.ndarray:
    """The 512x512 frame that the golden pictures were pasted with."""
    columns = 127 + 90 * np.cos(np.arange(512)[:, None] / 17 + np.arange(3))
    return np.tile(columns.astype(np.uint8), (512, 1, 1))


def blurred_ellipse() -> np.ndarray:
    """The mask that the golden pictures were pasted with, 0 to 255."""
    ellipse = cv2.ellipse(
        np.zeros((512, 512), np.uint8), (256, 256), (200, 220), 0, 0, 360, (255,), -1
    )
    return cv2.GaussianBlur(ellipse, (61, 61), 0)


def sample(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear in float64, zero outside."""
    padded = np.pad(
        values.astype(np.float64), [(1, 2), (1, 2)] + [(0, 0)] * (values.ndim - 2)
    )
    height, width = values.shape[:2]
    x, y = np.clip(x, -1, width) + 1, np.clip(y, -1, height) + 1
    left, top = x.astype(int), y.astype(int)
    right_share, bottom_share = x - left, y - top
    if values.ndim == 3:
        right_share, bottom_share = right_share[..., None], bottom_share[..., None]
    upper = padded[top, left] * (1 - right_share) + padded[top, left + 1] * right_share
    lower = (
        padded[top + 1, left] * (1 - right_share)
        + padded[top + 1, left + 1] * right_share
    )
    return upper * (1 - bottom_share) + lower * bottom_share


def blend(
    image: np.ndarray, frame: np.ndarray, crop_to_image: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """The whole picture in float64, for a frame of the crop's own size."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    (xx, xy, x0), (yx, yy, y0) = np.linalg.inv(crop_to_image)[:2]
    x, y = xx * x + xy * y + x0, yx * x + yy * y + y0
    weight = sample(mask, x, y)[..., None]
    return weight * sample(frame, x, y) + (1 - weight) * image


def is_inside(crop_to_image: np.ndarray) -> np.ndarray:
    """Which pixels of a 640x480 picture lie among the centres of the crop's pixels."""
    y, x = np.mgrid[:480, :640]
    places = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(crop_to_image).T
    return np.all((places[..., :2] >= 0) & (places[..., :2] <= 511), axis=-1)


@pytest.mark.parametrize("case", [0, 1, 3])
def test_pasted_pictures_are_the_published_ones(golden, case):
    """The published code cuts the fraction off, so its true value lies up to a level
    above; OpenCV 4 samples at 1/32 px, which adds a rare half level: 0.2 % of pixels
    differ by two levels from the figure, none by more."""
    figures = np.load(golden / "geometry.npz")
    assert np.abs(blurred_ellipse()[::8, ::8].astype(int) - figures["mask"]).max() == 0
    mask = blurred_ellipse().astype(np.float32) / 255
    paste = PasteBack(
        formula_picture(), figures[f"crop{case}/crop_to_image"], 512, mask
    )
    above_cut = paste(stripes())[::6, ::6].astype(int) - figures[f"crop{case}/pasted"]
    assert set(np.unique(above_cut)) <= {-1, 0, 1, 2}
    assert np.mean(np.abs(above_cut) > 1) < 0.002


@pytest.mark.parametrize("matrix", [TURNED, PARTLY_OUTSIDE])
def test_blend_is_exact_to_rounding(matrix):
    image = formula_picture()
    difference = np.abs(
        PasteBack(image, matrix)(stripes())
        - blend(image, stripes(), matrix, soft_mask())
    )
    assert difference.max() < 1.1
    assert difference.mean() < 0.3


def test_outside_the_crop_nothing_changes():
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    source = image.copy()
    pasted = PasteBack(image, TURNED)(np.zeros((512, 512, 3), np.uint8))
    inside = is_inside(TURNED)
    np.testing.assert_array_equal(pasted[~inside], source[~inside])
    assert (pasted[inside] != source[inside]).any(axis=-1).mean() > 0.9
    np.testing.assert_array_equal(image, source)


@pytest.mark.parametrize("matrix", [TURNED, PARTLY_OUTSIDE])
def test_all_of_the_crop_is_pasted(matrix):
    whole = np.ones((512, 512), np.float32)
    pasted = PasteBack(np.zeros((480, 640, 3), np.uint8), matrix, mask=whole)(
        np.full((512, 512, 3), 255, np.uint8)
    )
    assert (pasted[is_inside(matrix)] > 250).all()


def test_what_was_cut_out_goes_back_in():
    image = formula_picture()
    crop = crop_face(image, FaceRectangle((300, 240), 400, 0.2))
    assert (
        np.abs(
            PasteBack(image, crop.crop_to_image)(crop.image).astype(int) - image
        ).max()
        <= 2
    )


@pytest.mark.parametrize("side", [64, 256, 512, 1024])
def test_frames_of_any_size_cover_the_crop(side):
    """A ramp along the crop's x axis, drawn at the centres of the frame's pixels, lands
    at the crop's coordinates."""
    columns = (np.arange(side) + 0.5) * 512 / side - 0.5
    frame = np.repeat(
        np.tile(np.rint(columns / 4)[None, :, None], (side, 1, 1)), 3, axis=2
    ).astype(np.uint8)
    matrix = np.array([[0.5, 0, 40], [0, 0.5, 30], [0, 0, 1.0]])
    pasted = PasteBack(np.zeros((400, 500, 3), np.uint8), matrix)(frame)
    x = np.arange(60, 280)
    assert np.abs(pasted[150, 60:280, 0] - (x - 40) / 0.5 / 4).max() < 1.1


def test_small_faces_do_not_alias():
    checkers = np.indices((512, 512)).sum(axis=0) % 2 * 255
    frame = np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8)
    matrix = np.array([[0.13, 0.01, 40], [-0.01, 0.13, 30], [0, 0, 1.0]])
    inner = PasteBack(np.zeros((120, 140, 3), np.uint8), matrix)(frame)[50:80, 60:90]
    assert np.abs(inner.astype(float) - 127.5).max() < 3


def test_threads_agree():
    paste, frame = PasteBack(formula_picture(), TURNED), stripes()
    expected = paste(frame)
    with ThreadPoolExecutor(4) as pool:
        for pasted in pool.map(paste, [frame] * 8):
            np.testing.assert_array_equal(pasted, expected)


def test_crop_outside_the_picture():
    with pytest.raises(ValueError, match="outside the picture of 640x480 pixels"):
        PasteBack(formula_picture(), np.array([[1, 0, 700], [0, 1, 0], [0, 0, 1.0]]))


@pytest.mark.parametrize("size", [64, 512])
def test_mask_fades_to_nothing_at_the_border(size):
    mask = soft_mask(size)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert (border == 0).all()
    inside = size // 32
    assert (mask[inside:-inside, inside:-inside][:, size // 4 : -size // 4] == 1).all()
    np.testing.assert_array_equal(mask, mask[::-1])
    np.testing.assert_array_equal(mask, mask.T)
    assert (np.diff(mask[: size // 2], axis=0) >= 0).all()


def test_mask_has_the_published_shape():
    """Along an axis the published mask rises evenly over 16 pixels, half way at the
    eighth."""
    rise = soft_mask()[256, :17]
    assert rise[8] == 0.5
    assert np.abs(rise - np.arange(17) / 16).max() < 0.1


def test_a_tight_crop_ends_more_softly():
    assert mask_border(1.0) == mask_border(0.5) == MASK_BORDER
    assert mask_border(2.0) == MASK_BORDER + 0.0625
    mask = soft_mask(128, mask_border(2.0))
    assert mask[64, 6] == 0.5
    assert (mask[12:-12, 64] == 1).all()


def test_the_rim_that_a_tight_crop_lacks():
    assert motion_border(1.0) == motion_border(0.5) == 0
    assert (
        motion_border(2.0) == 0.25
    )  # of a crop twice as wide, this one is the middle half


def test_colors_are_corrected_and_details_are_not():
    source = np.random.default_rng(0).integers(100, 140, (64, 64, 3)).astype(np.uint8)
    lacking = np.array([9, -4, 0])
    fine = 20 * (np.indices((128, 128)).sum(axis=0) % 2 * 2 - 1)[..., None]
    rest = (
        cv2.resize(source, (128, 128), interpolation=cv2.INTER_CUBIC) - lacking + fine
    )
    correction = color_correction(source, rest.astype(np.uint8))
    np.testing.assert_array_equal(
        correction, np.broadcast_to(lacking, correction.shape)
    )


def test_a_correction_is_added_to_every_frame_without_wrapping():
    matrix, whole = np.eye(3), np.ones((64, 64), np.float32)
    correction = np.stack(
        [np.full((64, 64), value) for value in (7, -7, 0)], axis=-1
    ).astype(np.int16)
    paste = PasteBack(np.zeros((64, 64, 3), np.uint8), matrix, 64, whole, correction)
    for level, expected in (
        (100, [107, 93, 100]),
        (252, [255, 245, 252]),
        (3, [10, 0, 3]),
    ):
        assert (paste(np.full((64, 64, 3), level, np.uint8)) == expected).all()


def test_a_frame_that_the_correction_does_not_fit_is_named():
    correction = np.zeros((64, 64, 3), np.int16)
    paste = PasteBack(
        np.zeros((64, 64, 3), np.uint8), np.eye(3), 64, correction=correction
    )
    with pytest.raises(
        ValueError,
        match=r"the frame is \(32, 32, 3\), and the correction is for \(64, 64, 3\)",
    ):
        paste(np.zeros((32, 32, 3), np.uint8))
