"""Ears, neck and clothed shoulders."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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
from train.synthetic.surface import Material, Surface, sphere

BODY = Region(-1.5, 0.45, 1.5, 2.1, 130)
"""The front of neck and shoulders."""
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
CHEST = [(0.4, 0.16), (0.9, 0.19), (1.1, 0.22), (1.25, 0.28), (1.5, 0.44), (2.1, 0.6)]


@dataclass(frozen=True)
class Build:
    """A person's proportions.

    Attributes:
      neck, shoulders: factors of their widths.
      ears: a factor of their size. stand: how far they stand off, in degrees.
    """

    neck: float = 1.0
    shoulders: float = 1.0
    ears: float = 1.0
    stand: float = 25.0


@dataclass(frozen=True)
class Clothes:
    """What a person wears.

    Attributes:
      garment: its cut.
      colour: of the cloth. trim: of buttons and stripes.
      stripes: whether it has them.
    """

    garment: Garment = "crew"
    colour: Colour = (0.16, 0.22, 0.36)
    trim: Colour = (0.86, 0.84, 0.80)
    stripes: bool = False


def torso(build: Build, rows: int = 30, columns: int = 44) -> Surface:
    """Neck and shoulders at rest, in one."""
    y, theta = np.meshgrid(
        np.linspace(0.42, 2.1, rows), np.linspace(-np.pi, np.pi, columns), indexing="ij"
    )
    shoulders = smoothstep(1.05, 1.35, y)
    width = interpolate(y, GIRTH) * (
        build.neck + (build.shoulders - build.neck) * shoulders
    )
    front, back = interpolate(y, CHEST), 0.42 + 0.1 * shoulders
    x = width * signed_power(np.sin(theta), 1 - 0.25 * shoulders)
    z = np.where(np.cos(theta) > 0, (front + 0.15), back) * np.cos(theta) - 0.15
    tendons = (
        0.018
        * bell(np.abs(x), 0.2 - 0.2 * (y - 0.7), 0.05)
        * (1 - shoulders)
        * (np.cos(theta) > 0)
    )
    return Surface(
        np.stack([x, y, z + tendons], -1),
        np.stack([x, y, theta, 0 * x], -1),
        Material.BODY,
    )


def bend_neck(
    rest: Float[np.ndarray, "r c 3"], pose: Pose
) -> Float[np.ndarray, "r c 3"]:
    """The neck follows the head above, and the shoulders stay."""
    follow = (1 - smoothstep(0.6, 1.2, rest[..., 1]))[..., None]
    return rest + follow * (turn(rest, pose.rotation) - rest)


def ears(
    build: Build, width: float, rows: int = 12, columns: int = 18
) -> list[Surface]:
    """Both ears: flat shells with a hollow, that stand off the head."""
    _, (across, up, out) = sphere(rows, columns)
    hollow = 0.6 * bell(np.hypot(across + 0.05, up * 0.85 - 0.1), 0.1, 0.42) * (out > 0)
    outline = 1 - 0.28 * smoothstep(0.0, 1.0, up)
    local = (
        np.stack(
            [0.10 * across * outline, 0.185 * up, 0.042 * (out - 1.1 * hollow)], axis=-1
        )
        * build.ears
    )
    surfaces = []
    for side in (-1, 1):
        angle = np.radians(build.stand)
        forward = np.array(
            [np.sin(angle) * -side, 0.0, np.cos(angle)]
        )  # from the ear's back rim to its front
        outward = np.array([side * np.cos(angle), 0.0, np.sin(angle)])
        axes = np.stack([-forward, [0.0, 1.0, 0.1], outward])
        points = local @ axes + (side * 0.715 * width, 0.12, -0.02)
        paint = np.stack([hollow, up, 0 * up, 0 * up], axis=-1)
        surfaces.append(Surface(points, paint, Material.EAR, two_sided=True))
    return surfaces


def paint_body(clothes: Clothes, skin: Colour, random: np.random.Generator) -> Picture:
    """Skin of the neck, and cloth below the neckline, linear."""
    x, y = BODY.grid()
    edge = y - _neckline(clothes.garment, np.abs(x))
    throat = 0.12 * bell(x, 0, 0.03) * bell(y, 1.16, 0.05)
    collarbones = (
        0.12 * bell(y, 1.28 - 0.1 * np.abs(x), 0.018) * bell(np.abs(x), 0.3, 0.18)
    )
    shadow = 1 - 0.45 * bell(edge, -0.02, 0.03)
    bare = linear(skin) * ((0.96 - throat) * (1 - collarbones) * shadow)[..., None]
    return lay(
        bare, smoothstep(-0.006, 0.006, edge), _cloth(clothes, edge, random)
    ).astype(np.float32)


def _neckline(garment: Garment, side: Grid) -> Grid:
    """Height at which cloth begins."""
    lines = {
        "crew": 1.13 + 0.16 * bell(side, 0, 0.22),
        "v_neck": 1.12 + np.maximum(0.0, 0.42 - 1.05 * side),
        "shirt": 1.02 + np.maximum(0.0, 0.36 - 1.3 * side),
        "turtleneck": np.full_like(side, 0.93),
    }
    return lines[garment]


def _cloth(clothes: Clothes, edge: Grid, random: np.random.Generator) -> Picture:
    """Woven, striped or not, with a hem or a collar."""
    x, y = BODY.grid()
    weave = (
        1
        + 0.03 * smooth_noise(random, BODY.shape, (160, 290))
        + 0.06 * smooth_noise(random, BODY.shape, (5, 9))
    )
    cloth = linear(clothes.colour) * weave[..., None]
    if clothes.stripes:
        stripe = smoothstep(0.25, 0.35, np.abs(np.mod(y / 0.16 + 0.3 * x**2, 1) - 0.5))
        cloth = lay(cloth, stripe, linear(clothes.trim))
    if clothes.garment == "shirt":
        return _collar(cloth, clothes.trim)
    hem = bell(edge, 0.05, 0.006) + bell(edge, 0.004, 0.006)
    return cloth * (1 - 0.35 * hem)[..., None]


def _collar(cloth: Picture, trim: Colour) -> Picture:
    """Two leaves of a collar, the placket and its buttons."""
    x, y = BODY.grid()
    side = np.abs(x)
    below, beside = 1.36 + 0.25 * side - y, 0.44 - side - 0.25 * (y - 1.1)
    leaf = smoothstep(0.0, 0.012, below) * smoothstep(0.0, 0.012, beside)
    seams = bell(below, -0.012, 0.014) * (side < 0.42) + bell(beside, -0.01, 0.014) * (
        y < 1.45
    )
    placket = bell(side, 0.05, 0.006) * (y > 1.4)
    cloth = (
        cloth
        * ((1 + 0.1 * leaf - 0.4 * seams.clip(0, 1)) * (1 - 0.3 * placket))[..., None]
    )
    button = 1 - smoothstep(0.014, 0.02, np.hypot(x, np.mod(y - 1.5, 0.24) - 0.12))
    return lay(cloth, button * (y > 1.45), linear(trim))
