"""Glasses: two rims, a bridge and two arms, as tubes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from train.synthetic.camera import Vector
from train.synthetic.curves import signed_power, smooth_curve
from train.synthetic.head import EYE_X
from train.synthetic.palette import Colour
from train.synthetic.surface import Material, Surface, no_paint

LensShape = Literal["round", "oval", "square"]
Curve = Float[np.ndarray, "k 3"]
"""A line of points in space."""
LENS_X = EYE_X + 0.012
"""Distance of a lens from the middle."""
# In units of the head, whose ears are 0.7 from the middle.
HEIGHTS: dict[LensShape, float] = {"round": 0.185, "oval": 0.15, "square": 0.15}
"""Half the height of a lens, in units."""
EXPONENTS: dict[LensShape, float] = {"round": 2.0, "oval": 2.4, "square": 4.5}
"""Exponents of the superellipses that the rims follow."""


@dataclass(frozen=True)
class Glasses:
    """A pair of glasses.

    Attributes:
      lens: shape of the rims.
      size: factor of the size.
      thickness: radius of the tubes, in units.
      colour: colour of the frame.
    """

    lens: LensShape = "square"
    size: float = 1.0
    thickness: float = 0.016
    colour: Colour = (0.08, 0.07, 0.07)


def frame_of(glasses: Glasses, head_width: float, nose_z: float) -> list[Surface]:
    """Return the tubes of the frame.

    Args:
      head_width: factor of the head's width; the arms end at the ears.
      nose_z: z of the ridge of the nose, on which the bridge sits.
    """
    half_width = 0.2 * glasses.size
    half_height = HEIGHTS[glasses.lens] * glasses.size
    front = nose_z + 0.035
    tubes = []
    for side in (-1, 1):
        center = np.array([side * LENS_X, 0.035, front])
        rim = _rim(glasses.lens, center, half_width, half_height)
        tubes.append(_tube(rim, glasses.thickness))
        hinge = center + np.array([side * half_width, -0.3 * half_height, -0.06])
        arm = _arm(hinge, side, head_width)
        tubes.append(_tube(arm, 0.8 * glasses.thickness))
    bridge = _bridge(LENS_X - half_width, front)
    return [*tubes, _tube(bridge, 0.9 * glasses.thickness)]


def _bridge(half_width: float, front: float) -> Curve:
    """Return an arch over the nose, from one rim to the other."""
    s = np.linspace(-1, 1, 9)
    arch = 1 - s**2
    x = half_width * s
    y = -0.02 - 0.025 * arch
    z = front + 0.012 * arch
    return np.stack([x, y, z], axis=1)


def _rim(
    lens: LensShape,
    center: Vector,
    half_width: float,
    half_height: float,
) -> Curve:
    """Return a superellipse that bends back towards the temples.

    Args:
      lens: shape of the rim.
      center: middle of the lens.
      half_width, half_height: half its size.
    """
    t = np.linspace(-np.pi, np.pi, 41)
    power = 2 / EXPONENTS[lens]
    x = half_width * signed_power(np.cos(t), power)
    y = half_height * signed_power(np.sin(t), power)
    # Furthest forward 0.1 from the middle; a parabola bends back from there.
    z = -0.35 * (np.abs(x + center[0]) - 0.1) ** 2
    return center + np.stack([x, y, z], axis=1)


def _arm(hinge: Vector, side: int, head_width: float) -> Curve:
    """Return a line from the hinge around the temple to the ear."""
    ear = np.array([side * 0.70 * head_width, -0.02, -0.05])
    corner = hinge + np.array([side * 0.02, 0, -0.04])
    middle = (hinge + ear) / 2 + np.array([side * 0.03, 0, 0])
    return smooth_curve(np.stack([hinge, corner, middle, ear]), 14)


def _tube(line: Curve, radius: float, sides: int = 7) -> Surface:
    """Return a tube around a line."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    # Two directions across the line. The fixed vector only must not run along it.
    first = np.cross(along, [0.13, 0.31, 0.94])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, sides)[None, :, None]
    around = np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None]
    points = line[:, None] + radius * around
    paint = no_paint(len(line), sides)
    return Surface(points, paint, Material.FRAME, two_sided=True)
