"""Eyes and brows: lids, eyeballs, lashes and brows as outlines on the face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.chart import Frame, lay, linear
from train.synthetic.curves import bell, smooth_curve, smooth_noise, smoothstep
from train.synthetic.head import EYE_X
from train.synthetic.palette import Colour

CONTOUR_POINTS = 13
GAZE_REACH = 0.0022  # units that the iris moves for a degree


@dataclass(frozen=True)
class EyeShape:
    """A person's eyes and brows.

    Attributes:
      width, height: half the width of an eye, and how far its upper lid rises, in units.
      tilt: how much higher the outer corner lies.
      iris: its colour.
      lashes: width of the line of the upper lashes.
      lid: colour of the upper lid relative to the skin.
      brow_height: above the eye. brow_width: of its thick part. brow_arch: of its middle.
    """

    width: float = 0.148
    height: float = 0.085
    tilt: float = 0.012
    iris: Colour = (0.33, 0.47, 0.60)
    lashes: float = 0.016
    lid: Colour = (0.9, 0.82, 0.8)
    brow_height: float = 0.205
    brow_width: float = 0.052
    brow_arch: float = 0.045
    brow_colour: Colour = (0.2, 0.14, 0.1)


@dataclass(frozen=True)
class EyeState:
    """Attributes:
    gaze: to the right and down, in degrees, relative to the head.
    blink: 0 open, 1 closed; negative for wide eyes.
    raised, furrowed: of the brows.
    smile: which raises the lower lids.
    """

    gaze: tuple[float, float] = (0.0, 0.0)
    blink: float = 0.0
    raised: float = 0.0
    furrowed: float = 0.0
    smile: float = 0.0


def lid_contours(
    shape: EyeShape, state: EyeState, side: int
) -> tuple[Float[np.ndarray, "13 2"], Float[np.ndarray, "13 2"]]:
    """Upper and lower lid from the inner to the outer corner.

    Args:
      side: -1 for the eye on the left of the picture, 1 for the other.
    """
    s = np.linspace(0, 1, CONTOUR_POINTS)
    x = EYE_X + (2 * s - 1) * shape.width
    base = 0.016 - (0.016 + shape.tilt) * s**1.3
    arch = np.sin(np.pi * s**0.92) ** 0.85
    bow = np.sin(np.pi * s**1.12) ** 0.95
    lower = base + (0.046 - 0.022 * state.smile) * bow
    look = np.clip(-state.gaze[1] / 40, -0.4, 0.3)
    upper = base - shape.height * (1 + 0.6 * look - 0.12 * state.smile) * arch
    shut = base + (0.046 - 0.012) * bow
    closing = smoothstep(0, 1, state.blink) if state.blink >= 0 else 0.35 * state.blink
    upper = upper + closing * (shut - upper)
    lower = np.maximum(lower + 0.2 * max(closing, 0) * (shut - lower), upper)
    return np.stack([side * x, upper], 1), np.stack([side * x, lower], 1)


def brow_outline(shape: EyeShape, state: EyeState, side: int) -> Float[np.ndarray, "9 2"]:
    """The middle line of a brow from its inner to its outer end."""
    s = np.linspace(0, 1, 9)
    x = 0.115 + 0.34 * s - 0.03 * state.furrowed * (1 - s)
    arch = shape.brow_arch * np.sin(np.pi * s**1.35) - 0.015 * (s - 0.5)
    inner = (1 - s) ** 1.5
    y = -shape.brow_height - arch - state.raised * (0.075 - 0.02 * inner) + 0.055 * state.furrowed * inner
    return np.stack([side * x, y + 0.03 * s**3], 1)


class EyePainter:
    """Paints a person's eyes and brows on the chart of the moving face."""

    def __init__(self, shape: EyeShape, skin: Float32[np.ndarray, "3"], random: np.random.Generator, frame: Frame):
        self.shape, self.skin, self.frame = shape, skin, frame
        self.x, self.y = frame.grid()
        self.hairs = smooth_noise(random, frame.shape, (frame.shape[0] / 12, frame.shape[1] / 3.0))
        self.spokes = random.uniform(0.75, 1.2, 90).astype(np.float32)

    def paint(
        self,
        colour: Float32[np.ndarray, "h w 3"],
        cover: Float32[np.ndarray, "h w"],
        height: Float32[np.ndarray, "h w"],
        gloss: Float32[np.ndarray, "h w"],
        state: EyeState,
        light: Float[np.ndarray, "3"],
    ) -> None:
        """Lay both eyes over colour and coverage, raise lids, and make eyeballs shine, in place."""
        for side in (-1, 1):
            self._brow(colour, cover, state, side)
            self._eye(colour, cover, height, gloss, state, light, side)

    def _window(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        (x0, y0), (x1, y1) = self.frame.pixels(np.array([[left, top], [right, bottom]])).astype(int)
        return slice(y0, y1), slice(x0, x1)

    def _brow(self, colour, cover, state: EyeState, side: int) -> None:
        shape = self.shape
        line = smooth_curve(brow_outline(shape, state, side), 40)
        s = np.linspace(0, 1, 40)
        half = shape.brow_width / 2 * np.minimum(1, 0.7 + 1.5 * s) * (1 - 0.8 * smoothstep(0.4, 1, s))
        outline = np.concatenate([line - np.stack([0 * s, half], 1), (line + np.stack([0 * s, half], 1))[::-1]])
        part, sub = self._part(line, 0.06)
        mask = sub.blur(sub.fill(outline), 0.009) * (0.88 + 0.09 * self.hairs[part])
        mask = mask.clip(0, 0.93)
        over(colour[part], cover[part], mask, linear(shape.brow_colour))

    def _part(self, points: Float[np.ndarray, "k 2"], margin: float) -> tuple[tuple[slice, slice], Frame]:
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        return crop(self.frame, low, high)

    def _eye(self, colour, cover, height, gloss, state: EyeState, light, side: int) -> None:
        shape = self.shape
        upper, lower = lid_contours(shape, state, side)
        part, sub = self._part(np.array([[side * EYE_X - 0.2, -0.17], [side * EYE_X + 0.2, 0.12]]), 0.0)
        x, y = sub.grid()
        top, bottom = smooth_curve(upper, 40), smooth_curve(lower, 40)
        opening = sub.fill(np.concatenate([top, bottom[::-1]]))
        self._lid(colour[part], cover[part], height[part], sub, top, side)
        ball = self._ball(sub, x, y, top, state, light, side)
        blend(colour[part], cover[part], opening, ball)
        gloss[part] -= 0.1 * opening  # its own highlights are painted
        openness = float(np.clip((bottom[:, 1] - top[:, 1]).max() / 0.05, 0, 1))
        lash = sub.stroke(top[3:], shape.lashes * (0.7 + 0.3 * openness))
        wing = top[-1] + np.array([[-side * 0.05, -0.012], [0.0, 0.0], [side * 0.02, -0.008]])
        lash = np.maximum(lash, sub.stroke(smooth_curve(wing, 8), 0.7 * shape.lashes))
        over(colour[part], cover[part], sub.blur(lash, 0.004), np.float32(0.012) * np.ones(3, np.float32))
        below = sub.blur(sub.stroke(bottom[6:] + (0, 0.004), 0.006), 0.005) * 0.45
        over(colour[part], cover[part], below, self.skin * 0.25)

    def _lid(self, colour, cover, height, sub: Frame, top: Float[np.ndarray, "k 2"], side: int) -> None:
        """The upper lid: a band above the lashes, and the crease over it, which stays when the eye closes."""
        s = np.linspace(0, 1, len(top))
        open_top, _ = lid_contours(self.shape, EyeState(), side)
        crease = smooth_curve(open_top, len(top)) - np.stack([0 * s, 0.014 + 0.024 * np.sin(np.pi * s) ** 0.6], 1)
        crease = np.minimum(crease, top - np.stack([0 * s, 0.02 * np.sin(np.pi * s)], 1))
        band = sub.blur(sub.fill(np.concatenate([crease, top[::-1]])), 0.008)
        over(colour, cover, 0.55 * band, self.skin * linear(self.shape.lid))
        height += 0.02 * band
        over(colour, cover, 0.6 * sub.blur(sub.stroke(crease[2:], 0.008), 0.007), self.skin * np.float32(0.36))

    def _ball(self, sub: Frame, x, y, top, state: EyeState, light, side: int) -> Float32[np.ndarray, "h w 3"]:
        """White, iris, pupil, and the window that mirrors in them, under the shadow of the upper lid."""
        cx, cy = side * EYE_X, -0.012
        lid = np.interp(x[0] * side, top[:, 0] * side, top[:, 1]).astype(np.float32)
        shadow = 0.45 + 0.55 * smoothstep(0.0, 0.05, y - lid[None])
        round_off = 1 - 0.38 * smoothstep(0.07, 0.16, np.abs(x - cx))
        white = np.array([0.80, 0.77, 0.75], np.float32) * (shadow * round_off)[..., None]
        inner = bell(np.hypot((x - side * (EYE_X - self.shape.width)) / 1.4, y - 0.015), 0, 0.018)
        white = lay(white, (0.75 * inner).astype(np.float32), np.array([0.55, 0.22, 0.2], np.float32))
        ix, iy = cx + GAZE_REACH * state.gaze[0], cy + GAZE_REACH * state.gaze[1]
        r = np.hypot(x - ix, y - iy)
        spoke = self.spokes[(np.arctan2(y - iy, x - ix) / (2 * np.pi) * 90).astype(int) % 90]
        tint = linear(self.shape.iris) * 1.25
        depth = (0.75 + 0.9 * bell(r, 0.04, 0.012)) * spoke * (0.85 + 5.5 * (y - iy))
        iris = tint * depth[..., None] * (0.35 + 0.65 * shadow[..., None])
        iris = lay(iris, smoothstep(0.058, 0.07, r).astype(np.float32) * 0.8, tint * np.float32(0.12))
        edge = 1.0 / sub.density
        ball = lay(white, 1 - smoothstep(0.07 - edge, 0.07 + edge, r).astype(np.float32), iris)
        ball = lay(ball, 1 - smoothstep(0.03 - edge, 0.03 + edge, r).astype(np.float32), np.full(3, 0.004, np.float32))
        gx, gy = ix + 0.028 * np.sign(light[0]), iy - 0.03
        glint = 1 - smoothstep(0.010, 0.018, np.hypot((x - gx), (y - gy) * 0.85))
        soft = 0.35 * (1 - smoothstep(0.006, 0.016, np.hypot(x - 2 * ix + gx, y - 2 * iy + gy)))
        return lay(ball, np.maximum(glint, soft).astype(np.float32), np.full(3, 1.1, np.float32))


def crop(frame: Frame, low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]) -> tuple[tuple[slice, slice], Frame]:
    """The part of a chart between two corners: where it lies, and as a chart of its own."""
    rows, columns = frame.shape
    (x0, y0), (x1, y1) = np.rint(frame.pixels(np.stack([low, high])) + 0.5).astype(int)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
    d = frame.density
    sub = Frame(frame.left + x0 / d, frame.top + y0 / d, frame.left + x1 / d, frame.top + y1 / d, d)
    return (slice(y0, y1), slice(x0, x1)), sub


def over(colour, cover, mask, tint) -> None:
    """Lay one colour over a premultiplied picture and its coverage, in place."""
    colour *= (1 - mask)[..., None]
    colour += mask[..., None] * tint
    cover += mask * (1 - cover)


blend = over
