"""The mouth: lips, and teeth, tongue and darkness between them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from train.synthetic.camera import Vector
from train.synthetic.chart import (
    Grid,
    Layers,
    Line,
    LinearColour,
    Picture,
    Region,
    lay,
    linear,
)
from train.synthetic.curves import bell, smoothstep
from train.synthetic.head import JAW_DROP, MOUTH_Y
from train.synthetic.palette import Colour

WIDEST_OPENING = 0.235
"""Height between the lips of a jaw that is open, in units."""
INTERIOR_DEPTH = 0.10
"""Distance of the teeth behind the lips."""
SMALLEST_OPENING = 0.004
"""Opening through which anything is seen."""
# Linear colours.
THROAT = np.array([0.035, 0.007, 0.008], np.float32)
TONGUE = np.array([0.42, 0.115, 0.11], np.float32)
ENAMEL = np.array([0.83, 0.80, 0.73], np.float32)
GUM = np.array([0.4, 0.13, 0.13], np.float32)


@dataclass(frozen=True)
class MouthShape:
    """A person's mouth.

    Attributes:
      width: half of it, at rest.
      upper, lower: heights of the lips.
      bow: depth of the upper lip's dip.
      lips: colour of the lips.
    """

    width: float = 0.22
    upper: float = 0.058
    lower: float = 0.078
    bow: float = 0.014
    lips: Colour = (0.74, 0.42, 0.40)


@dataclass(frozen=True)
class MouthState:
    """Pose of a mouth in one frame.

    Attributes:
      jaw: opening of the jaw, 0 to 1.
      width: -1 (narrow) to 1 (spread).
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
        roundness = 1 - 0.25 * self.rounding
        return WIDEST_OPENING * self.jaw * roundness * (1 - self.closure)


@dataclass(frozen=True)
class LipContours:
    """Lines from the left to the right corner of the mouth."""

    outer_upper: Line
    inner_upper: Line
    inner_lower: Line
    outer_lower: Line


def lip_contours(
    shape: MouthShape, state: MouthState, samples: int = 41
) -> LipContours:
    """Return the outlines of the lips on the face.

    Args:
      shape: the person's mouth.
      state: pose of the mouth.
      samples: number of points of each line.
    """
    # s runs from the left corner, -1, to the right one, 1.
    s = np.linspace(-1, 1, samples)
    side = np.abs(s)
    dome = 1 - s**2
    bulge = dome ** (0.75 - 0.25 * state.rounding)
    # The seam, where the lips meet when closed: corners hang with an open jaw and rise
    # with a smile, and closed lips follow the jaw a little.
    hang = 0.07 * state.jaw * (1 - state.closure)
    corner = hang - 0.05 * state.smile - 0.014
    bend = side ** (2.2 - 0.6 * state.rounding)
    carried = 0.55 * JAW_DROP * state.jaw * state.closure
    seam = MOUTH_Y + corner * bend + carried * bulge - 0.006 * dome
    # The lower lip moves three times as far as the upper one.
    inner_upper = seam - 0.25 * state.opening * bulge
    inner_lower = seam + 0.75 * state.opening * bulge
    # Lips are thick when rounded, thin when stretched or pressed together.
    stretched = 1 + 0.25 * state.rounding - 0.12 * state.jaw - 0.12 * abs(state.smile)
    pressed = 1 - 0.42 * state.closure * (1 - state.rounding)
    full = stretched * pressed
    arch = (1 - side**1.7) ** (1.15 - 0.5 * state.rounding)
    crest = arch - shape.bow / shape.upper * bell(s, 0, 0.11)
    outer_upper = np.minimum(inner_upper - shape.upper * full * crest, inner_upper)
    belly = dome ** (1.1 - 0.5 * state.rounding)
    outer_lower = inner_lower + shape.lower * full * belly
    x = _half_width(shape, state) * _spaced(s, 0.5 + 0.3 * state.rounding)
    return LipContours(
        outer_upper=np.stack([x, outer_upper], axis=1),
        inner_upper=np.stack([x, inner_upper], axis=1),
        inner_lower=np.stack([x, inner_lower], axis=1),
        outer_lower=np.stack([x, outer_lower], axis=1),
    )


