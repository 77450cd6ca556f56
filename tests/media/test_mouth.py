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
    border = [mask[0], mask[-1], mask[:, 0], mask[:, -1]]
    assert not np.any(border)
    np.testing.assert_allclose(mask, mask[:, ::-1], atol=1e-6)
    # It falls over some twenty pixels.
    assert np.abs(np.diff(mask, axis=0)).max() < 0.05


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
    assert min(weight(-0.2, 0.23), weight(0.2, 0.23)) > 0.9
    assert weight(0, 0.48) > 0.9
    # Eyes, the tip of the nose, and beside the face.
    assert weight(-0.2, -0.25) == weight(0, -0.1) == weight(0.5, 0.2) == 0


def test_the_mouth_of_a_drawn_head_lies_within():
    picture, landmarks = draw_known_head(512)
    (face,) = open_mesh().find(picture)
    matrix = image_to_crop(frame_face(face.hull))
    lips = face.landmarks[[13, 14, 78, 308]]
    eyes = face.landmarks[[33, 133, 362, 263]]
    mask = mouth_mask()

    def weights(points: np.ndarray) -> np.ndarray:
        places = np.c_[points, np.ones(len(points))] @ matrix.T
        columns, rows = places[:, :2].round().astype(int).T
        return mask[rows, columns]

    assert weights(lips).min() > 0.9
    assert weights(eyes).max() == 0
    assert len(landmarks) > 0
