"""The mouth: lips, and teeth, tongue and darkness between them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.chart import Frame, lay, linear
from train.synthetic.curves import bell, smooth_curve, smoothstep
from train.synthetic.eyes import crop, over
from train.synthetic.head import JAW_DROP, MOUTH_Y
from train.synthetic.palette import Colour

INTERIOR_DEPTH = 0.10  # of the teeth behind the lips, in units


@dataclass(frozen=True)
class MouthShape:
    """A person's mouth.

    Attributes:
      width: half of it, at rest. upper, lower: heights of the lips. bow: depth of the upper lip's dip.
      lips: their colour.
    """

    width: float = 0.22
    upper: float = 0.058
    lower: float = 0.078
    bow: float = 0.014
    lips: Colour = (0.74, 0.42, 0.40)


@dataclass(frozen=True)
class MouthState:
    """Attributes:
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
        return 0.235 * self.jaw * (1 - 0.25 * self.rounding) * (1 - self.closure)


@dataclass(frozen=True)
class LipContours:
    """Lines from the left to the right corner of the mouth."""

    outer_upper: Float[np.ndarray, "k 2"]
    inner_upper: Float[np.ndarray, "k 2"]
    inner_lower: Float[np.ndarray, "k 2"]
    outer_lower: Float[np.ndarray, "k 2"]


def lip_contours(shape: MouthShape, state: MouthState, samples: int = 41) -> LipContours:
    """Outlines of the lips, on the face at rest except for what the jaw moves."""
    s = np.linspace(-1, 1, samples)
    rounding = state.rounding
    half = shape.width * (1 + 0.2 * state.width - 0.36 * rounding + 0.16 * max(state.smile, 0)) - 0.03 * state.jaw * (1 - rounding)
    corner = -0.014 - 0.05 * state.smile + 0.07 * state.jaw * (1 - state.closure)
    middle = MOUTH_Y + corner * np.abs(s) ** (2.2 - 0.6 * rounding)
    power = 0.75 - 0.25 * rounding
    bulge = (1 - s**2).clip(0) ** power
    press = 1 - 0.42 * state.closure * (1 - rounding)
    carried = JAW_DROP * 0.55 * state.jaw * state.closure
    upper_edge = middle - 0.25 * state.opening * bulge + carried * bulge - 0.006 * (1 - s**2)
    lower_edge = middle + 0.75 * state.opening * bulge + carried * bulge - 0.006 * (1 - s**2)
    full = 1 + 0.25 * rounding - 0.12 * state.jaw - 0.12 * abs(state.smile)
    crest = (1 - np.abs(s) ** 1.7) ** (1.15 - 0.5 * rounding) - shape.bow / shape.upper * bell(s, 0, 0.11)
    outer_upper = np.minimum(upper_edge - shape.upper * full * press * crest, upper_edge)
    outer_lower = lower_edge + shape.lower * full * press * (1 - s**2).clip(0) ** (1.1 - 0.5 * rounding)
    x = half * np.sin(s * np.pi / 2 * (0.5 + 0.3 * rounding)) / np.sin(np.pi / 2 * (0.5 + 0.3 * rounding))
    lines = (np.stack([x, y], 1) for y in (outer_upper, upper_edge, lower_edge, outer_lower))
    return LipContours(*lines)


