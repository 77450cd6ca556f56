"""Light: a key light, light from all around, a rim, gloss, and shade where surfaces
meet."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.camera import Vector
from train.synthetic.raster import Visible

Triple = tuple[float, float, float]
Normals = Float32[np.ndarray, "n 3"]
"""Unit normals of the visible points."""
Strengths = Float32[np.ndarray, " n"]
"""A value for each visible point."""
Colours = Float32[np.ndarray, "n 3"]
"""A linear colour for each visible point."""

# Exponents of highlights: of skin, of wet or polished surfaces, and of hair.
SOFT_GLOSS = 18.0
HARD_GLOSS = 70.0
STRAND_GLOSS = 40.0
MATT = 0.2
"""Gloss up to which a surface shows no hard highlight."""
SCATTER = np.array([0.38, 0.22, 0.18], np.float32)
"""Distance that light creeps around a surface: in skin, red the farthest."""
OCCLUSION_SCALE = 4
"""Factor by which the picture is reduced to find shade, which is soft."""
OCCLUSION_RADIUS = 0.09
"""Radius of the shade, as a share of the picture's side."""
OCCLUSION_STRENGTH = 4.5
DEEPEST = 0.11
"""Units behind the surroundings below which a point is no darker."""
TOWARDS_VIEWER = np.array([0, 0, 1], np.float32)


@dataclass(frozen=True)
class Light:
    """Lights of a scene.

    Attributes:
      direction: unit vector towards the key light: right, down, towards the viewer.
      key, sky, ground, rim: linear colours times strengths.
    """

    direction: Triple = (-0.45, -0.5, 0.74)
    key: Triple = (0.80, 0.76, 0.70)
    sky: Triple = (0.36, 0.38, 0.42)
    ground: Triple = (0.22, 0.19, 0.17)
    rim: Triple = (0.25, 0.27, 0.30)


@dataclass(frozen=True)
class Matter:
    """Properties of the surface at each visible point.

    Attributes:
      albedo: linear colour.
      gloss: strength of highlights.
      strands: share of hair.
      normals: unit normals.
    """

    albedo: Colours
    gloss: Strengths
    strands: Strengths
    normals: Normals


def illuminate(light: Light, matter: Matter, visible: Visible, down: Vector) -> Colours:
    """Compute the light that reaches the viewer from each visible point.

    Args:
      light: lights of the scene.
      matter: properties of the surface.
      visible: positions of the points, for shade.
      down: the head's downward direction, in which hair falls.
    """
    normals = matter.normals
    open_sky = occlusion(visible)[:, None]
    tone = matter.albedo.mean(axis=1)
    # Highlights of bare surfaces: soft ones, and hard ones where gloss is strong.
    bare = 1 - matter.strands
    highlights = bare * matter.gloss * specular(light, normals, SOFT_GLOSS)
    hard_gloss = np.maximum(matter.gloss - MATT, 0)
    highlights += 2 * bare * hard_gloss * specular(light, normals, HARD_GLOSS)
    # Highlights of hair: light and dark strands gleam side by side.
    shifts = 6 * (tone - tone.mean())
    gleam = matter.strands * (0.10 + 0.9 * tone)
    highlights += gleam * sheen(light, normals, down, shifts)
    front = matter.albedo * diffuse(light, normals)
    front = front + highlights[:, None] * _vector(light.key)
    behind = rim(light, normals) * (0.35 + 0.65 * matter.albedo)
    return open_sky * (front + behind)


def diffuse(light: Light, normals: Normals) -> Colours:
    """Compute the light that a matt white surface sends to the viewer."""
    # Wrapped: some light creeps to the side that faces away.
    facing = (normals @ _vector(light.direction))[:, None]
    key = (facing + SCATTER) / (1 + SCATTER)
    up = (0.5 - 0.5 * normals[:, 1])[:, None]
    sky = _vector(light.sky)
    ground = _vector(light.ground)
    return key.clip(0) * _vector(light.key) + ground + up * (sky - ground)


def specular(light: Light, normals: Normals, exponent: float) -> Strengths:
    """Compute gloss by the angle to the half-way direction.

    Source: Blinn 1977.
    """
    return (normals @ _half_way(light)).clip(0, 1) ** np.float32(exponent)


def sheen(light: Light, normals: Normals, down: Vector, shifts: Strengths) -> Strengths:
    """Compute the gloss of strands that run down the surface.

    Args:
      light: lights of the scene.
      normals: unit normals.
      down: direction in which hair falls.
      shifts: tilt of each strand towards the normal.

    Source: Kajiya and Kay 1989, with the shift of Marschner et al. 2003.
    """
    fall = _vector(down)
    half_way = _half_way(light)
    # The part of the fall within the surface, tilted.
    lean = (normals @ fall)[:, None] * normals
    strand = fall - lean + (0.25 * shifts)[:, None] * normals
    squares = (strand**2).sum(axis=1).clip(1e-8)
    along = (strand @ half_way) ** 2 / squares
    # A strand is bright where the half-way direction is across it.
    gloss = (1 - along).clip(0) ** np.float32(STRAND_GLOSS / 2)
    return gloss * (normals @ half_way).clip(0)


def rim(light: Light, normals: Normals) -> Colours:
    """Compute light from behind and above.

    Edges catch it on the side away from the key light.
    """
    edge = (1 - normals[:, 2].clip(0.15, 1)) ** 3
    side = np.float32(np.sign(light.direction[0]))
    away = 0.5 - 0.5 * side * normals[:, 0]
    up = (0.4 - 0.6 * normals[:, 1]).clip(0)
    return (edge * (away * up))[:, None] * _vector(light.rim)


def occlusion(visible: Visible) -> Strengths:
    """Compute the share of the surrounding light that reaches each point.

    Points that lie behind their surroundings in the picture are shaded.
    """
    depth, weight = _depth_map(visible)
    level = depth / weight.clip(1e-3)
    shade = np.zeros_like(depth)
    rows, columns = depth.shape
    for share in (0.4, 1.0):
        # Mean depth of the surroundings, of covered pixels only.
        radius = share * OCCLUSION_RADIUS * columns
        around = cv2.GaussianBlur(depth, (0, 0), radius)
        near = cv2.GaussianBlur(weight, (0, 0), radius)
        shade += np.clip(around / near.clip(1e-3) - level - 0.01, 0, DEEPEST)
    rows, columns = visible.shape
    full = cv2.resize(shade, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.exp(-OCCLUSION_STRENGTH * full.ravel()[visible.pixels])


def _depth_map(
    visible: Visible,
) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Return depth times coverage, and coverage, of the reduced picture."""
    depth = np.zeros(visible.shape, np.float32)
    weight = np.zeros(visible.shape, np.float32)
    depth.ravel()[visible.pixels] = visible.depth
    weight.ravel()[visible.pixels] = 1
    rows, columns = visible.shape
    size = (columns // OCCLUSION_SCALE, rows // OCCLUSION_SCALE)
    small_depth = cv2.resize(depth, size, interpolation=cv2.INTER_AREA)
    small_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    return small_depth, small_weight


def _vector(values: Triple | Float[np.ndarray, "3"]) -> Float32[np.ndarray, "3"]:
    return np.asarray(values, np.float32)


def _half_way(light: Light) -> Float32[np.ndarray, "3"]:
    """Return the direction half-way between the light and the viewer."""
    half = _vector(light.direction) + TOWARDS_VIEWER
    return half / np.linalg.norm(half)
