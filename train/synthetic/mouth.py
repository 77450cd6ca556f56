"""The mouth: lips, and teeth, tongue and darkness between them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.chart import Grid, Layers, Picture, Region, lay, linear
from train.synthetic.curves import bell, smoothstep
from train.synthetic.head import JAW_DROP, MOUTH_Y
from train.synthetic.palette import Colour

WIDEST_OPENING = 0.235
INTERIOR_DEPTH = 0.10  # of the teeth behind the lips
SMALLEST_OPENING = 0.004  # through which anything is seen
THROAT = np.array([0.035, 0.007, 0.008], np.float32)
TONGUE = np.array([0.42, 0.115, 0.11], np.float32)
ENAMEL = np.array([0.83, 0.80, 0.73], np.float32)
GUM = np.array([0.4, 0.13, 0.13], np.float32)


@dataclass(frozen=True)
class MouthShape:
    """A person's mouth.

    Attributes:
      width: half of it, at rest. upper, lower: heights of the lips. bow: depth of the
        upper lip's dip.
      lips: their colour.
    """

    width: float = 0.22
    upper: float = 0.058
    lower: float = 0.078
    bow: float = 0.014
    lips: Colour = (0.74, 0.42, 0.40)


@dataclass(frozen=True)
class MouthState:
    """What a mouth does in one region.

    Attributes:
      jaw: its opening, 0 to 1.
      width: of the mouth, -1 (narrow) to 1 (spread).
      rounding: 0 to 1.
      closure: 1 presses the lips together whatever the jaw does.
      tongue: 1 raises its tip to the upper teeth.
      smile: -1 (corners down) to 1.
    """

    jaw: float = 0.0
    width: float = 0.0
    rounding: float = 0.0
    closure: float = 0.0
    tongue: float = 0.0
    smile: float = 0.0

    @property
    def opening(self) -> float:
        """Height between the lips, in units."""
        return (
            WIDEST_OPENING * self.jaw * (1 - 0.25 * self.rounding) * (1 - self.closure)
        )


@dataclass(frozen=True)
class LipContours:
    """Lines from the left to the right corner of the mouth."""

    outer_upper: Float[np.ndarray, "k 2"]
    inner_upper: Float[np.ndarray, "k 2"]
    inner_lower: Float[np.ndarray, "k 2"]
    outer_lower: Float[np.ndarray, "k 2"]


def lip_contours(
    shape: MouthShape, state: MouthState, samples: int = 41
) -> LipContours:
    """Outlines of the lips on the face."""
    s = np.linspace(-1, 1, samples)
    dome = 1 - s**2
    bulge = dome ** (0.75 - 0.25 * state.rounding)
    corner = 0.07 * state.jaw * (1 - state.closure) - 0.05 * state.smile - 0.014
    carried = (
        0.55 * JAW_DROP * state.jaw * state.closure
    )  # closed lips go down with the jaw a little
    seam = (
        MOUTH_Y
        + corner * np.abs(s) ** (2.2 - 0.6 * state.rounding)
        + carried * bulge
        - 0.006 * dome
    )
    inner_upper, inner_lower = (
        seam - 0.25 * state.opening * bulge,
        seam + 0.75 * state.opening * bulge,
    )
    full = (1 + 0.25 * state.rounding - 0.12 * state.jaw - 0.12 * abs(state.smile)) * (
        1 - 0.42 * state.closure * (1 - state.rounding)
    )
    crest = (1 - np.abs(s) ** 1.7) ** (
        1.15 - 0.5 * state.rounding
    ) - shape.bow / shape.upper * bell(s, 0, 0.11)
    outer_upper = np.minimum(inner_upper - shape.upper * full * crest, inner_upper)
    outer_lower = inner_lower + shape.lower * full * dome ** (
        1.1 - 0.5 * state.rounding
    )
    x = _half_width(shape, state) * _spaced(s, 0.5 + 0.3 * state.rounding)
    return LipContours(
        *(
            np.stack([x, y], axis=1)
            for y in (outer_upper, inner_upper, inner_lower, outer_lower)
        )
    )


def _half_width(shape: MouthShape, state: MouthState) -> float:
    spread = (
        1 + 0.2 * state.width - 0.36 * state.rounding + 0.16 * max(state.smile, 0.0)
    )
    return shape.width * spread - 0.03 * state.jaw * (1 - state.rounding)


def _spaced(s: Float[np.ndarray, " k"], roundness: float) -> Float[np.ndarray, " k"]:
    """-1 to 1 again, the closer together at the ends the rounder."""
    return np.sin(s * np.pi / 2 * roundness) / np.sin(np.pi / 2 * roundness)


class MouthPainter:
    """Paints a person's mouth on the moving face.

    Args:
      skin: its linear colour.
    """

    def __init__(self, shape: MouthShape, skin: Float32[np.ndarray, "3"]):
        self.shape, self.skin = shape, skin

    def paint(
        self, layers: Layers, state: MouthState, view: Float[np.ndarray, "3"]
    ) -> None:
        """Lay the mouth over what is painted.

        Args:
          view: direction towards the viewer, in the head's coordinates.
        """
        part = layers.part((-0.36, 0.45), (0.36, 1.12))
        lines, region = lip_contours(self.shape, state), part.region
        upper = region.between(lines.outer_upper, lines.inner_upper)
        lower = region.between(lines.inner_lower, lines.outer_lower)
        hole = region.between(lines.inner_upper, lines.inner_lower)
        seam = region.soft_stroke(lines.inner_upper[1:-1], 0.006, 0.006)
        self._lips(part, lines, upper, np.maximum(np.maximum(upper, lower), hole), seam)
        if state.opening > SMALLEST_OPENING:
            part.lay(hole, paint_interior(region, lines, state, view))
        part.height[:] += 0.030 * region.blur(upper, 0.016) + 0.050 * region.blur(
            lower, 0.02
        )
        part.height[:] -= 0.022 * region.blur(np.maximum(hole, seam), 0.008)
        part.gloss[:] += (0.5 * region.blur(lower, 0.006) + 0.2 * upper) * (
            1 - 0.8 * hole
        )

    def _lips(
        self, part: Layers, lines: LipContours, upper: Grid, both: Grid, seam: Grid
    ) -> None:
        """Red, the line between the lips, and shade at the corners and under the lower
        lip."""
        red, region = linear(self.shape.lips), part.region
        below = region.soft_stroke(
            lines.outer_lower[8:-8] + np.array([0, 0.02]), 0.02, 0.016
        )
        part.lay(0.30 * below * (1 - both), self.skin * np.float32(0.5))
        part.lay(0.92 * region.blur(both, 0.005), red * (1 - 0.18 * upper)[..., None])
        part.lay(0.75 * seam, red * np.float32(0.13))
        for corner in (lines.inner_upper[:2], lines.inner_upper[-2:]):
            part.lay(
                0.5 * region.soft_stroke(corner, 0.014, 0.010),
                self.skin * np.float32(0.2),
            )


def paint_interior(
    region: Region, lines: LipContours, state: MouthState, view: Float[np.ndarray, "3"]
) -> Picture:
    """What is seen between the lips; it lies behind them, so that it shifts as the head
    turns."""
    shift = INTERIOR_DEPTH * np.clip(view[:2] / view[2], -0.5, 0.5)
    lip_x, lip_y = lines.inner_upper.T
    x, y = (
        axis - np.float32(offset)
        for axis, offset in zip(region.grid(), shift, strict=True)
    )
    under_lip = y - np.interp(x[0], lip_x - shift[0], lip_y - shift[1])
    drop = 0.95 * JAW_DROP * state.jaw
    picture = (
        THROAT
        * (0.6 + 0.9 * smoothstep(MOUTH_Y + 0.03, MOUTH_Y + drop + 0.1, y))[..., None]
    )
    picture = _lay_tongue(
        picture,
        x,
        y,
        MOUTH_Y + 0.085 + drop * (1 - 0.75 * state.tongue) - 0.045 * state.tongue,
    )
    pixel = 1.5 / region.density
    picture = lay(picture, *_teeth(x, MOUTH_Y + 0.052 + drop - y, -1, pixel))
    picture = lay(picture, *_teeth(x, MOUTH_Y + 0.032 - y, 1, pixel))
    pursed = 1 - 0.65 * state.rounding  # rounded lips shade the teeth
    light = pursed * (0.25 + 0.75 * smoothstep(0.0, 0.045, under_lip))
    return picture * light[..., None].astype(np.float32)


def _lay_tongue(picture: Picture, x: Grid, y: Grid, tip: float) -> Picture:
    """A hump, light along its tip, with a furrow."""
    cover = 1 - smoothstep(0.92, 1.05, np.hypot(x / 0.145, (y - tip - 0.035) / 0.075))
    relief = 0.55 + 0.6 * bell(y, tip - 0.012, 0.03) - 0.25 * bell(x, 0, 0.012)
    return lay(picture, cover, TONGUE * relief[..., None].astype(np.float32))


def _teeth(x: Grid, above: Grid, row: int, pixel: float) -> tuple[Grid, Picture]:
    """Coverage and colour of a row of teeth, whose free edge is scalloped and bends
    away to the sides.

    Args:
      above: height over the free edge of the middle teeth.
      row: 1 for the upper, -1 for the lower one.
    """
    half, tooth, tall = (0.175, 0.052, 0.085) if row > 0 else (0.155, 0.040, 0.075)
    border = np.abs(np.mod(x / tooth, 1.0) - 0.5) * 2
    inside = row * above - 0.007 * smoothstep(0.55, 1.0, border) - 0.30 * x**2
    within_jaw = 1 - smoothstep(0.85 * half, half, np.abs(x))
    cover = (
        smoothstep(-pixel, pixel, inside)
        * smoothstep(-pixel, pixel, tall - inside)
        * within_jaw
    )
    gap = 1 - 0.33 * smoothstep(0.8, 1.0, border) * smoothstep(0.075, 0.0, inside)
    round_off = (1 - 0.72 * smoothstep(0.03, half, np.abs(x))) * (
        1.0 if row > 0 else 0.72
    )
    colour = lay(
        ENAMEL * (gap * round_off)[..., None].astype(np.float32),
        smoothstep(0.055, 0.075, inside),
        GUM,
    )
    return (cover * (1.0 if row > 0 else 0.85)).astype(np.float32), colour