class MouthPainter:
    """Paints a person's mouth on the chart of the moving face."""

    def __init__(self, shape: MouthShape, skin: Float32[np.ndarray, "3"], frame: Frame):
        self.shape, self.skin, self.frame = shape, skin, frame

    def paint(
        self,
        colour: Float32[np.ndarray, "h w 3"],
        cover: Float32[np.ndarray, "h w"],
        height: Float32[np.ndarray, "h w"],
        gloss: Float32[np.ndarray, "h w"],
        state: MouthState,
        view: Float[np.ndarray, "3"],
    ) -> None:
        """Lay the mouth over colour and coverage, raise and gloss the lips, in place.

        Args:
          view: direction towards the viewer, in the head's coordinates.
        """
        lines = lip_contours(self.shape, state)
        part, sub = crop(self.frame, np.array([-0.36, 0.45]), np.array([0.36, 1.12]))
        x, y = sub.grid()
        upper = sub.fill(np.concatenate([lines.outer_upper, lines.inner_upper[::-1]]))
        lower = sub.fill(np.concatenate([lines.inner_lower, lines.outer_lower[::-1]]))
        hole = sub.fill(np.concatenate([lines.inner_upper, lines.inner_lower[::-1]]))
        both = np.maximum(np.maximum(upper, lower), hole)
        red = linear(self.shape.lips)
        tint = lay(np.broadcast_to(red, (*x.shape, 3)).astype(np.float32), upper, red * np.float32(0.82))
        over(colour[part], cover[part], 0.92 * sub.blur(both, 0.005), tint)
        seam = sub.blur(sub.stroke(lines.inner_upper[1:-1], 0.006), 0.006)
        over(colour[part], cover[part], 0.75 * seam, red * np.float32(0.13))
        if state.opening > 0.004:
            over(colour[part], cover[part], hole, self._inside(sub, x, y, lines, state, view))
        height[part] += 0.030 * sub.blur(upper, 0.016) + 0.050 * sub.blur(lower, 0.02) - 0.022 * sub.blur(np.maximum(hole, seam), 0.008)
        gloss[part] = np.maximum(gloss[part], 0.5 * sub.blur(lower, 0.006) + 0.2 * upper) * (1 - 0.8 * hole)
        shade = sub.blur(sub.stroke(lines.outer_lower[8:-8] + (0, 0.02), 0.02), 0.016)
        over(colour[part], cover[part], 0.30 * shade * (1 - both), self.skin * np.float32(0.5))
        for line in (lines.inner_upper[:2], lines.inner_upper[-2:]):
            dot = sub.blur(sub.stroke(line, 0.014), 0.010)
            over(colour[part], cover[part], 0.5 * dot, self.skin * np.float32(0.2))

    def _inside(self, sub: Frame, x, y, lines: LipContours, state: MouthState, view) -> Float32[np.ndarray, "h w 3"]:
        """What is seen between the lips; it lies behind them, so that it shifts as the head turns."""
        shift = INTERIOR_DEPTH * np.clip(view[:2] / view[2], -0.5, 0.5)
        x, y = x - np.float32(shift[0]), y - np.float32(shift[1])
        drop = JAW_DROP * 0.95 * state.jaw
        picture = np.broadcast_to(np.array([0.035, 0.007, 0.008], np.float32), (*x.shape, 3)).copy()
        throat = 0.6 + 0.9 * smoothstep(MOUTH_Y + 0.03, MOUTH_Y + drop + 0.1, y)
        picture *= throat[..., None].astype(np.float32)
        tip = MOUTH_Y + 0.085 + drop * (1 - 0.75 * state.tongue) - 0.045 * state.tongue
        tongue = 1 - smoothstep(0.92, 1.05, np.hypot(x / 0.145, (y - tip - 0.035) / 0.075))
        flesh = np.array([0.42, 0.115, 0.11], np.float32) * (0.55 + 0.6 * bell(y, tip - 0.012, 0.03) - 0.25 * bell(x, 0, 0.012))[..., None]
        picture = lay(picture, tongue.astype(np.float32), flesh.astype(np.float32))
        low = self._teeth(sub, x, y, MOUTH_Y + 0.052 + drop, 0.075, 0.155, False)
        picture = lay(picture, low[0] * 0.85, low[1] * np.float32(0.72))
        high = self._teeth(sub, x, y, MOUTH_Y + 0.032, 0.085, 0.175, True)
        picture = lay(picture, high[0], high[1])
        depth = 0.25 + 0.75 * smoothstep(0.0, 0.045, y - _height_at(lines.inner_upper, x, shift))
        return picture * depth[..., None].astype(np.float32)

    def _teeth(self, sub: Frame, x, y, edge: float, tall: float, half: float, upper: bool):
        """Coverage and colour of a row of teeth, whose free edge is scalloped and curves away to the sides."""
        sign = 1.0 if upper else -1.0
        size = 0.052 if upper else 0.04
        bend = 0.30 * x**2 * sign
        phase = np.abs(np.mod(x / size + (0.0 if upper else 0.0), 1.0) - 0.5) * 2
        scallop = 0.007 * smoothstep(0.55, 1.0, phase)
        reach = sign * (edge - sign * scallop - bend - y)
        pixel = 1.5 / sub.density
        cover = smoothstep(-pixel, pixel, reach) * smoothstep(-pixel, pixel, tall - reach) * (1 - smoothstep(half * 0.85, half, np.abs(x)))
        gap = 1 - 0.33 * smoothstep(0.8, 1.0, phase) * smoothstep(0.075, 0.0, reach)
        round_off = 1 - 0.72 * smoothstep(0.03, half, np.abs(x))
        gum = smoothstep(0.055, 0.075, reach)
        white = np.array([0.83, 0.80, 0.73], np.float32) * (gap * round_off)[..., None]
        colour = lay(white.astype(np.float32), gum.astype(np.float32), np.array([0.4, 0.13, 0.13], np.float32))
        return cover.astype(np.float32), colour


def _height_at(line: Float[np.ndarray, "k 2"], x, shift) -> Float[np.ndarray, "h w"]:
    """y of a line at the columns of a grid."""
    return np.interp(x[0], line[:, 0] - shift[0], line[:, 1] - shift[1])[None]
