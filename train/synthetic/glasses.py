"""Glasses: two rims, a bridge and two arms, as tubes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from train.synthetic.curves import signed_power, smooth_curve
from train.synthetic.head import EYE_X
from train.synthetic.palette import Colour
from train.synthetic.surface import Material, Surface, no_paint

LensShape = Literal["round", "oval", "square"]
LENS_X = EYE_X + 0.012
HEIGHTS: dict[LensShape, float] = {"round": 0.185, "oval": 0.15, "square": 0.15}
EXPONENTS: dict[LensShape, float] = {"round": 2.0, "oval": 2.4, "square": 4.5}
"""Exponents of the superellipses that the rims follow."""


@dataclass(frozen=True)
class Glasses:
    """A pair of glasses.

    Attributes:
      lens: shape of the rims. size: a factor. thickness: of the tubes, in units.
      colour: of the frame.
    """

    lens: LensShape = "square"
    size: float = 1.0
    thickness: float = 0.016
    colour: Colour = (0.08, 0.07, 0.07)


def frame_of(glasses: Glasses, head_width: float, nose_z: float) -> list[Surface]:
    """Tubes of the frame.

    Args:
      head_width: a factor; the arms end at the ears.
      nose_z: z of the ridge of the nose, on which the bridge sits.
    """
    half_width, half_height = 0.2 * glasses.size, HEIGHTS[glasses.lens] * glasses.size
    front = nose_z + 0.035
    tubes = []
    for side in (-1, 1):
        center = np.array([side * LENS_X, 0.035, front])
        hinge = center + np.array([side * half_width, -0.3 * half_height, -0.06])
        tubes.append(
            _tube(
                _rim(glasses.lens, center, half_width, half_height), glasses.thickness
            )
        )
        tubes.append(_tube(_arm(hinge, side, head_width), 0.8 * glasses.thickness))
    s = np.linspace(-1, 1, 9)
    arch = 1 - s**2
    bridge = np.stack(
        [(LENS_X - half_width) * s, -0.02 - 0.025 * arch, front + 0.012 * arch], axis=1
    )
    return [*tubes, _tube(bridge, 0.9 * glasses.thickness)]


def _rim(
    lens: LensShape,
    center: Float[np.ndarray, "3"],
    half_width: float,
    half_height: float,
) -> Float[np.ndarray, "k 3"]:
    """A superellipse that bends back towards the temples."""
    t = np.linspace(-np.pi, np.pi, 41)
    power = 2 / EXPONENTS[lens]
    x = half_width * signed_power(np.cos(t), power)
    y = half_height * signed_power(np.sin(t), power)
    return center + np.stack([x, y, -0.35 * (np.abs(x + center[0]) - 0.1) ** 2], axis=1)


def _arm(
    hinge: Float[np.ndarray, "3"], side: int, head_width: float
) -> Float[np.ndarray, "k 3"]:
    ear = np.array([side * 0.70 * head_width, -0.02, -0.05])
    corner, middle = (
        hinge + np.array([side * 0.02, 0, -0.04]),
        (hinge + ear) / 2 + np.array([side * 0.03, 0, 0]),
    )
    return smooth_curve(np.stack([hinge, corner, middle, ear]), 14)


def _tube(line: Float[np.ndarray, "k 3"], radius: float, sides: int = 7) -> Surface:
    """A tube around a line."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    first = np.cross(along, [0.13, 0.31, 0.94])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, sides)[None, :, None]
    points = line[:, None] + radius * (
        np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None]
    )
    return Surface(points, no_paint(len(line), sides), Material.FRAME, two_sided=True)
