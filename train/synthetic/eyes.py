"""Eyes and brows: lids, eyeballs, lashes and brows as outlines on the face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from train.synthetic.chart import Grid, Layers, Picture, Region, lay, linear
from train.synthetic.curves import bell, smooth_curve, smoothstep
from train.synthetic.head import EYE_X
from train.synthetic.palette import Colour

CONTOUR_POINTS = 13
LINE_POINTS = 40
EYEBALL_Y = -0.012
GAZE_REACH = 0.0022  # units that the iris moves for a degree
IRIS, PUPIL = 0.07, 0.03  # radii
SPOKES = 90
LASH = np.full(3, 0.012, np.float32)
WHITE = np.array([0.80, 0.77, 0.75], np.float32)
TEAR_DUCT = np.array([0.55, 0.22, 0.2], np.float32)


@dataclass(frozen=True)
class EyeShape:
    """A person's eyes and brows.

    Attributes:
      width, height: half the width of an eye, and how far its upper lid rises, in
        units.
      tilt: how much higher the outer corner lies.
      iris: its colour.
      lashes: width of the line of the upper lashes.
      lid: colour of the upper lid relative to the skin.
      brow_height: above the eye. brow_width: where it is thick. brow_arch: rise of its
        middle.
      brow_colour: of its hairs.
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
    """What eyes and brows do in one region.

    Attributes:
      gaze: to the right and down, in degrees relative to the head.
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
    x = side * (EYE_X + (2 * s - 1) * shape.width)
    base = 0.016 - (0.016 + shape.tilt) * s**1.3
    bow = np.sin(np.pi * s**1.12) ** 0.95
    shut = base + 0.034 * bow
    follow = float(
        np.clip(-state.gaze[1] / 40, -0.4, 0.3)
    )  # the upper lid goes with the gaze
    upper = (
        base
        - shape.height
        * (1 + 0.6 * follow - 0.12 * state.smile)
        * np.sin(np.pi * s**0.92) ** 0.85
    )
    lower = base + (0.046 - 0.022 * state.smile) * bow
    closing = (
        float(smoothstep(0, 1, state.blink)) if state.blink >= 0 else 0.35 * state.blink
    )
    upper = upper + closing * (shut - upper)
    lower = np.maximum(lower + 0.2 * max(closing, 0.0) * (shut - lower), upper)
    return np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)


def brow_line(shape: EyeShape, state: EyeState, side: int) -> Float[np.ndarray, "9 2"]:
    """The middle line of a brow from its inner to its outer end."""
    s = np.linspace(0, 1, 9)
    inner = (1 - s) ** 1.5
    x = 0.115 + 0.34 * s - 0.03 * state.furrowed * (1 - s)
    arch = shape.brow_arch * np.sin(np.pi * s**1.35) - 0.015 * (s - 0.5) - 0.03 * s**3
    y = (
        -shape.brow_height
        - arch
        - state.raised * (0.075 - 0.02 * inner)
        + 0.055 * state.furrowed * inner
    )
    return np.stack([side * x, y], axis=1)


def iris_center(state: EyeState, side: int) -> tuple[float, float]:
    """Where the iris lies on the face."""
    return side * EYE_X + GAZE_REACH * state.gaze[
        0
    ], EYEBALL_Y + GAZE_REACH * state.gaze[1]


class EyePainter:
    """Paints a person's eyes and brows on the moving face.

    Args:
      skin: its linear colour.
      random: decides the pattern of the irises.
    """

    def __init__(
        self,
        shape: EyeShape,
        skin: Float32[np.ndarray, "3"],
        random: np.random.Generator,
    ):
        self.shape, self.skin = shape, skin
        self.spokes = random.uniform(0.75, 1.2, SPOKES).astype(np.float32)

    def paint(
        self, layers: Layers, state: EyeState, light: Float[np.ndarray, "3"]
    ) -> None:
        """Lay both eyes and brows over what is painted.

        Args:
          light: direction towards it, in the head's coordinates; it is mirrored in the
            eyes.
        """
        for side in (-1, 1):
            self._brow(layers, state, side)
            self._eye(layers, state, light, side)

    def _brow(self, layers: Layers, state: EyeState, side: int) -> None:
        line = smooth_curve(brow_line(self.shape, state, side), LINE_POINTS)
        s = np.linspace(0, 1, LINE_POINTS)
        half = (
            self.shape.brow_width
            / 2
            * np.minimum(1, 0.7 + 1.5 * s)
            * (1 - 0.8 * smoothstep(0.4, 1, s))
        )
        offset = np.stack([0 * s, half], axis=1)
        low, high = line.min(axis=0) - 0.06, line.max(axis=0) + 0.06
        part = layers.part((low[0], low[1]), (high[0], high[1]))
        cover = part.region.blur(
            part.region.between(line - offset, line + offset), 0.009
        )
        part.lay(0.9 * cover, linear(self.shape.brow_colour))

    def _eye(
        self, layers: Layers, state: EyeState, light: Float[np.ndarray, "3"], side: int
    ) -> None:
        part = layers.part((side * EYE_X - 0.2, -0.17), (side * EYE_X + 0.2, 0.12))
        top, bottom = (
            smooth_curve(line, LINE_POINTS)
            for line in lid_contours(self.shape, state, side)
        )
        opening = part.region.between(top, bottom)
        self._lid(part, top, side)
        part.lay(opening, self._eyeball(part.region, top, state, light, side))
        part.gloss[:] -= 0.1 * opening  # an eyeball's highlights are painted
        self._lashes(part, top, bottom, side)

    def _lid(self, part: Layers, top: Float[np.ndarray, "k 2"], side: int) -> None:
        """The upper lid: a band above the lashes, and the crease over it, which stays
        when the eye closes."""
        arch = np.sin(np.pi * np.linspace(0, 1, LINE_POINTS))
        open_lid, _ = lid_contours(self.shape, EyeState(), side)
        crease = smooth_curve(open_lid, LINE_POINTS) - np.stack(
            [0 * arch, 0.014 + 0.024 * arch.clip(0) ** 0.6], axis=1
        )
        crease = np.minimum(crease, top - np.stack([0 * arch, 0.02 * arch], axis=1))
        band = part.region.blur(part.region.between(crease, top), 0.008)
        part.lay(0.55 * band, self.skin * linear(self.shape.lid))
        part.height[:] += 0.02 * band
        part.lay(
            0.6 * part.region.soft_stroke(crease[2:], 0.008, 0.007),
            self.skin * np.float32(0.36),
        )

    def _lashes(
        self,
        part: Layers,
        top: Float[np.ndarray, "k 2"],
        bottom: Float[np.ndarray, "k 2"],
        side: int,
    ) -> None:
        openness = float(np.clip((bottom[:, 1] - top[:, 1]).max() / 0.05, 0, 1))
        upper = part.region.stroke(top[3:], self.shape.lashes * (0.7 + 0.3 * openness))
        wing = top[-1] + np.array(
            [[-side * 0.05, -0.012], [0.0, 0.0], [side * 0.02, -0.008]]
        )
        upper = np.maximum(
            upper, part.region.stroke(smooth_curve(wing, 8), 0.7 * self.shape.lashes)
        )
        part.lay(part.region.blur(upper, 0.004), LASH)
        lower = part.region.soft_stroke(bottom[6:] + np.array([0, 0.004]), 0.006, 0.005)
        part.lay(0.45 * lower, self.skin * np.float32(0.25))

    def _eyeball(
        self,
        region: Region,
        top: Float[np.ndarray, "k 2"],
        state: EyeState,
        light: Float[np.ndarray, "3"],
        side: int,
    ) -> Picture:
        """White, iris, pupil, and the light that mirrors in them, under the shadow of
        the upper lid."""
        x, y = region.grid()
        lid = np.interp(side * x[0], side * top[:, 0], top[:, 1])
        shadow = (0.45 + 0.55 * smoothstep(0.0, 0.05, y - lid)).astype(np.float32)
        ball = self._white(x, y, shadow, side)
        dx, dy = (
            axis - center
            for axis, center in zip((x, y), iris_center(state, side), strict=True)
        )
        edge = 1 / region.density
        r = np.hypot(dx, dy)
        ball = lay(
            ball,
            1 - smoothstep(IRIS - edge, IRIS + edge, r),
            self._iris(dx, dy, r, shadow),
        )
        ball = lay(
            ball,
            1 - smoothstep(PUPIL - edge, PUPIL + edge, r),
            np.full(3, 0.004, np.float32),
        )
        gx, gy = 0.028 * np.sign(light[0]), -0.03
        glint = 1 - smoothstep(0.010, 0.018, np.hypot(dx - gx, 0.85 * (dy - gy)))
        reflex = 0.35 * (1 - smoothstep(0.006, 0.016, np.hypot(dx + gx, dy + gy)))
        return lay(ball, np.maximum(glint, reflex), np.full(3, 1.1, np.float32))

    def _white(self, x: Grid, y: Grid, shadow: Grid, side: int) -> Picture:
        round_off = 1 - 0.38 * smoothstep(0.07, 0.16, np.abs(x - side * EYE_X))
        duct = bell(
            np.hypot((x - side * (EYE_X - self.shape.width)) / 1.4, y - 0.015), 0, 0.018
        )
        return lay(WHITE * (shadow * round_off)[..., None], 0.75 * duct, TEAR_DUCT)

    def _iris(self, dx: Grid, dy: Grid, r: Grid, shadow: Grid) -> Picture:
        """Spokes, lighter around the pupil and below, within a dark ring."""
        tint = linear(self.shape.iris) * np.float32(1.25)
        spoke = self.spokes[
            (np.arctan2(dy, dx) / (2 * np.pi) * SPOKES).astype(int) % SPOKES
        ]
        depth = (
            (0.75 + 0.9 * bell(r, 0.04, 0.012))
            * spoke
            * (0.85 + 5.5 * dy)
            * (0.35 + 0.65 * shadow)
        )
        return lay(
            tint * depth[..., None],
            0.8 * smoothstep(0.058, IRIS, r),
            tint * np.float32(0.12),
        )
