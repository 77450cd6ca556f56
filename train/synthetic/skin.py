"""The skin of a face at rest: its colour, painted once for each person.

Every function of x and y returns a strength, 0 to about 1, over the chart of the
face. See `camera` for the coordinates.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from train.synthetic.chart import Grid, Picture, Region, lay, linear
from train.synthetic.curves import bell, smooth_noise, smoothstep
from train.synthetic.head import EYE_X, MOUTH_Y, HeadShape
from train.synthetic.palette import Colour

FACE = Region(-0.76, -1.04, 0.76, 1.08)
"""Part of a face at rest that has a chart, in x and y."""
BLUSH = np.array([0.12, 1.0, 0.85], np.float32)
"""Share of each colour that reddened skin absorbs."""
SHADE = np.array([0.75, 1.0, 1.0], np.float32)
"""Share of each colour that hollows absorb: shaded skin glows red."""
FRECKLE = np.array([0.62, 0.45, 0.36], np.float32)
"""Colour of freckles, as a factor of the skin's."""


class Spot(NamedTuple):
    """A soft ellipse on the face.

    Attributes:
      strength: value at its center.
      x, y: center.
      width, height: deviations of the gaussians across and down.
    """

    strength: float
    x: float
    y: float
    width: float
    height: float


# Rows are: strength, x, y, width, height.
CHEEK = Spot(0.9, 0.36, 0.32, 0.13, 0.12)
CHIN = Spot(0.3, 0, 0.9, 0.2, 0.08)
SOCKET = Spot(0.26, EYE_X - 0.03, -0.035, 0.13, 0.075)
NOSE_ROOT = Spot(0.2, 0.15, 0.0, 0.04, 0.06)
BAG = Spot(0.16, EYE_X - 0.05, 0.11, 0.1, 0.022)
ABOVE_LIPS = Spot(0.1, 0, 0.51, 0.022, 0.03)
BELOW_LIPS = Spot(0.18, 0, MOUTH_Y + 0.15, 0.12, 0.02)


@dataclass(frozen=True)
class SkinTone:
    """The colours of a person's skin.

    Attributes:
      colour: colour of the skin.
      blush: redness of cheeks and nose.
      freckles: their number and darkness.
      beard: 0 none, 1 full; stubble in between.
      beard_colour: colour of its hairs.
      moustache: a moustache without a beard.
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
    """Paint the face: blush, shade in hollows, nostrils, freckles and beard.

    Args:
      tone: colours of the skin.
      shape: shape of the head, which places the nose.
      random: generator of mottles, freckles and hairs.

    Returns:
      Linear colours over `FACE`.
    """
    x, y = FACE.grid()
    base = linear(tone.colour)
    # Skin is never even: large faint spots, and smaller ones.
    large = 0.018 * smooth_noise(random, FACE.shape, (28, 20))
    small = 0.012 * smooth_noise(random, FACE.shape, (110, 80))
    skin = base * (1 + (large + small))[..., None]
    blush = 0.30 * tone.blush * _blush(x, y, shape)[..., None]
    skin = skin * (1 - blush * BLUSH)
    hollows = _face_shade(x, y) + _nose_shade(x, y, shape)
    skin = skin * (1 - hollows[..., None] * SHADE)
    skin = lay(skin, 0.85 * _nostrils(x, y, shape), base * np.float32(0.10))
    skin = lay(skin, _freckles(x, y, tone, random), base * FRECKLE)
    skin = lay(skin, _beard(x, y, tone, random), linear(tone.beard_colour))
    return skin.astype(np.float32)


def _draw(spot: Spot, x: Grid, y: Grid) -> Grid:
    """Return a spot's values. With |x| for x, it is on both sides."""
    across = bell(x, spot.x, spot.width)
    down = bell(y, spot.y, spot.height)
    return spot.strength * across * down


