"""The skin of a face at rest: its colour, painted once a person."""

from dataclasses import dataclass

import numpy as np

from train.synthetic.chart import Grid, Picture, Region, lay, linear
from train.synthetic.curves import bell, smooth_noise, smoothstep
from train.synthetic.head import EYE_X, MOUTH_Y, HeadShape
from train.synthetic.palette import Colour

FACE = Region(-0.76, -1.04, 0.76, 1.08)
"""The part of a face at rest that has a colour of its own, in x and y."""
BLUSH = np.array([0.12, 1.0, 0.85], np.float32)
"""What reddened skin swallows of each colour."""
SHADE = np.array([0.75, 1.0, 1.0], np.float32)
"""What hollows swallow: shaded skin glows red."""
FRECKLE = np.array([0.62, 0.45, 0.36], np.float32)


@dataclass(frozen=True)
class SkinTone:
    """The colours of a person's skin.

    Attributes:
      colour: of the skin.
      blush: redness of cheeks and nose. freckles: how many and dark.
      beard: 0 none, 1 full; stubble in between. beard_colour: of its hairs.
      moustache: whether there is one without a beard.
    """

    colour: Colour = (0.89, 0.71, 0.58)
    blush: float = 0.5
    freckles: float = 0.0
    beard: float = 0.0
    beard_colour: Colour = (0.14, 0.1, 0.08)
    moustache: bool = False


def paint_skin(
    tone: SkinTone, shape: HeadShape, random: np.random.Generator
) -> Picture:
    """Colour of the face, linear: blush, shade in hollows, nostrils, freckles,
    beard."""
    x, y = FACE.grid()
    base = linear(tone.colour)
    mottle = 0.018 * smooth_noise(random, FACE.shape, (28, 20)) + 0.012 * smooth_noise(
        random, FACE.shape, (110, 80)
    )
    skin = base * (1 + mottle)[..., None]
    skin = skin * (1 - 0.30 * tone.blush * _blush(x, y, shape)[..., None] * BLUSH)
    skin = skin * (
        1 - (_face_shade(x, y) + _nose_shade(x, y, shape))[..., None] * SHADE
    )
    skin = lay(skin, 0.85 * _nostrils(x, y, shape), base * np.float32(0.10))
    skin = lay(skin, _freckles(x, y, tone, random), base * FRECKLE)
    return lay(skin, _beard(x, y, tone, random), linear(tone.beard_colour)).astype(
        np.float32
    )


def _blush(x: Grid, y: Grid, shape: HeadShape) -> Grid:
    cheeks = 0.9 * bell(np.abs(x), 0.36, 0.13) * bell(y, 0.32, 0.12)
    return (
        cheeks
        + 0.7 * bell(x, 0, 0.09) * bell(y, shape.nose_base - 0.08, 0.09)
        + 0.3 * bell(x, 0, 0.2) * bell(y, 0.9, 0.08)
    )


def _face_shade(x: Grid, y: Grid) -> Grid:
    """Around the eyes, beside the nose's root, along the folds to the mouth, over and
    under the lips."""
    side = np.abs(x)
    sockets = 0.26 * bell(side, EYE_X - 0.03, 0.13) * bell(y, -0.035, 0.075)
    roots = 0.2 * bell(side, 0.15, 0.04) * bell(y, 0.0, 0.06)
    bags = 0.16 * bell(side, EYE_X - 0.05, 0.1) * bell(y, 0.11, 0.022)
    folds = 0.14 * bell(side, 0.175 + 0.30 * (y - 0.45), 0.018) * bell(y, 0.5, 0.06)
    lips = 0.1 * bell(x, 0, 0.022) * bell(y, 0.51, 0.03) + 0.18 * bell(
        x, 0, 0.12
    ) * bell(y, MOUTH_Y + 0.15, 0.02)
    return sockets + roots + bags + folds + lips


def _nose_shade(x: Grid, y: Grid, shape: HeadShape) -> Grid:
    """Under the nose, and where its wings meet the cheeks."""
    width, base = 0.125 * shape.nose_width, shape.nose_base
    side = np.abs(x)
    under = 0.3 * bell(x, 0, 0.8 * width) * bell(y, base + 0.012, 0.02)
    return under + 0.26 * bell(
        np.hypot(side - width, 0.7 * (y - base + 0.055)), 0.03, 0.012
    ) * (side > width)


def _nostrils(x: Grid, y: Grid, shape: HeadShape) -> Grid:
    side = np.abs(x)
    down = y - shape.nose_base + 0.008 + 0.1 * (side - 0.05)
    return 1 - smoothstep(
        0.7, 1.25, np.hypot((side - 0.052 * shape.nose_width) / 0.03, down / 0.0135)
    )


def _freckles(x: Grid, y: Grid, tone: SkinTone, random: np.random.Generator) -> Grid:
    spots = smoothstep(1.5, 2.2, smooth_noise(random, FACE.shape, (120, 86)))
    return (
        0.55 * tone.freckles * spots * bell(np.abs(x), 0.22, 0.16) * bell(y, 0.28, 0.13)
    )


def _beard(x: Grid, y: Grid, tone: SkinTone, random: np.random.Generator) -> Grid:
    """Hairs on the jaw, and on the upper lip; thin ones are stubble."""
    side = np.abs(x)
    hairs = smooth_noise(random, FACE.shape, (FACE.shape[0] / 5, FACE.shape[1] / 2))
    line = 0.56 + 0.10 * bell(side, 0.3, 0.1) - 0.75 * np.maximum(side - 0.34, 0)
    beside_mouth = smoothstep(0.15, 0.23, side + 1.2 * np.maximum(y - 0.70, 0))
    jaw = smoothstep(-0.03, 0.1, y - line + 0.012 * hairs) * beside_mouth
    chin = smoothstep(0.76, 0.82, y + 0.008 * hairs)
    lip = (
        bell(y - 0.16 * side, 0.525, 0.026)
        * (1 - smoothstep(0.17, 0.26, side))
        * (1 - 0.5 * bell(x, 0, 0.012))
    )
    cover = (
        tone.beard * np.maximum(np.maximum(jaw, chin), lip)
        + 0.85 * tone.moustache * lip
    )
    return (cover * (0.92 + 0.08 * hairs)).clip(0, 0.95)
