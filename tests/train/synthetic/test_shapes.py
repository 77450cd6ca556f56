"""Geometry and painting of drawn heads, against hand values."""

from dataclasses import replace

import numpy as np
import pytest

from train.synthetic.camera import PIVOT, Pose, project, turn
from train.synthetic.chart import Region
from train.synthetic.curves import interpolate
from train.synthetic.mouth import MouthShape, MouthState, lip_contours
from train.synthetic.raster import rasterize
from train.synthetic.surface import Material, Surface, normals_of, sphere

SINE_30 = np.sin(np.pi / 6)
AHEAD = np.array([0, 0, 1.0])
ASIDE = np.array([1.0, 0, 0])
CHART = Region(
    left=0,
    top=0,
    right=1,
    bottom=1,
    density=64,
)
RECTANGLE = np.array(
    [
        [0.2, 0.2],
        [0.7, 0.2],
        [0.7, 0.6],
        [0.2, 0.6],
    ]
)
TABLE = [
    (0, 1.0),
    (1, 3.0),
    (3, -1.0),
]


def test_tables_are_met_at_their_knots_and_smooth_between():
    positions = np.array([-5, 0, 1, 3, 9])
    values = interpolate(positions, TABLE)
    np.testing.assert_allclose(values, [1, 1, 3, -1, -1])
    # No corner at the knot in the middle.
    fine = interpolate(np.linspace(0.9, 1.1, 201), TABLE)
    assert np.abs(np.diff(fine, 2)).max() < 1e-4


def test_turning_follows_the_documented_signs():
    pitch = Pose((30, 0, 0)).rotation
    yaw = Pose((0, 30, 0)).rotation
    roll = Pose((0, 0, 30)).rotation
    # Up, to the right, and clockwise.
    up = turn(PIVOT + AHEAD, pitch) - PIVOT
    right = turn(PIVOT + AHEAD, yaw) - PIVOT
    clockwise = turn(PIVOT + ASIDE, roll) - PIVOT
    assert up[1] == pytest.approx(-SINE_30)
    assert right[0] == pytest.approx(SINE_30)
    assert clockwise[1] == pytest.approx(SINE_30)


def test_projection_enlarges_near_points_and_scales_with_the_picture():
    near = np.array([0.5, 0, 1.0])
    far = np.array([0.5, 0, -1.0])
    pose = Pose((0, 0, 0), (0.1, 0.0))
    middle = 256 * 0.6 - 0.5
    near_x, _ = project(near, pose, 256)
    far_x, _ = project(far, pose, 256)
    assert near_x > far_x > middle
    # Integers are centres of pixels, at any size.
    small = project(near, pose, 256) + 0.5
    large = project(near, pose, 512) + 0.5
    np.testing.assert_allclose(large, 2 * small)


def square(left: float, z: float, paint: float) -> Surface:
    """Return a square of 20 pixels.

    Args:
      left: x of its left edge.
      z: distance towards the viewer.
      paint: value of all paint coordinates.
    """
    across = [left, left + 20.0]
    down = [0.0, 20.0]
    y, x = np.meshgrid(down, across, indexing="ij")
    points = np.stack([x, y, 0 * x + z], axis=-1)
    return Surface(
        points,
        paint=np.full((2, 2, 4), paint),
        material=Material.BODY,
    )


def test_the_nearer_surface_is_seen_with_its_paint():
    # The second square lies behind the right half of the first.
    surfaces = [
        square(0, 1.0, 1.0),
        square(10, 0.0, 2.0),
    ]
    pixels = [surface.points[..., :2] for surface in surfaces]
    visible = rasterize(surfaces, pixels, (32, 40))
    picture = np.zeros((32, 40))
    picture.ravel()[visible.pixels] = visible.paint[:, 0]
    assert picture[5, [2, 15, 25, 35]].tolist() == [1, 1, 2, 0]
    towards_viewer = [[0, 0, 1]] * len(visible.pixels)
    np.testing.assert_allclose(visible.normals, towards_viewer, atol=1e-6)


def test_outlines_cover_what_they_surround():
    cover = CHART.fill(RECTANGLE)
    # Distance outside the rectangle, in pixels.
    x, y = CHART.grid()
    across = np.maximum(0.2 - x, x - 0.7)
    down = np.maximum(0.2 - y, y - 0.6)
    outside = np.maximum(across, down) * CHART.density
    assert cover[outside < -1].min() == 1
    assert cover[outside > 2].max() == 0


def test_a_chart_is_looked_up_by_coordinates():
    cover = CHART.fill(RECTANGLE)[..., None]
    # A point inside the rectangle, and one outside.
    x = np.array([0.45, 0.9])
    y = np.array([0.4, 0.9])
    values = CHART.look_up(cover, x, y)
    np.testing.assert_allclose(values, [[1], [0]])


def test_the_space_between_two_lines_is_covered():
    x = np.linspace(0.1, 0.9, 9)
    upper = np.stack([x, 0.2 + 0.1 * x], axis=1)
    lower = np.stack([x, 0.7 - 0.1 * x], axis=1)
    cover = CHART.between(upper, lower)
    column, row = CHART.grid()
    # Two pixels or more from the lines.
    top = 0.2 + 0.1 * column
    bottom = 0.7 - 0.1 * column
    within = (column > 0.15) & (column < 0.85)
    inside = (row > top + 0.03) & (row < bottom - 0.03)
    outside = (row < top - 0.04) | (row > bottom + 0.04)
    assert cover[within & inside].min() == 1
    assert cover[within & outside].max() == 0


def test_a_sphere_faces_outwards():
    _, points = sphere(9, 17)
    np.testing.assert_allclose(np.linalg.norm(points, axis=0), 1)
    # A point of a unit sphere is its own normal.
    outward = np.moveaxis(points, 0, -1)
    cosines = (normals_of(outward) * outward).sum(axis=-1)
    assert cosines.min() > 0.9


def lip_gap(state: MouthState) -> float:
    """Return the distance between the lips in the middle."""
    lines = lip_contours(MouthShape(), state)
    upper = lines.inner_upper[20]
    lower = lines.inner_lower[20]
    return float((lower - upper)[1])


def test_lips_open_by_the_opening_and_meet_when_closed():
    opened = MouthState(jaw=0.8, rounding=0.3)
    assert lip_gap(opened) == pytest.approx(opened.opening)
    assert opened.opening > 0.15
    assert lip_gap(replace(opened, closure=1.0)) == 0


def test_a_spread_mouth_is_wider_than_a_round_one():
    spread = lip_contours(MouthShape(), MouthState(width=1))
    rounded = lip_contours(MouthShape(), MouthState(rounding=1))
    spread_width = np.ptp(spread.outer_upper[:, 0])
    rounded_width = np.ptp(rounded.outer_upper[:, 0])
    assert spread_width > 1.5 * rounded_width