def _half_width(shape: MouthShape, state: MouthState) -> float:
    """Return half the width of the mouth, in units."""
    smile = max(state.smile, 0.0)
    spread = 1 + 0.2 * state.width - 0.36 * state.rounding + 0.16 * smile
    return shape.width * spread - 0.03 * state.jaw * (1 - state.rounding)


def _spaced(s: Float[np.ndarray, " k"], roundness: float) -> Float[np.ndarray, " k"]:
    """Move values from -1 to 1 towards the ends, the more the rounder."""
    return np.sin(s * np.pi / 2 * roundness) / np.sin(np.pi / 2 * roundness)


class MouthPainter:
    """Paints a person's mouth on the moving face.

    Args:
      shape: the person's mouth.
      skin: linear colour of the skin.
    """

    def __init__(self, shape: MouthShape, skin: LinearColour):
        self.shape = shape
        self.skin = skin

    def paint(self, layers: Layers, state: MouthState, view: Vector) -> None:
        """Lay the mouth over the paint so far.

        Args:
          layers: paint on the face.
          state: pose of the mouth.
          view: direction towards the viewer, in the head's coordinates.
        """
        part = layers.part((-0.36, 0.45), (0.36, 1.12))
        region = part.region
        lines = lip_contours(self.shape, state)
        upper = region.between(lines.outer_upper, lines.inner_upper)
        lower = region.between(lines.inner_lower, lines.outer_lower)
        hole = region.between(lines.inner_upper, lines.inner_lower)
        seam = region.soft_stroke(lines.inner_upper[1:-1], 0.006, 0.006)
        mouth = np.maximum(np.maximum(upper, lower), hole)
        self._paint_lips(part, lines, upper, mouth, seam)
        if state.opening > SMALLEST_OPENING:
            part.lay(hole, paint_interior(region, lines, state, view))
        # Lips stand out and the seam lies deep; the lower lip is moist.
        bulge = 0.030 * region.blur(upper, 0.016) + 0.050 * region.blur(lower, 0.02)
        part.height[:] += bulge
        part.height[:] -= 0.022 * region.blur(np.maximum(hole, seam), 0.008)
        moisture = 0.5 * region.blur(lower, 0.006) + 0.2 * upper
        part.gloss[:] += moisture * (1 - 0.8 * hole)

    def _paint_lips(
        self, part: Layers, lines: LipContours, upper: Grid, mouth: Grid, seam: Grid
    ) -> None:
        """Paint red, the seam, and shade at the corners and under the lower lip.

        Args:
          part: paint around the mouth.
          lines: outlines of the lips.
          upper: coverage of the upper lip.
          mouth: coverage of both lips and the space between them.
          seam: coverage of the line between the lips.
        """
        region = part.region
        red = linear(self.shape.lips)
        below_lip = lines.outer_lower[8:-8] + np.array([0, 0.02])
        shade = region.soft_stroke(below_lip, 0.02, 0.016)
        part.lay(0.30 * shade * (1 - mouth), self.skin * np.float32(0.5))
        # The upper lip faces down, so that it is darker.
        lips = red * (1 - 0.18 * upper)[..., None]
        part.lay(0.92 * region.blur(mouth, 0.005), lips)
        part.lay(0.75 * seam, red * np.float32(0.13))
        for corner in (lines.inner_upper[:2], lines.inner_upper[-2:]):
            dimple = region.soft_stroke(corner, 0.014, 0.010)
            part.lay(0.5 * dimple, self.skin * np.float32(0.2))


