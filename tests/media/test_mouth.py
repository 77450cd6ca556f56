"""The mask of the mouth: over the mouth of a face, and nothing else of it."""

import numpy as np
import pytest

from jaxportrait.media.crop import (
    SOURCE_SCALE,
    FaceRectangle,
    frame_face,
    image_to_crop,
)
from jaxportrait.media.mouth import mouth_mask
from tests.faces import draw_known_head, open_mesh


@pytest.mark.parametrize("zoom", [1.0, 1.35])
def test_the_mask_fades_to_zero_within_the_crop(zoom):
    mask = mouth_mask(zoom)
    assert mask.shape == (512, 512)
    assert mask.max() == 1
    inside = mask[1:-1, 1:-1]
    # Nothing lies on the border.
    assert mask.sum() == inside.sum()
    np.testing.assert_allclose(mask, mask[:, ::-1], atol=1e-6)
    # It falls over some twenty pixels.
    steps = np.diff(mask, axis=0)
    assert steps.min() > -0.05
    assert steps.max() < 0.05


@pytest.mark.parametrize("zoom", [1.0, 1.35])
def test_the_mask_follows_the_hull(zoom):
    hull = FaceRectangle((300.0, 200.0), 100.0)
    matrix = image_to_crop(frame_face(hull, SOURCE_SCALE / zoom))
    mask = mouth_mask(zoom)

    def weight(across: float, down: float) -> float:
        place = (300 + 100 * across, 200 + 100 * down, 1)
        x, y, _ = matrix @ place
        return float(mask[round(y), round(x)])

    # The mouth, its corners, and the chin.
    assert weight(0, 0.23) > 0.99
    assert weight(-0.2, 0.23) > 0.9
    assert weight(0.2, 0.23) > 0.9
    assert weight(0, 0.48) > 0.9
    # An eye, the nose, and beside the face.
    assert weight(-0.2, -0.25) == 0
    assert weight(0, -0.1) == 0
    assert weight(0.5, 0.2) == 0


def test_the_mouth_of_a_drawn_head_lies_within():
    picture, landmarks = draw_known_head(512)
    (face,) = open_mesh().find(picture)
    matrix = image_to_crop(frame_face(face.hull))
    points = face.landmarks
    # Inner lips above and below, and corners.
    lips = points[[13, 14, 78, 308]]
    eyes = points[[33, 133, 362, 263]]
    mask = mouth_mask()

    def weights(points: np.ndarray) -> np.ndarray:
        ones = np.ones((len(points), 1))
        places = np.concatenate([points, ones], axis=1) @ matrix.T
        columns = np.rint(places[:, 0]).astype(int)
        rows = np.rint(places[:, 1]).astype(int)
        return mask[rows, columns]

    assert weights(lips).min() > 0.9
    assert weights(eyes).max() == 0
    assert len(landmarks) > 0
