"""Light: a key light, light from all around, a rim, gloss, and shade where surfaces meet."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.raster import Visible

OCCLUSION_SCALE = 4
"""Shade is soft: it is found on a picture so much smaller."""


@dataclass(frozen=True)
class Light:
    """Attributes:
    direction: towards the key light, unit: right, down, towards the viewer.
    key, sky, ground, rim: colours times strengths.
    """

    direction: tuple[float, float, float] = (-0.45, -0.5, 0.74)
    key: tuple[float, float, float] = (0.80, 0.76, 0.70)
    sky: tuple[float, float, float] = (0.36, 0.38, 0.42)
    ground: tuple[float, float, float] = (0.22, 0.19, 0.17)
    rim: tuple[float, float, float] = (0.25, 0.27, 0.30)


WRAP = np.array([0.38, 0.22, 0.18], np.float32)
"""How far light creeps around skin, red the farthest, since it scatters within."""


def diffuse(light: Light, normals: Float32[np.ndarray, "n 3"], wrap: Float32[np.ndarray, "3"]) -> Float32[np.ndarray, "n 3"]:
    """Light that a matt surface sends to the viewer, for white."""
    facing = normals @ np.asarray(light.direction, np.float32)
    key = ((facing[:, None] + wrap) / (1 + wrap)).clip(0)
    up = (0.5 - 0.5 * normals[:, 1])[:, None]
    around = np.asarray(light.ground, np.float32) + up * (np.asarray(light.sky, np.float32) - np.asarray(light.ground, np.float32))
    return key * np.asarray(light.key, np.float32) + around


def specular(light: Light, normals: Float32[np.ndarray, "n 3"], exponent: float) -> Float32[np.ndarray, " n"]:
    """Gloss by the angle to the half-way direction."""
    half = np.asarray(light.direction, np.float32) + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    return (normals @ half).clip(0, 1) ** np.float32(exponent)


def rim(light: Light, normals: Float32[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    """Light from behind, which edges catch on the side away from the key light."""
    edge = (1 - normals[:, 2].clip(0.15, 1)) ** 3
    away = (0.5 - np.float32(np.sign(light.direction[0])) * 0.5 * normals[:, 0]) * (0.4 - 0.6 * normals[:, 1]).clip(0)
    return (edge * away)[:, None] * np.asarray(light.rim, np.float32)


def sheen(light: Light, normals: Float32[np.ndarray, "n 3"], down: Float[np.ndarray, "3"], shift: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    """Gloss of strands that run down the surface.

    Source: Kajiya and Kay 1989, with the shift of Marschner et al. 2003.
    """
    down = np.asarray(down, np.float32)
    strand = down - (normals @ down)[:, None] * normals + (shift * 0.25)[:, None] * normals
    strand /= np.linalg.norm(strand, axis=1, keepdims=True).clip(1e-4)
    half = np.asarray(light.direction, np.float32) + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    across = np.sqrt((1 - (strand @ half) ** 2).clip(0))
    return across ** np.float32(40) * (normals @ half).clip(0)


def occlusion(visible: Visible, radius: float, strength: float) -> Float32[np.ndarray, " n"]:
    """Share of the light around that reaches points which lie behind what is near them in the picture."""
    depth, mask = np.zeros(visible.shape, np.float32), np.zeros(visible.shape, np.float32)
    depth.ravel()[visible.pixels] = visible.depth
    mask.ravel()[visible.pixels] = 1
    size = (visible.shape[1] // OCCLUSION_SCALE, visible.shape[0] // OCCLUSION_SCALE)
    small, weight = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (depth, mask))
    deviation = radius / OCCLUSION_SCALE
    shade = np.zeros_like(small)
    own = small / np.maximum(weight, 1e-3)
    for factor in (0.4, 1.0):
        around = cv2.GaussianBlur(small, (0, 0), factor * deviation) / np.maximum(cv2.GaussianBlur(weight, (0, 0), factor * deviation), 1e-3)
        shade += np.clip(around - own - 0.01, 0, 0.22)
    full = cv2.resize(shade, visible.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.exp(-strength * full.ravel()[visible.pixels])
