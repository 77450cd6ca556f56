"""Points of a face in a frame: 82 of them, found on the surface and seen as the camera
sees it."""

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.camera import project, turn
from train.synthetic.curves import interpolate
from train.synthetic.eyes import brow_line, iris_center, lid_contours
from train.synthetic.mouth import lip_contours
from train.synthetic.scene import Moment, Scene

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
"""Which points are what; left and right are the picture's."""
COUNT = 82
NEIGHBOURS = 4
FRONT_Z = 0.35  # all features lie before it


def landmarks(scene: Scene, moment: Moment) -> Float32[np.ndarray, "82 2"]:
    """Pixels of the landmarks, whether they are seen or hidden by the turn of the head.

    jaw: from the ear on the left over the chin to the other. brows: from the inner end
    outwards. nose_ridge: downwards. nose_base: left to right. eyes: upper lid from the
    inner to the outer corner (7), lower lid back (5). lips: upper line from left to
    right, lower line back.
    """
    surface = scene.face(moment)
    flat = np.concatenate([_features(scene, moment), *_mouth(scene, moment)])
    points = np.concatenate([_jaw(scene, surface), raise_to(surface, flat)])
    return project(turn(points, moment.pose.rotation), moment.pose, scene.size).astype(
        np.float32
    )


def _jaw(
    scene: Scene, surface: Float[np.ndarray, "r c 3"]
) -> Float[np.ndarray, "17 3"]:
    """The same points of the skin at all times."""
    s = np.linspace(-1, 1, 17)
    height = interpolate(
        np.abs(s), [(0, 0.975), (0.15, 0.965), (0.4, 0.87), (0.7, 0.6), (1, 0.1)]
    )
    angle = np.sign(s) * interpolate(
        np.abs(s), [(0, 0.0), (0.15, 0.35), (0.4, 0.9), (0.7, 1.25), (1, 1.45)]
    )
    rows = np.interp(height, scene.head.heights, np.arange(len(scene.head.heights)))
    columns = np.interp(angle, scene.head.angles, np.arange(len(scene.head.angles)))
    r, c = rows.astype(int), columns.astype(int)
    v, u = (rows - r)[:, None], (columns - c)[:, None]
    above = surface[r, c] * (1 - u) + surface[r, c + 1] * u
    below = surface[r + 1, c] * (1 - u) + surface[r + 1, c + 1] * u
    return above * (1 - v) + below * v


def _features(scene: Scene, moment: Moment) -> Float[np.ndarray, "45 2"]:
    who, eyes = scene.who, moment.eyes
    brows = [brow_line(who.eyes, eyes, side)[::2] for side in (-1, 1)]
    base = who.head.nose_base
    ridge = np.stack([np.zeros(4), [-0.05, 0.1, 0.24, base - 0.06]], axis=1)
    wings = np.stack(
        [
            np.linspace(-0.1, 0.1, 5) * who.head.nose_width,
            [base - 0.02, base, base + 0.01, base, base - 0.02],
        ],
        axis=1,
    )
    lids = [lid_contours(who.eyes, eyes, side) for side in (-1, 1)]
    contours = [np.concatenate([upper[::2], lower[-3:0:-2]]) for upper, lower in lids]
    irises = [[iris_center(eyes, side)] for side in (-1, 1)]
    return np.concatenate([*brows, ridge, wings, *contours, *irises])


def _mouth(
    scene: Scene, moment: Moment
) -> tuple[Float[np.ndarray, "12 2"], Float[np.ndarray, "8 2"]]:
    lines = lip_contours(scene.who.mouth, moment.mouth, samples=25)
    outer = np.concatenate([lines.outer_upper[::4], lines.outer_lower[-5:0:-4]])
    inner = np.concatenate([lines.inner_upper[::6], lines.inner_lower[-7:0:-6]])
    return outer, inner


def raise_to(
    surface: Float[np.ndarray, "r c 3"], flat: Float[np.ndarray, "k 2"]
) -> Float[np.ndarray, "k 3"]:
    """Give points of the front their z, by the nearest points of the surface."""
    front = surface[surface[..., 2] > FRONT_Z].astype(np.float32)
    dx, dy = (
        np.subtract.outer(flat[:, i].astype(np.float32), front[:, i]) for i in (0, 1)
    )
    squares = dx * dx + dy * dy
    nearest = np.argpartition(squares, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    weight = 1 / (np.take_along_axis(squares, nearest, axis=1) + 1e-6)
    z = (front[nearest, 2] * weight).sum(axis=1) / weight.sum(axis=1)
    return np.concatenate([flat, z[:, None]], axis=1)
