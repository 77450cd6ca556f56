"""Landmarks of a face in a frame: 82 points on the surface, seen by the camera."""

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.camera import project, turn
from train.synthetic.curves import interpolate
from train.synthetic.eyes import brow_line, iris_center, lid_contours
from train.synthetic.head import HeadShape
from train.synthetic.mouth import lip_contours
from train.synthetic.scene import Moment, Scene
from train.synthetic.surface import Points

FlatPoints = Float[np.ndarray, "k 2"]
"""Points of the front of a face, in x and y of the head."""
SpacePoints = Float[np.ndarray, "k 3"]
"""Points in the head's coordinates."""

GROUPS: dict[str, slice] = {
    "jaw": slice(0, 17),
    "brow_left": slice(17, 22),
    "brow_right": slice(22, 27),
    "nose_ridge": slice(27, 31),
    "nose_base": slice(31, 36),
    "eye_left": slice(36, 48),
    "eye_right": slice(48, 60),
    "iris_left": slice(60, 61),
    "iris_right": slice(61, 62),
    "lips_outer": slice(62, 74),
    "lips_inner": slice(74, 82),
}
"""Feature -> its points; left and right are the picture's."""
GROUP_NAMES = [
    name for name, points in GROUPS.items() for _ in range(points.start, points.stop)
]
"""Feature of each point, as truth files name it."""
COUNT = 82
"""Number of landmarks."""
SIDES = (-1, 1)
"""Left and right of the picture."""
NEIGHBOURS = 4
"""Points of the surface that give a landmark its z."""
FRONT_Z = 0.35
"""z behind which there are no features."""
# The jaw runs from ear to ear. Distance from the chin, 0 to 1 -> height and angle.
JAW_HEIGHT = [
    (0, 0.975),
    (0.15, 0.965),
    (0.4, 0.87),
    (0.7, 0.6),
    (1, 0.1),
]
JAW_ANGLE = [
    (0, 0.0),
    (0.15, 0.35),
    (0.4, 0.9),
    (0.7, 1.25),
    (1, 1.45),
]


def landmarks(scene: Scene, moment: Moment) -> Float32[np.ndarray, "82 2"]:
    """Return the pixels of the landmarks, visible or hidden.

    The order within the groups:
      jaw: from the ear on the left over the chin to the other.
      brows: from the inner end outwards.
      nose_ridge: downwards.
      nose_base: from left to right.
      eyes: upper lid from the inner to the outer corner (7), lower lid back (5).
      lips: upper line from left to right, lower line back.
    """
    surface = scene.face(moment)
    jaw = _jaw(scene, surface)
    flat = np.concatenate([_features(scene, moment), _mouth(scene, moment)])
    points = np.concatenate([jaw, raise_to(surface, flat)])
    turned = turn(points, moment.pose.rotation)
    return project(turned, moment.pose, scene.size).astype(np.float32)


def _jaw(scene: Scene, surface: Points) -> SpacePoints:
    """Return the same 17 points of the skin in every frame."""
    s = np.linspace(-1, 1, 17)
    distance = np.abs(s)
    height = interpolate(distance, JAW_HEIGHT)
    angle = np.sign(s) * interpolate(distance, JAW_ANGLE)
    # Positions on the grid at rest, in rows and columns.
    heights = scene.head.heights
    angles = scene.head.angles
    rows = np.interp(height, heights, np.arange(len(heights)))
    columns = np.interp(angle, angles, np.arange(len(angles)))
    # Bilinear interpolation between the four points around each position.
    row = rows.astype(int)
    column = columns.astype(int)
    v = (rows - row)[:, None]
    u = (columns - column)[:, None]
    upper_left = surface[row, column]
    upper_right = surface[row, column + 1]
    lower_left = surface[row + 1, column]
    lower_right = surface[row + 1, column + 1]
    above = upper_left * (1 - u) + upper_right * u
    below = lower_left * (1 - u) + lower_right * u
    return above * (1 - v) + below * v


def _features(scene: Scene, moment: Moment) -> FlatPoints:
    """Return the 45 points of brows, nose, lids and irises."""
    shape = scene.who.eyes
    state = moment.eyes
    brows = [brow_line(shape, state, side)[::2] for side in SIDES]
    eyes = []
    for side in SIDES:
        upper, lower = lid_contours(shape, state, side)
        # The lower lid runs back, without the corners.
        eyes += [upper[::2], lower[-3:0:-2]]
    irises = [[iris_center(state, side)] for side in SIDES]
    nose = _nose(scene.who.head)
    return np.concatenate([*brows, nose, *eyes, *irises])


def _nose(shape: HeadShape) -> FlatPoints:
    """Return 4 points of the ridge and 5 of the base."""
    base = shape.nose_base
    ridge_y = [-0.05, 0.1, 0.24, base - 0.06]
    ridge = np.stack([np.zeros(4), ridge_y], axis=1)
    wing_x = np.linspace(-0.1, 0.1, 5) * shape.nose_width
    wing_y = [base - 0.02, base, base + 0.01, base, base - 0.02]
    wings = np.stack([wing_x, wing_y], axis=1)
    return np.concatenate([ridge, wings])


def _mouth(scene: Scene, moment: Moment) -> FlatPoints:
    """Return 12 points of the outer and 8 of the inner line of the lips."""
    lines = lip_contours(scene.who.mouth, moment.mouth, samples=25)
    # Lower lines run back, without the corners.
    contours = [
        lines.outer_upper[::4],
        lines.outer_lower[-5:0:-4],
        lines.inner_upper[::6],
        lines.inner_lower[-7:0:-6],
    ]
    return np.concatenate(contours)


def raise_to(surface: Points, flat: FlatPoints) -> SpacePoints:
    """Add z to points of the front, by the nearest points of the surface."""
    front = surface[surface[..., 2] > FRONT_Z].astype(np.float32)
    x, y = flat.astype(np.float32).T
    # Squared distances of every landmark to every point of the surface.
    dx = np.subtract.outer(x, front[:, 0])
    dy = np.subtract.outer(y, front[:, 1])
    squares = dx * dx + dy * dy
    nearest = np.argpartition(squares, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    # The mean is weighted by the inverse squares.
    weight = 1 / (np.take_along_axis(squares, nearest, axis=1) + 1e-6)
    z = (front[nearest, 2] * weight).sum(axis=1) / weight.sum(axis=1)
    return np.concatenate([flat, z[:, None]], axis=1)
