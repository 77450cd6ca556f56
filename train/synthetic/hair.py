"""Hair: the part of the head that it covers, its thickness, and hair that hangs or
stands beyond the head."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from train.synthetic.chart import Grid, Region, linear
from train.synthetic.curves import (
    Field,
    bell,
    interpolate,
    smooth_noise,
    smoothstep,
)
from train.synthetic.head import HeadSurface
from train.synthetic.palette import Colour, HairStyle
from train.synthetic.surface import Material, Points, Surface, sphere

TEMPLE = -0.5
"""Height at which hanging hair leaves the head."""
RADIUS = 0.66
"""Approximate radius of the head, which converts angles to lengths."""
SCALP = Region(-np.pi, -1.0, np.pi, 2.0, 130)
"""Chart of the hair: angle around the head, and height."""
# Angle from the front -> height of the hairline.
HAIRLINE = [
    (0, -0.66),  # forehead
    (0.35, -0.67),
    (0.7, -0.60),
    (0.95, -0.32),  # temple
    (1.12, -0.04),
    (1.24, 0.06),  # sideburn
    (1.36, 0.0),
    (1.5, -0.08),  # over the ear
    (1.75, -0.02),
    (2.1, 0.4),
    (3.2, 0.6),  # nape
]


@dataclass(frozen=True)
class Hair:
    """A person's hair.

    Attributes:
      style: cut of the hair.
      colour: colour of its lighter strands.
      hairline: rise of the hairline, in units.
      thickness: factor of its thickness.
      parting: side of the parting, -1 to 1.
      wave: waviness of long hair, 0 to 1.
    """

    style: HairStyle = "short"
    colour: Colour = (0.25, 0.16, 0.11)
    hairline: float = 0.0
    thickness: float = 1.0
    parting: float = 0.4
    wave: float = 0.5


@dataclass(frozen=True)
class Cut:
    """Lengths of a style, in units.

    Attributes:
      sides, top, front: thickness there.
      reach: height to which hair hangs down; None if none hangs.
      fringe: 1 if it falls over the forehead.
      curl: 1 if it is curly.
    """

    sides: float
    top: float
    front: float
    reach: float | None = None
    fringe: float = 0.0
    curl: float = 0.0


CUTS: dict[HairStyle, Cut] = {
    "bald": Cut(0.0, 0.0, 0.0),
    "cropped": Cut(0.018, 0.03, 0.02),
    "short": Cut(0.045, 0.09, 0.09),
    "quiff": Cut(0.03, 0.12, 0.2),
    "bob": Cut(0.13, 0.12, 0.08, reach=0.72),
    "long": Cut(0.13, 0.11, 0.08, reach=1.55),
    "bun": Cut(0.03, 0.05, 0.04),
    "afro": Cut(0.15, 0.2, 0.15, curl=1.0),
    "fringe": Cut(0.13, 0.11, 0.075, reach=0.8, fringe=1.0),
}
OPACITY: dict[HairStyle, float] = {"bald": 0.0, "cropped": 0.88}
"""Share of the skin that hair hides, where it is not 1."""


def hairline(hair: Hair, theta: Field) -> Field:
    """Return the height at which hair begins at an angle.

    It lies lower where a fringe falls, and beside the face where hair hangs.

    Args:
      hair: the person's hair.
      theta: angles around the head, 0 at the front.
    """
    cut = CUTS[hair.style]
    side = np.abs(theta)
    line = interpolate(side, HAIRLINE) - hair.hairline * bell(theta, 0, 0.9)
    length = 0.36 + 0.05 * np.cos(theta * 3 + hair.parting)
    fringe = length * (1 - smoothstep(0.6, 0.95, side))
    line = line + cut.fringe * fringe
    if cut.reach:
        line = line + 0.5 * smoothstep(1.0, 1.4, side)
    return line


def _inside(hair: Hair, theta: Field, y: Field) -> Field:
    """Return the distance from the hairline, in units, positive within the hair."""
    # The vertical distance, corrected by the slope of the line.
    step = 0.02
    rise = hairline(hair, theta + step) - hairline(hair, theta - step)
    slope = rise / (2 * step * RADIUS)
    return (hairline(hair, theta) - y) / np.sqrt(1 + slope**2)


def thickness(hair: Hair, theta: Field, y: Field) -> Field:
    """Return the height of the hair above the head.

    Args:
      hair: the person's hair.
      theta: angles around the head, 0 at the front.
      y: heights.
    """
    cut = CUTS[hair.style]
    inside = _inside(hair, theta, y)
    front = bell(theta - 0.25 * hair.parting, 0, 0.62) * smoothstep(-0.25, -0.75, y)
    top = smoothstep(-0.15, -0.7, y)
    level = cut.sides + (cut.top - cut.sides) * top + (cut.front - cut.top) * front
    # The parting is a groove, which curls hide.
    is_straight = cut.curl == 0
    parting = bell(theta, 0.75 * hair.parting, 0.09)
    groove = 1 - 0.4 * parting * smoothstep(-0.2, -0.6, y) * is_straight
    coarse = 0.07 * np.sin(9 * theta + 3 * hair.parting)
    fine = 0.05 * np.sin(17 * theta + 5 * y)
    lumps = 1 + coarse + fine
    # Hair thins out towards its line.
    edge = 0.09 if cut.fringe else 0.16
    border = smoothstep(-0.01, edge, inside) ** 0.8
    return hair.thickness * level * groove * lumps * border


def raise_scalp(hair: Hair, head: HeadSurface) -> Points:
    """Return the offsets by which hair moves the surface of the head outwards.

    They point sideways and back below the temples, all around above.
    """
    y = head.rest[..., 1]
    zero = 0 * y
    center = np.stack([zero, y.clip(-0.35), zero - 0.1], axis=-1)
    outward = head.rest - center
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True).clip(1e-6)
    return thickness(hair, head.theta, y)[..., None] * outward


def paint_scalp(
    hair: Hair, random: np.random.Generator
) -> Float32[np.ndarray, "h w 4"]:
    """Paint the strands, and their coverage of the skin, over angle and height.

    Returns:
      Linear colour and coverage over `SCALP`.
    """
    theta, y = SCALP.grid()
    cut = CUTS[hair.style]
    strands = _strands(cut, random)
    inside = _inside(hair, theta, y)
    # Light and dark strands, darker at their roots.
    light = (0.5 + 0.22 * strands).clip(0.05, 1.1)
    roots = 0.72 + 0.28 * smoothstep(0.0, 0.25, inside)
    tint = linear(hair.colour) * (0.45 + 0.95 * light * roots)[..., None]
    # The border is ragged, and soft where hair is short.
    ragged = (0.012 if cut.curl else 0.02) * strands
    softness = 0.05 if cut.sides > 0.03 else 0.1
    cover = smoothstep(-0.012, softness, inside + ragged)
    opacity = OPACITY.get(hair.style, 1.0)
    chart = np.concatenate([tint, (opacity * cover)[..., None]], axis=-1)
    return chart.astype(np.float32)


def _strands(cut: Cut, random: np.random.Generator) -> Grid:
    """Return the lightness of strands, of deviation about 1.

    They are tight curls, or fine and coarse strands that run down.
    """
    rows, columns = SCALP.shape
    if cut.curl:
        return smooth_noise(random, SCALP.shape, (rows / 5, columns / 5))
    fine = smooth_noise(random, SCALP.shape, (5, columns / 3))
    coarse = smooth_noise(random, SCALP.shape, (7, columns / 12))
    return 0.75 * fine + 0.6 * coarse


def hanging_hair(hair: Hair, width: float) -> list[Surface]:
    """Return the hair that hangs around a head, or stands on it.

    Args:
      width: factor of the head's width.
    """
    cut = CUTS[hair.style]
    if hair.style == "bun":
        return [_bun()]
    if cut.reach:
        return [_curtain(hair, cut.reach, width)]
    return []


def _curtain(
    hair: Hair, reach: float, width: float, rows: int = 26, columns: int = 56
) -> Surface:
    """Return a sheet around the sides and the back, open over the face."""
    heights = np.linspace(TEMPLE, reach, rows)
    sides = np.linspace(-1, 1, columns)
    y, s = np.meshgrid(heights, sides, indexing="ij")
    # t runs down from the temples, 0, to the ends, 1.
    t = (y - TEMPLE) / (reach - TEMPLE)
    opening = 0.98 + 0.14 * smoothstep(0.5, 1.0, t)
    theta = np.pi + s * (np.pi - opening)
    # The sheet widens over the ears; a short one turns inwards at its ends.
    widening = 0.12 * smoothstep(TEMPLE, 0.35, y)
    inturn = 0.09 * smoothstep(0.75, 1.0, t) * (reach < 1)
    body = 0.70 + widening - inturn
    body = body * width * hair.thickness**0.3
    ripples = 0.018 * np.sin(11 * theta + 2.0 * t)
    waves = 0.02 * hair.wave * np.sin(9 * y + 5 * theta)
    locks = 1 + ripples + waves
    x = np.sin(theta) * body * locks
    z = -0.1 + np.cos(theta) * (body + 0.14) * locks
    # The edges beside the face wave, and the ends are uneven.
    wave = 0.05 * hair.wave * np.sin(7 * y + 1.0)
    edge = wave * np.abs(s) ** 6 * np.sign(x)
    ends = y - 0.05 * smoothstep(0.8, 1, t) * np.sin(6 * theta + 2)
    points = np.stack([x + edge, ends, z], axis=-1)
    across = np.where(theta > np.pi, theta - 2 * np.pi, theta)
    paint = np.stack([across, y, 0 * y, 1 + 0 * y], axis=-1)
    return Surface(points, paint, Material.HAIR, two_sided=True)


def _bun(rows: int = 14, columns: int = 24) -> Surface:
    """Return a ball on top of the head."""
    (phi, theta), (x, y, z) = sphere(rows, columns)
    ripple = 1 + 0.03 * np.sin(6 * phi + 2 * theta)
    bun_x = 0.27 * x * ripple
    bun_y = -1.1 + 0.22 * y * ripple
    bun_z = -0.25 + 0.27 * z * ripple
    points = np.stack([bun_x, bun_y, bun_z], axis=-1)
    # Strands run around it: the chart is read across.
    paint = np.stack([phi * 2 - np.pi, theta * 0.3, 0 * x, 1 + 0 * x], axis=-1)
    return Surface(points, paint, Material.HAIR)