def _blush(x: Grid, y: Grid, shape: HeadShape) -> Grid:
    """Redden cheeks, tip of the nose, and chin."""
    cheeks = _draw(CHEEK, np.abs(x), y)
    nose = _draw(Spot(0.7, 0, shape.nose_base - 0.08, 0.09, 0.09), x, y)
    chin = _draw(CHIN, x, y)
    return cheeks + nose + chin


def _face_shade(x: Grid, y: Grid) -> Grid:
    """Shade sockets, the nose's root, bags, folds beside the mouth, and lips."""
    side = np.abs(x)
    sockets = _draw(SOCKET, side, y)
    roots = _draw(NOSE_ROOT, side, y)
    bags = _draw(BAG, side, y)
    # Folds run outwards as they go down.
    fold = 0.175 + 0.30 * (y - 0.45)
    folds = 0.14 * bell(side, fold, 0.018) * bell(y, 0.5, 0.06)
    lips = _draw(ABOVE_LIPS, x, y) + _draw(BELOW_LIPS, x, y)
    return sockets + roots + bags + folds + lips


def _nose_shade(x: Grid, y: Grid, shape: HeadShape) -> Grid:
    """Shade below the nose, and the creases between its wings and the cheeks."""
    width = 0.125 * shape.nose_width
    base = shape.nose_base
    side = np.abs(x)
    under = _draw(Spot(0.3, 0, base + 0.012, 0.8 * width, 0.02), x, y)
    # A crease is the outer half of a ring around the wing.
    distance = np.hypot(side - width, 0.7 * (y - base + 0.055))
    creases = 0.26 * bell(distance, 0.03, 0.012) * (side > width)
    return under + creases


def _nostrils(x: Grid, y: Grid, shape: HeadShape) -> Grid:
    """Cover two flat ellipses that rise towards the wings."""
    side = np.abs(x)
    down = y - shape.nose_base + 0.008 + 0.1 * (side - 0.05)
    across = (side - 0.052 * shape.nose_width) / 0.03
    return 1 - smoothstep(0.7, 1.25, np.hypot(across, down / 0.0135))


def _freckles(x: Grid, y: Grid, tone: SkinTone, random: np.random.Generator) -> Grid:
    """Cover spots on cheeks and nose.

    They are the peaks of noise.
    """
    spots = smoothstep(1.5, 2.2, smooth_noise(random, FACE.shape, (120, 86)))
    across = bell(np.abs(x), 0.22, 0.16)
    return 0.55 * tone.freckles * spots * across * bell(y, 0.28, 0.13)


def _beard(x: Grid, y: Grid, tone: SkinTone, random: np.random.Generator) -> Grid:
    """Cover the jaw and the upper lip with hairs.

    A beard of little strength is stubble.
    """
    side = np.abs(x)
    rows, columns = FACE.shape
    hairs = smooth_noise(random, FACE.shape, (rows / 5, columns / 2))
    # The beard's upper border: lowest beside the mouth, up to the ears.
    border = 0.56 + 0.10 * bell(side, 0.3, 0.1) - 0.75 * np.maximum(side - 0.34, 0)
    beside_mouth = smoothstep(0.15, 0.23, side + 1.2 * np.maximum(y - 0.70, 0))
    jaw = smoothstep(-0.03, 0.1, y - border + 0.012 * hairs) * beside_mouth
    chin = smoothstep(0.76, 0.82, y + 0.008 * hairs)
    # A moustache hangs towards its ends and is parted under the nose.
    band = bell(y - 0.16 * side, 0.525, 0.026)
    ends = 1 - smoothstep(0.17, 0.26, side)
    parting = 1 - 0.5 * bell(x, 0, 0.012)
    lip = band * ends * parting
    beard = tone.beard * np.maximum(np.maximum(jaw, chin), lip)
    cover = beard + 0.85 * tone.moustache * lip
    return (cover * (0.92 + 0.08 * hairs)).clip(0, 0.95)
