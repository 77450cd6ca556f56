"""Ears, neck and clothed shoulders."""

from dataclasses import dataclass

import numpy as np

from train.synthetic.camera import Pose, turn
from train.synthetic.chart import Grid, Picture, Region, lay, linear
from train.synthetic.curves import (
    bell,
    interpolate,
    signed_power,
    smooth_noise,
    smoothstep,
)
from train.synthetic.palette import Colour, Garment
from train.synthetic.surface import Material, Points, Surface, sphere

BODY = Region(-1.5, 0.45, 1.5, 2.1, 130)
"""Chart of the front of neck and shoulders, in x and y."""
# Height -> half the width of neck and shoulders.
GIRTH = [
    (0.4, 0.36),
    (0.85, 0.335),
    (1.02, 0.355),
    (1.14, 0.44),
    (1.24, 0.62),
    (1.33, 0.84),
    (1.45, 1.04),
    (1.65, 1.17),
    (2.1, 1.22),
]
# Height -> depth of the front.
CHEST = [
    (0.4, 0.16),
    (0.9, 0.19),
    (1.1, 0.22),
    (1.25, 0.28),
    (1.5, 0.44),
    (2.1, 0.6),
]


@dataclass(frozen=True)
class Build:
    """A person's proportions.

    Attributes:
      neck, shoulders: factors of their widths.
      ears: factor of their size.
      stand: angle between ears and head, in degrees.
    """

    neck: float = 1.0
    shoulders: float = 1.0
    ears: float = 1.0
    stand: float = 25.0


@dataclass(frozen=True)
class Clothes:
    """A person's clothes.

    Attributes:
      garment: cut of the garment.
      colour: colour of the cloth.
      trim: colour of buttons and stripes.
      stripes: striped cloth.
    """

    garment: Garment = "crew"
    colour: Colour = (0.16, 0.22, 0.36)
    trim: Colour = (0.86, 0.84, 0.80)
    stripes: bool = False


def torso(build: Build, rows: int = 30, columns: int = 44) -> Surface:
    """Return neck and shoulders at rest, as one surface.

    Args:
      build: the person's proportions.
      rows, columns: size of the grid.
    """
    heights = np.linspace(0.42, 2.1, rows)
    angles = np.linspace(-np.pi, np.pi, columns)
    y, theta = np.meshgrid(heights, angles, indexing="ij")
    # 0 at the neck, 1 at the shoulders.
    shoulders = smoothstep(1.05, 1.35, y)
    factor = build.neck + (build.shoulders - build.neck) * shoulders
    width = interpolate(y, GIRTH) * factor
    front = interpolate(y, CHEST)
    back = 0.42 + 0.1 * shoulders
    # Shoulders are squarer than an ellipse.
    x = width * signed_power(np.sin(theta), 1 - 0.25 * shoulders)
    cosine = np.cos(theta)
    is_front = cosine > 0
    z = np.where(is_front, (front + 0.15), back) * cosine - 0.15
    # Two tendons run down the neck and meet at the collarbones.
    tendon_x = 0.2 - 0.2 * (y - 0.7)
    tendon = 0.018 * bell(np.abs(x), tendon_x, 0.05)
    tendons = tendon * (1 - shoulders) * is_front
    points = np.stack([x, y, z + tendons], axis=-1)
    paint = np.stack([x, y, theta, 0 * x], axis=-1)
    return Surface(points, paint, Material.BODY)


def bend_neck(rest: Points, pose: Pose) -> Points:
    """Turn the neck with the head above it; the shoulders stay.

    Args:
      rest: points of neck and shoulders at rest.
      pose: position of the head.
    """
    follow = (1 - smoothstep(0.6, 1.2, rest[..., 1]))[..., None]
    return rest + follow * (turn(rest, pose.rotation) - rest)


