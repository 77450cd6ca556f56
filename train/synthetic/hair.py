"""Hair: what of the head it covers, how thick it lies, and what hangs or stands beyond
the head."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.chart import Grid, Region, linear
from train.synthetic.curves import bell, interpolate, smooth_noise, smoothstep
from train.synthetic.head import HeadSurface
from train.synthetic.palette import Colour, HairStyle
from train.synthetic.surface import Material, Surface, sphere

TEMPLE = -0.5
"""Where what hangs leaves the head."""
RADIUS = 0.66  # of the head, near enough
SCALP = Region(-np.pi, -1.0, np.pi, 2.0, 130)
"""Angle around the head and height."""
HAIRLINE = [
    (0, -0.66), (0.35, -0.67), (0.7, -0.60), (0.95, -0.32), (1.12, -0.04), (1.24, 0.06), (1.36, 0.0), (1.5, -0.08),
    (1.75, -0.02), (2.1, 0.4), (3.2, 0.6),
]  # fmt: skip
"""Height against the angle from the front: forehead, temple, sideburn, over the ear,
nape."""


@dataclass(frozen=True)
class Hair:
    """A person's hair.

    Attributes:
      style: its cut.
      colour: of its lighter strands.
      hairline: how much higher the hairline lies, in units. thickness: a factor.
      parting: side of the parting, -1 to 1.
      wave: of long hair, 0 to 1.
    """

    style: HairStyle = "short"
    colour: Colour = (0.25, 0.16, 0.11)
    hairline: float = 0.0
    thickness: float = 1.0
    parting: float = 0.4
    wave: float = 0.5


@dataclass(frozen=True)
class Cut:
    """What a style means, in units.

    Attributes:
      sides, top, front: thickness there.
      reach: height to which hair hangs down; None where none hangs.
      fringe: 1 if it falls over the forehead. curl: 1 if it is curly.
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


