"""The skin of a face at rest: its colour, painted once a person."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from train.synthetic.chart import Frame, lay, linear
from train.synthetic.curves import bell, smooth_noise, smoothstep
from train.synthetic.head import EYE_X, MOUTH_Y, HeadShape
from train.synthetic.palette import Colour

FACE = Frame(-0.76, -1.04, 0.76, 1.08)
"""The part of a face at rest that has a colour of its own, in x and y."""


@dataclass(frozen=True)
class SkinTone:
    """Attributes:
    colour: of the skin.
    blush: redness of cheeks, nose and ears. freckles: their density. beard: 0 none, to 1 full; stubble in between.
    beard_colour: of its hairs.
    """

    colour: Colour = (0.89, 0.71, 0.58)
    blush: float = 0.5
    freckles: float = 0.0
    beard: float = 0.0
    beard_colour: Colour = (0.14, 0.1, 0.08)
    moustache: bool = False


def paint_skin(tone: SkinTone, shape: HeadShape, random: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
    """Colour of the face, linear: blush, shade in hollows, nostrils, freckles, beard."""
    x, y = FACE.grid()
    side = np.abs(x)
    base = linear(tone.colour)
    mottle = (
        1 + 0.018 * smooth_noise(random, FACE.shape, (28, 20)) + 0.012 * smooth_noise(random, FACE.shape, (110, 80))
    )
    skin = base * mottle[..., None]
    nose_y = 0.44 + shape.nose_length
    red = (
        0.9 * bell(side, 0.36, 0.13) * bell(y, 0.32, 0.12)
        + 0.7 * bell(x, 0, 0.09) * bell(y, nose_y - 0.08, 0.09)
        + 0.3 * bell(x, 0, 0.2) * bell(y, 0.9, 0.08)
    )
    skin = skin * (1 - (0.30 * tone.blush * red)[..., None] * np.array([0.12, 1.0, 0.85], np.float32))
    hollow = 0.26 * bell(side, EYE_X - 0.03, 0.13) * bell(y, -0.035, 0.075) + 0.2 * bell(side, 0.15, 0.04) * bell(
        y, 0.0, 0.06
    )
    hollow = hollow + 0.16 * bell(side, EYE_X - 0.05, 0.1) * bell(y, 0.11, 0.022)
    hollow = hollow + 0.3 * bell(x, 0, 0.1 * shape.nose_width) * bell(y, nose_y + 0.012, 0.02)
    hollow = hollow + 0.26 * bell(
        np.hypot(side - 0.125 * shape.nose_width, (y - nose_y + 0.055) * 0.7), 0.03, 0.012
    ) * (side > 0.125 * shape.nose_width)
    hollow = hollow + 0.14 * bell(side, 0.175 + 0.30 * (y - 0.45), 0.018) * bell(y, 0.5, 0.06)
    hollow = (
        hollow + 0.1 * bell(x, 0, 0.022) * bell(y, 0.51, 0.03) + 0.18 * bell(x, 0, 0.12) * bell(y, MOUTH_Y + 0.15, 0.02)
    )
    skin = skin * (1 - hollow[..., None] * np.array([0.75, 1.0, 1.0], np.float32))
    nostril = 1 - smoothstep(
        0.7,
        1.25,
        np.hypot((side - 0.052 * shape.nose_width) / 0.03, (y - nose_y + 0.008 + 0.1 * (side - 0.05)) / 0.0135),
    )
    skin = lay(skin.astype(np.float32), 0.85 * nostril.astype(np.float32), base * np.float32(0.10))
    if tone.freckles > 0:
        skin = lay(skin, _freckles(tone, random, x, y), base * np.array([0.62, 0.45, 0.36], np.float32))
    return lay(skin, _beard(tone, random, x, y), linear(tone.beard_colour)).astype(np.float32)


def _freckles(tone: SkinTone, random: np.random.Generator, x, y) -> Float32[np.ndarray, "h w"]:
    spots = smoothstep(1.5, 2.2, smooth_noise(random, FACE.shape, (120, 86)))
    where = bell(np.abs(x), 0.22, 0.16) * bell(y, 0.28, 0.13)
    return (0.55 * tone.freckles * spots * where).astype(np.float32)


def _beard(tone: SkinTone, random: np.random.Generator, x, y) -> Float32[np.ndarray, "h w"]:
    """Hairs on the jaw, and on the upper lip; thin ones are stubble."""
    side = np.abs(x)
    hairs = smooth_noise(random, FACE.shape, (FACE.shape[0] / 5, FACE.shape[1] / 2))
    line = 0.56 + 0.10 * bell(side, 0.3, 0.1) - 0.75 * np.maximum(side - 0.34, 0)
    jaw = smoothstep(-0.03, 0.1, y - line + 0.012 * hairs) * smoothstep(
        0.15, 0.23, side + 1.2 * np.maximum(y - 0.70, 0)
    )
    chin = smoothstep(0.76, 0.82, y + 0.008 * hairs)
    lip = bell(y - 0.16 * side, 0.525, 0.026) * (1 - smoothstep(0.17, 0.26, side)) * (1 - 0.5 * bell(x, 0, 0.012))
    amount = np.maximum(np.maximum(jaw, chin), lip) if tone.beard > 0 else lip
    strength = tone.beard if tone.beard > 0 else 0.85 * tone.moustache
    return (strength * amount * (0.92 + 0.08 * hairs)).clip(0, 0.95).astype(np.float32)