def ears(
    build: Build, width: float, rows: int = 12, columns: int = 18
) -> list[Surface]:
    """Return both ears: flat shells with a hollow, that stand off the head.

    Args:
      width: factor of the head's width.
    """
    # In an ear's own coordinates: across it to the back, up, and out of its plane.
    _, (across, up, out) = sphere(rows, columns)
    distance = np.hypot(across + 0.05, up * 0.85 - 0.1)
    hollow = 0.6 * bell(distance, 0.1, 0.42) * (out > 0)
    outline = 1 - 0.28 * smoothstep(0.0, 1.0, up)
    local_x = 0.10 * across * outline
    local_y = 0.185 * up
    local_z = 0.042 * (out - 1.1 * hollow)
    local = np.stack([local_x, local_y, local_z], axis=-1) * build.ears
    paint = np.stack([hollow, up, 0 * up, 0 * up], axis=-1)
    angle = np.radians(build.stand)
    surfaces = []
    for side in (-1, 1):
        # From the ear's back rim to its front, and away from the head.
        forward = np.array([np.sin(angle) * -side, 0.0, np.cos(angle)])
        outward = np.array([side * np.cos(angle), 0.0, np.sin(angle)])
        axes = np.stack([-forward, [0.0, 1.0, 0.1], outward])
        points = local @ axes + (side * 0.715 * width, 0.12, -0.02)
        surfaces.append(Surface(points, paint, Material.EAR, two_sided=True))
    return surfaces


def paint_body(clothes: Clothes, skin: Colour, random: np.random.Generator) -> Picture:
    """Paint the skin of the neck, and cloth below the neckline.

    Returns:
      Linear colours over `BODY`.
    """
    x, y = BODY.grid()
    side = np.abs(x)
    # Distance below the neckline.
    edge = y - _neckline(clothes.garment, side)
    throat = 0.12 * bell(x, 0, 0.03) * bell(y, 1.16, 0.05)
    collarbones = 0.12 * bell(y, 1.28 - 0.1 * side, 0.018) * bell(side, 0.3, 0.18)
    shadow = 1 - 0.45 * bell(edge, -0.02, 0.03)
    tone = (0.96 - throat) * (1 - collarbones) * shadow
    bare = linear(skin) * tone[..., None]
    cover = smoothstep(-0.006, 0.006, edge)
    return lay(bare, cover, _cloth(clothes, edge, random)).astype(np.float32)


def _neckline(garment: Garment, side: Grid) -> Grid:
    """Return the height at which cloth begins.

    Args:
      garment: cut of the garment.
      side: distance from the middle.
    """
    if garment == "crew":
        return 1.13 + 0.16 * bell(side, 0, 0.22)
    if garment == "v_neck":
        return 1.12 + np.maximum(0.0, 0.42 - 1.05 * side)
    if garment == "shirt":
        return 1.02 + np.maximum(0.0, 0.36 - 1.3 * side)
    return np.full_like(side, 0.93)


def _cloth(clothes: Clothes, edge: Grid, random: np.random.Generator) -> Picture:
    """Paint woven cloth with a hem or a collar, striped or plain."""
    x, y = BODY.grid()
    threads = 0.03 * smooth_noise(random, BODY.shape, (160, 290))
    folds = 0.06 * smooth_noise(random, BODY.shape, (5, 9))
    weave = 1 + threads + folds
    cloth = linear(clothes.colour) * weave[..., None]
    if clothes.stripes:
        # Stripes hang down at the sides, as cloth does.
        phase = np.mod(y / 0.16 + 0.3 * x**2, 1)
        stripe = smoothstep(0.25, 0.35, np.abs(phase - 0.5))
        cloth = lay(cloth, stripe, linear(clothes.trim))
    if clothes.garment == "shirt":
        return _collar(cloth, clothes.trim)
    hem = bell(edge, 0.05, 0.006) + bell(edge, 0.004, 0.006)
    return cloth * (1 - 0.35 * hem)[..., None]


def _collar(cloth: Picture, trim: Colour) -> Picture:
    """Paint the two leaves of a collar, the placket and its buttons."""
    x, y = BODY.grid()
    side = np.abs(x)
    # Distances from the lower and the outer edge of a leaf.
    below = 1.36 + 0.25 * side - y
    beside = 0.44 - side - 0.25 * (y - 1.1)
    leaf = smoothstep(0.0, 0.012, below) * smoothstep(0.0, 0.012, beside)
    lower_seam = bell(below, -0.012, 0.014) * (side < 0.42)
    outer_seam = bell(beside, -0.01, 0.014) * (y < 1.45)
    seams = lower_seam + outer_seam
    placket = bell(side, 0.05, 0.006) * (y > 1.4)
    shade = (1 + 0.1 * leaf - 0.4 * seams.clip(0, 1)) * (1 - 0.3 * placket)
    cloth = cloth * shade[..., None]
    # Buttons repeat down the placket.
    distance = np.hypot(x, np.mod(y - 1.5, 0.24) - 0.12)
    button = 1 - smoothstep(0.014, 0.02, distance)
    return lay(cloth, button * (y > 1.45), linear(trim))