def paint_interior(
    region: Region, lines: LipContours, state: MouthState, view: Vector
) -> Picture:
    """Paint throat, tongue and teeth.

    They lie behind the lips, so that they shift as the head turns.

    Args:
      region: part of the face around the mouth.
      lines: outlines of the lips.
      state: pose of the mouth.
      view: direction towards the viewer, in the head's coordinates.

    Returns:
      Linear colours over the region; the opening of the lips cuts them out.
    """
    # Parallax: coordinates of the plane of the teeth, as seen through the lips.
    shift = INTERIOR_DEPTH * np.clip(view[:2] / view[2], -0.5, 0.5)
    shift_x, shift_y = shift
    lip_x, lip_y = lines.inner_upper.T
    across, down = region.grid()
    x = across - np.float32(shift_x)
    y = down - np.float32(shift_y)
    under_lip = y - np.interp(x[0], lip_x - shift_x, lip_y - shift_y)
    # Tongue and lower teeth go down with the jaw.
    drop = 0.95 * JAW_DROP * state.jaw
    depth = 0.6 + 0.9 * smoothstep(MOUTH_Y + 0.03, MOUTH_Y + drop + 0.1, y)
    picture = THROAT * depth[..., None]
    lowered = drop * (1 - 0.75 * state.tongue)
    tip = MOUTH_Y + 0.085 + lowered - 0.045 * state.tongue
    picture = _lay_tongue(picture, x, y, tip)
    pixel = 1.5 / region.density
    lower_cover, lower_teeth = _teeth(x, MOUTH_Y + 0.052 + drop - y, -1, pixel)
    picture = lay(picture, lower_cover, lower_teeth)
    upper_cover, upper_teeth = _teeth(x, MOUTH_Y + 0.032 - y, 1, pixel)
    picture = lay(picture, upper_cover, upper_teeth)
    # The upper lip casts a shadow, and rounded lips shade the teeth.
    pursed = 1 - 0.65 * state.rounding
    light = pursed * (0.25 + 0.75 * smoothstep(0.0, 0.045, under_lip))
    return picture * light[..., None].astype(np.float32)


def _lay_tongue(picture: Picture, x: Grid, y: Grid, tip: float) -> Picture:
    """Paint a hump that is light along its tip and has a furrow.

    Args:
      picture: paint so far.
      x, y: coordinates of the pixels.
      tip: height of the tip.
    """
    distance = np.hypot(x / 0.145, (y - tip - 0.035) / 0.075)
    cover = 1 - smoothstep(0.92, 1.05, distance)
    relief = 0.55 + 0.6 * bell(y, tip - 0.012, 0.03) - 0.25 * bell(x, 0, 0.012)
    return lay(picture, cover, TONGUE * relief[..., None].astype(np.float32))


def _teeth(x: Grid, above: Grid, row: int, pixel: float) -> tuple[Grid, Picture]:
    """Return coverage and colour of a row of teeth.

    Its free edge is scalloped and bends away to the sides.

    Args:
      x: positions across, from the middle.
      above: height over the free edge of the middle teeth.
      row: 1 for the upper row, -1 for the lower one.
      pixel: width of the soft border, in units.
    """
    # Half the width of the row, width and height of a tooth.
    is_upper = row > 0
    half, tooth, tall = (0.175, 0.052, 0.085) if is_upper else (0.155, 0.040, 0.075)
    # 0 in the middle of a tooth, 1 at its borders.
    border = np.abs(np.mod(x / tooth, 1.0) - 0.5) * 2
    inside = row * above - 0.007 * smoothstep(0.55, 1.0, border) - 0.30 * x**2
    within_jaw = 1 - smoothstep(0.85 * half, half, np.abs(x))
    edge = smoothstep(-pixel, pixel, inside)
    root = smoothstep(-pixel, pixel, tall - inside)
    cover = edge * root * within_jaw
    # Gaps are dark near the edge, and the sides lie in the shade of the cheeks.
    gap = 1 - 0.33 * smoothstep(0.8, 1.0, border) * smoothstep(0.075, 0.0, inside)
    side = 1 - 0.72 * smoothstep(0.03, half, np.abs(x))
    round_off = side * (1.0 if is_upper else 0.72)
    enamel = ENAMEL * (gap * round_off)[..., None].astype(np.float32)
    colour = lay(enamel, smoothstep(0.055, 0.075, inside), GUM)
    opacity = 1.0 if is_upper else 0.85
    return (cover * opacity).astype(np.float32), colour
