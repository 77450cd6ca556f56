"""Light: a key light, light from all around, a rim, gloss, and shade where surfaces
meet."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.raster import Visible

Triple = tuple[float, float, float]
Normals = Float32[np.ndarray, "n 3"]

SOFT_GLOSS, HARD_GLOSS, STRAND_GLOSS = 18.0, 70.0, 40.0
"""Exponents of skin, of what is wet or polished, and of hair."""
MATT = 0.2  # gloss up to which a surface shows no hard highlight
SCATTER = np.array([0.38, 0.22, 0.18], np.float32)
"""How far light creeps around a surface: as in skin, red the farthest."""
OCCLUSION_SCALE = 4
"""Shade is soft: it is found on a picture so much smaller."""
OCCLUSION_RADIUS = 0.09  # of the picture's side
OCCLUSION_STRENGTH = 4.5
DEEPEST = 0.11  # units behind; what lies deeper is no darker


@dataclass(frozen=True)
class Light:
    """How a scene is lit.

    Attributes:
      direction: towards the key light, unit: right, down, towards the viewer.
      key, sky, ground, rim: colours times strengths, linear.
    """

    direction: Triple = (-0.45, -0.5, 0.74)
    key: Triple = (0.80, 0.76, 0.70)
    sky: Triple = (0.36, 0.38, 0.42)
    ground: Triple = (0.22, 0.19, 0.17)
    rim: Triple = (0.25, 0.27, 0.30)


@dataclass(frozen=True)
class Matter:
    """What is seen at each pixel.

    Attributes:
      albedo: linear colour.
      gloss: strength of highlights.
      strands: how far it is hair.
      normals: unit.
    """

    albedo: Float32[np.ndarray, "n 3"]
    gloss: Float32[np.ndarray, " n"]
    strands: Float32[np.ndarray, " n"]
    normals: Normals


def illuminate(
    light: Light, matter: Matter, visible: Visible, down: Float[np.ndarray, "3"]
) -> Float32[np.ndarray, "n 3"]:
    """Light that reaches the viewer from each pixel.

    Args:
      down: the head's downward direction, in which hair falls.
    """
    open_sky = occlusion(visible)[:, None]
    tone = matter.albedo.mean(axis=1)
    bare = 1 - matter.strands
    highlights = bare * matter.gloss * specular(light, matter.normals, SOFT_GLOSS)
    highlights += (
        2
        * bare
        * np.maximum(matter.gloss - MATT, 0)
        * specular(light, matter.normals, HARD_GLOSS)
    )
    shifts = 6 * (tone - tone.mean())  # light and dark strands gleam side by side
    highlights += (
        matter.strands
        * (0.10 + 0.9 * tone)
        * sheen(light, matter.normals, down, shifts)
    )
    result = matter.albedo * diffuse(light, matter.normals) + highlights[
        :, None
    ] * _vector(light.key)
    return open_sky * (
        result + rim(light, matter.normals) * (0.35 + 0.65 * matter.albedo)
    )


def diffuse(light: Light, normals: Normals) -> Float32[np.ndarray, "n 3"]:
    """Light that a matt white surface sends to the viewer."""
    key = ((normals @ _vector(light.direction))[:, None] + SCATTER) / (1 + SCATTER)
    up = (0.5 - 0.5 * normals[:, 1])[:, None]
    sky, ground = _vector(light.sky), _vector(light.ground)
    return key.clip(0) * _vector(light.key) + ground + up * (sky - ground)


def specular(
    light: Light, normals: Normals, exponent: float
) -> Float32[np.ndarray, " n"]:
    """Gloss by the angle to the half-way direction.

    Source: Blinn 1977.
    """
    return (normals @ _half_way(light)).clip(0, 1) ** np.float32(exponent)


def sheen(
    light: Light,
    normals: Normals,
    down: Float[np.ndarray, "3"],
    shifts: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, " n"]:
    """Gloss of strands that run down the surface.

    Source: Kajiya and Kay 1989, with the shift of Marschner et al. 2003.
    """
    fall = _vector(down)
    strand = (
        fall - (normals @ fall)[:, None] * normals + (0.25 * shifts)[:, None] * normals
    )
    along = (strand @ _half_way(light)) ** 2 / (strand**2).sum(axis=1).clip(1e-8)
    return (1 - along).clip(0) ** np.float32(STRAND_GLOSS / 2) * (
        normals @ _half_way(light)
    ).clip(0)


def rim(light: Light, normals: Normals) -> Float32[np.ndarray, "n 3"]:
    """Light from behind and above, which edges catch on the side away from the key
    light."""
    edge = (1 - normals[:, 2].clip(0.15, 1)) ** 3
    away = (0.5 - 0.5 * np.float32(np.sign(light.direction[0])) * normals[:, 0]) * (
        0.4 - 0.6 * normals[:, 1]
    ).clip(0)
    return (edge * away)[:, None] * _vector(light.rim)


def occlusion(visible: Visible) -> Float32[np.ndarray, " n"]:
    """Share of the light around that reaches points which lie behind what is near them
    in the picture."""
    planes = np.zeros((2, *visible.shape), np.float32)  # depth, and where there is any
    planes[0].ravel()[visible.pixels] = visible.depth
    planes[1].ravel()[visible.pixels] = 1
    rows, columns = visible.shape
    small = (columns // OCCLUSION_SCALE, rows // OCCLUSION_SCALE)
    depth, weight = (
        cv2.resize(plane, small, interpolation=cv2.INTER_AREA) for plane in planes
    )
    own, shade = depth / weight.clip(1e-3), np.zeros_like(depth)
    for share in (0.4, 1.0):
        radius = share * OCCLUSION_RADIUS * small[0]
        around, near = (
            cv2.GaussianBlur(plane, (0, 0), radius) for plane in (depth, weight)
        )
        shade += np.clip(around / near.clip(1e-3) - own - 0.01, 0, DEEPEST)
    full = cv2.resize(shade, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.exp(-OCCLUSION_STRENGTH * full.ravel()[visible.pixels])


def _vector(values: Triple | Float[np.ndarray, "3"]) -> Float32[np.ndarray, "3"]:
    return np.asarray(values, np.float32)


def _half_way(light: Light) -> Float32[np.ndarray, "3"]:
    """Between the light and the viewer."""
    half = _vector(light.direction) + _vector((0, 0, 1))
    return half / np.linalg.norm(half)