def hairline(hair: Hair, theta: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Height at which hair begins at an angle: lower where a fringe falls, and beside
    the face where hair hangs."""
    cut, side = CUTS[hair.style], np.abs(theta)
    line = interpolate(side, HAIRLINE) - hair.hairline * bell(theta, 0, 0.9)
    fringe = (0.36 + 0.05 * np.cos(theta * 3 + hair.parting)) * (
        1 - smoothstep(0.6, 0.95, side)
    )
    return (
        line
        + cut.fringe * fringe
        + (0.5 * smoothstep(1.0, 1.4, side) if cut.reach else 0.0)
    )


def _inside(
    hair: Hair, theta: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Distance from the hairline, in units, positive within the hair."""
    step = 0.02
    slope = (hairline(hair, theta + step) - hairline(hair, theta - step)) / (
        2 * step * RADIUS
    )
    return (hairline(hair, theta) - y) / np.sqrt(1 + slope**2)


def thickness(
    hair: Hair, theta: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """How far hair raises the surface of the head."""
    cut = CUTS[hair.style]
    inside = _inside(hair, theta, y)
    front = bell(theta - 0.25 * hair.parting, 0, 0.62) * smoothstep(-0.25, -0.75, y)
    top = smoothstep(-0.15, -0.7, y)
    level = cut.sides + (cut.top - cut.sides) * top + (cut.front - cut.top) * front
    groove = 1 - 0.4 * bell(theta, 0.75 * hair.parting, 0.09) * smoothstep(
        -0.2, -0.6, y
    ) * (cut.curl == 0)
    lumps = (
        1
        + 0.07 * np.sin(9 * theta + 3 * hair.parting)
        + 0.05 * np.sin(17 * theta + 5 * y)
    )
    edge = 0.09 if cut.fringe else 0.16
    return (
        hair.thickness * level * groove * lumps * smoothstep(-0.01, edge, inside) ** 0.8
    )


def raise_scalp(hair: Hair, head: HeadSurface) -> Float[np.ndarray, "r c 3"]:
    """How hair moves the surface of the head outwards: sideways and back below the
    temples, all around above."""
    y = head.rest[..., 1]
    outward = head.rest - np.stack([0 * y, y.clip(-0.35), 0 * y - 0.1], axis=-1)
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True).clip(1e-6)
    return thickness(hair, head.theta, y)[..., None] * outward


def paint_scalp(
    hair: Hair, random: np.random.Generator
) -> Float32[np.ndarray, "h w 4"]:
    """Colour of the strands and how far they cover the skin, over angle and height."""
    theta, y = SCALP.grid()
    cut = CUTS[hair.style]
    strands = _strands(cut, random)
    inside = _inside(hair, theta, y)
    light = (0.5 + 0.22 * strands).clip(0.05, 1.1)
    roots = 0.72 + 0.28 * smoothstep(0.0, 0.25, inside)
    tint = linear(hair.colour) * (0.45 + 0.95 * light * roots)[..., None]
    ragged = (0.012 if cut.curl else 0.02) * strands
    cover = smoothstep(-0.012, 0.05 if cut.sides > 0.03 else 0.1, inside + ragged)
    density = {"bald": 0.0, "cropped": 0.88}.get(hair.style, 1.0)
    return np.concatenate([tint, (density * cover)[..., None]], axis=-1).astype(
        np.float32
    )


def _strands(cut: Cut, random: np.random.Generator) -> Grid:
    """Lightness of strands, of deviation about 1: tight curls, or fine and coarse ones
    that run down."""
    rows, columns = SCALP.shape
    if cut.curl:
        return smooth_noise(random, SCALP.shape, (rows / 5, columns / 5))
    fine = smooth_noise(random, SCALP.shape, (5, columns / 3))
    return 0.75 * fine + 0.6 * smooth_noise(random, SCALP.shape, (7, columns / 12))


def hanging_hair(hair: Hair, width: float) -> list[Surface]:
    """What hangs around a head of this width, or stands on it."""
    cut = CUTS[hair.style]
    if hair.style == "bun":
        return [_bun()]
    return [_curtain(hair, cut.reach, width)] if cut.reach else []


def _curtain(
    hair: Hair, reach: float, width: float, rows: int = 26, columns: int = 56
) -> Surface:
    """A sheet around the sides and the back, open over the face."""
    y, s = np.meshgrid(
        np.linspace(TEMPLE, reach, rows), np.linspace(-1, 1, columns), indexing="ij"
    )
    t = (y - TEMPLE) / (reach - TEMPLE)
    opening = 0.98 + 0.14 * smoothstep(0.5, 1.0, t)
    theta = np.pi + s * (np.pi - opening)
    body = (
        0.70
        + 0.12 * smoothstep(TEMPLE, 0.35, y)
        - 0.09 * smoothstep(0.75, 1.0, t) * (reach < 1)
    )
    body = body * width * hair.thickness**0.3
    locks = (
        1
        + 0.018 * np.sin(11 * theta + 2.0 * t)
        + 0.02 * hair.wave * np.sin(9 * y + 5 * theta)
    )
    x, z = np.sin(theta) * body * locks, -0.1 + np.cos(theta) * (body + 0.14) * locks
    edge = 0.05 * hair.wave * np.sin(7 * y + 1.0) * np.abs(s) ** 6 * np.sign(x)
    ends = y - 0.05 * smoothstep(0.8, 1, t) * np.sin(6 * theta + 2)
    points = np.stack([x + edge, ends, z], axis=-1)
    across = np.where(theta > np.pi, theta - 2 * np.pi, theta)
    return Surface(
        points,
        np.stack([across, y, 0 * y, 1 + 0 * y], axis=-1),
        Material.HAIR,
        two_sided=True,
    )


def _bun(rows: int = 14, columns: int = 24) -> Surface:
    (phi, theta), (x, y, z) = sphere(rows, columns)
    ripple = 1 + 0.03 * np.sin(6 * phi + 2 * theta)
    points = np.stack(
        [0.27 * x * ripple, -1.1 + 0.22 * y * ripple, -0.25 + 0.27 * z * ripple],
        axis=-1,
    )
    return Surface(
        points,
        np.stack([phi * 2 - np.pi, theta * 0.3, 0 * x, 1 + 0 * x], axis=-1),
        Material.HAIR,
    )
