"""Eyes and brows: lids, eyeballs, lashes and brows as outlines on the face."""

from dataclasses import dataclass

import numpy as np

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
from train.synthetic.curves import bell, smooth_curve, smoothstep
from train.synthetic.head import EYE_X
from train.synthetic.palette import Colour

CONTOUR_POINTS = 13
"""Points of a lid."""
LINE_POINTS = 40
"""Points of a line that is painted."""
EYEBALL_Y = -0.012
"""Height of an iris that looks straight ahead."""
GAZE_REACH = 0.0022
"""Distance that an iris moves for a degree, in units."""
IRIS, PUPIL = 0.07, 0.03
"""Radii, in units."""
SPOKES = 90
"""Number of sectors of an iris."""
# Linear colours.
LASH = np.full(3, 0.012, np.float32)
WHITE = np.array([0.80, 0.77, 0.75], np.float32)
TEAR_DUCT = np.array([0.55, 0.22, 0.2], np.float32)
DARKNESS = np.full(3, 0.004, np.float32)
HIGHLIGHT = np.full(3, 1.1, np.float32)


@dataclass(frozen=True)
class EyeShape:
    """A person's eyes and brows. Lengths are in units.

    Attributes:
      width: half the width of an eye.
      height: height of its open upper lid.
      tilt: height of the outer corner above the inner one.
      iris: colour of the iris.
      lashes: width of the line of the upper lashes.
      lid: colour of the upper lid, as a factor of the skin's.
      brow_height: height above the eye.
      brow_width: thickness at its thickest part.
      brow_arch: rise of its middle.
      brow_colour: colour of its hairs.
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
    """Pose of eyes and brows in one frame.

    Attributes:
      gaze: angles to the right and down, in degrees relative to the head.
      blink: 0 open, 1 closed; negative for wide eyes.
      raised, furrowed: motion of the brows.
      smile: strength of a smile, which raises the lower lids.
    """

    gaze: tuple[float, float] = (0.0, 0.0)
    blink: float = 0.0
    raised: float = 0.0
    furrowed: float = 0.0
    smile: float = 0.0


def lid_contours(shape: EyeShape, state: EyeState, side: int) -> tuple[Line, Line]:
    """Return upper and lower lid from the inner to the outer corner, 13 points each.

    Args:
      shape: the person's eyes.
      state: pose of the eyes.
      side: -1 for the eye on the left of the picture, 1 for the other.
    """
    # s runs from the inner corner, 0, to the outer one, 1.
    s = np.linspace(0, 1, CONTOUR_POINTS)
    x = side * (EYE_X + (2 * s - 1) * shape.width)
    base = 0.016 - (0.016 + shape.tilt) * s**1.3
    bow = np.sin(np.pi * s**1.12) ** 0.95
    # Open lids: the upper one follows the gaze up and down.
    follow = float(np.clip(-state.gaze[1] / 40, -0.4, 0.3))
    rise = 1 + 0.6 * follow - 0.12 * state.smile
    arch = np.sin(np.pi * s**0.92) ** 0.85
    upper = base - shape.height * rise * arch
    lower = base + (0.046 - 0.022 * state.smile) * bow
    # Closing: both lids move to the line where they meet, the upper one most of the way.
    shut = base + 0.034 * bow
    closing = _closing(state.blink)
    upper = upper + closing * (shut - upper)
    lower = lower + 0.2 * max(closing, 0.0) * (shut - lower)
    lower = np.maximum(lower, upper)
    return np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)


def _closing(blink: float) -> float:
    """Return the share of its way that the upper lid has moved; negative if wide."""
    if blink >= 0:
        return float(smoothstep(0, 1, blink))
    return 0.35 * blink


def brow_line(shape: EyeShape, state: EyeState, side: int) -> Line:
    """Return the middle line of a brow, 9 points from its inner to its outer end.

    Args:
      shape: the person's brows.
      state: pose of the brows.
      side: -1 for the brow on the left of the picture, 1 for the other.
    """
    s = np.linspace(0, 1, 9)
    # Furrowing moves the inner end most: down, and towards the nose.
    inner = (1 - s) ** 1.5
    x = 0.115 + 0.34 * s - 0.03 * state.furrowed * (1 - s)
    curve = shape.brow_arch * np.sin(np.pi * s**1.35)
    arch = curve - 0.015 * (s - 0.5) - 0.03 * s**3
    lift = state.raised * (0.075 - 0.02 * inner)
    y = -shape.brow_height - arch - lift + 0.055 * state.furrowed * inner
    return np.stack([side * x, y], axis=1)


def iris_center(state: EyeState, side: int) -> tuple[float, float]:
    """Return x and y of the iris on the face.

    Args:
      state: pose of the eyes.
      side: -1 for the eye on the left of the picture, 1 for the other.
    """
    right, down = state.gaze
    x = side * EYE_X + GAZE_REACH * right
    y = EYEBALL_Y + GAZE_REACH * down
    return x, y


class EyePainter:
    """Paints a person's eyes and brows on the moving face.

    Args:
      shape: the person's eyes.
      skin: linear colour of the skin.
      random: generator of the pattern of the irises.
    """

    def __init__(
        self,
        shape: EyeShape,
        skin: LinearColour,
        random: np.random.Generator,
    ):
        self.shape = shape
        self.skin = skin
        self.spokes = random.uniform(0.75, 1.2, SPOKES).astype(np.float32)

    def paint(self, layers: Layers, state: EyeState, light: Vector) -> None:
        """Lay both eyes and brows over the paint so far.

        Args:
          layers: paint on the face.
          state: pose of eyes and brows.
          light: direction towards the light, in the head's coordinates; the eyes
            mirror it.
        """
        for side in (-1, 1):
            self._paint_brow(layers, state, side)
            self._paint_eye(layers, state, light, side)

    def _paint_brow(self, layers: Layers, state: EyeState, side: int) -> None:
        """Paint a soft band around the middle line of a brow."""
        line = smooth_curve(brow_line(self.shape, state, side), LINE_POINTS)
        # Thick from the inner end to the middle, thin at the outer end.
        s = np.linspace(0, 1, LINE_POINTS)
        start = np.minimum(1, 0.7 + 1.5 * s)
        taper = 1 - 0.8 * smoothstep(0.4, 1, s)
        half = self.shape.brow_width / 2 * start * taper
        offset = np.stack([0 * s, half], axis=1)
        low = line.min(axis=0) - 0.06
        high = line.max(axis=0) + 0.06
        part = layers.part((low[0], low[1]), (high[0], high[1]))
        band = part.region.between(line - offset, line + offset)
        cover = part.region.blur(band, 0.009)
        part.lay(0.9 * cover, linear(self.shape.brow_colour))

    def _paint_eye(
        self, layers: Layers, state: EyeState, light: Vector, side: int
    ) -> None:
        center = side * EYE_X
        part = layers.part((center - 0.2, -0.17), (center + 0.2, 0.12))
        upper, lower = lid_contours(self.shape, state, side)
        top = smooth_curve(upper, LINE_POINTS)
        bottom = smooth_curve(lower, LINE_POINTS)
        opening = part.region.between(top, bottom)
        self._paint_lid(part, top, side)
        ball = self._eyeball(part.region, top, state, light, side)
        part.lay(opening, ball)
        # An eyeball's highlights are painted, so that it needs no gloss.
        part.gloss[:] -= 0.1 * opening
        self._paint_lashes(part, top, bottom, side)

    def _paint_lid(self, part: Layers, top: Line, side: int) -> None:
        """Paint the upper lid: a band above the lashes, and the crease over it.

        The crease stays in place when the eye closes.
        """
        region = part.region
        arch = np.sin(np.pi * np.linspace(0, 1, LINE_POINTS))
        open_lid, _ = lid_contours(self.shape, EyeState(), side)
        rise = np.stack([0 * arch, 0.014 + 0.024 * arch.clip(0) ** 0.6], axis=1)
        crease = smooth_curve(open_lid, LINE_POINTS) - rise
        # Wide eyes push the crease up.
        margin = np.stack([0 * arch, 0.02 * arch], axis=1)
        crease = np.minimum(crease, top - margin)
        band = region.blur(region.between(crease, top), 0.008)
        part.lay(0.55 * band, self.skin * linear(self.shape.lid))
        part.height[:] += 0.02 * band
        fold = region.soft_stroke(crease[2:], 0.008, 0.007)
        part.lay(0.6 * fold, self.skin * np.float32(0.36))

    def _paint_lashes(
        self,
        part: Layers,
        top: Line,
        bottom: Line,
        side: int,
    ) -> None:
        region = part.region
        """Paint the dark line of the upper lashes and the faint one of the lower."""
        # Upper lashes end in a wing.
        gap = (bottom[:, 1] - top[:, 1]).max()
        openness = float(np.clip(gap / 0.05, 0, 1))
        line = region.stroke(top[3:], self.shape.lashes * (0.7 + 0.3 * openness))
        offsets = [[-side * 0.05, -0.012], [0.0, 0.0], [side * 0.02, -0.008]]
        wing = smooth_curve(top[-1] + np.array(offsets), 8)
        upper = np.maximum(line, region.stroke(wing, 0.7 * self.shape.lashes))
        part.lay(region.blur(upper, 0.004), LASH)
        # Lower lashes run along the outer half only.
        lower = region.soft_stroke(bottom[6:] + np.array([0, 0.004]), 0.006, 0.005)
        part.lay(0.45 * lower, self.skin * np.float32(0.25))

    def _eyeball(
        self,
        region: Region,
        top: Line,
        state: EyeState,
        light: Vector,
        side: int,
    ) -> Picture:
        """Paint white, iris, pupil and mirrored light under the upper lid's shadow.

        Args:
          region: part of the face around the eye.
          top: line of the upper lid.
          state: pose of the eyes.
          light: direction towards the light, in the head's coordinates.
          side: -1 for the eye on the left of the picture, 1 for the other.

        Returns:
          Linear colours over the region; the opening of the lids cuts them out.
        """
        x, y = region.grid()
        # np.interp wants x to rise: the line is mirrored for the left eye.
        lid = np.interp(side * x[0], side * top[:, 0], top[:, 1])
        shadow = (0.45 + 0.55 * smoothstep(0.0, 0.05, y - lid)).astype(np.float32)
        ball = self._white(x, y, shadow, side)
        center_x, center_y = iris_center(state, side)
        dx = x - center_x
        dy = y - center_y
        radius = np.hypot(dx, dy)
        pixel = 1 / region.density
        disc = 1 - smoothstep(IRIS - pixel, IRIS + pixel, radius)
        ball = lay(ball, disc, self._iris(dx, dy, radius, shadow))
        pupil = 1 - smoothstep(PUPIL - pixel, PUPIL + pixel, radius)
        ball = lay(ball, pupil, DARKNESS)
        # A glint on the light's side, and a weak reflex opposite to it.
        glint_x = 0.028 * np.sign(light[0])
        glint_y = -0.03
        glint_distance = np.hypot(dx - glint_x, 0.85 * (dy - glint_y))
        glint = 1 - smoothstep(0.010, 0.018, glint_distance)
        reflex_distance = np.hypot(dx + glint_x, dy + glint_y)
        reflex = 0.35 * (1 - smoothstep(0.006, 0.016, reflex_distance))
        return lay(ball, np.maximum(glint, reflex), HIGHLIGHT)

    def _white(self, x: Grid, y: Grid, shadow: Grid, side: int) -> Picture:
        """Paint the white, darker at its sides, and the tear duct.

        Args:
          x, y: coordinates of the pixels.
          shadow: shade of the upper lid.
          side: -1 for the eye on the left of the picture, 1 for the other.
        """
        round_off = 1 - 0.38 * smoothstep(0.07, 0.16, np.abs(x - side * EYE_X))
        corner = side * (EYE_X - self.shape.width)
        duct = bell(np.hypot((x - corner) / 1.4, y - 0.015), 0, 0.018)
        white = WHITE * (shadow * round_off)[..., None]
        return lay(white, 0.75 * duct, TEAR_DUCT)

    def _iris(self, dx: Grid, dy: Grid, radius: Grid, shadow: Grid) -> Picture:
        """Paint spokes, lighter around the pupil and below, within a dark ring.

        Args:
          dx, dy: offsets from the center of the iris.
          radius: distance from it.
          shadow: shade of the upper lid.
        """
        tint = linear(self.shape.iris) * np.float32(1.25)
        sector = (np.arctan2(dy, dx) / (2 * np.pi) * SPOKES).astype(int)
        spoke = self.spokes[sector % SPOKES]
        ring = 0.75 + 0.9 * bell(radius, 0.04, 0.012)
        depth = ring * spoke * (0.85 + 5.5 * dy) * (0.35 + 0.65 * shadow)
        rim = 0.8 * smoothstep(0.058, IRIS, radius)
        return lay(tint * depth[..., None], rim, tint * np.float32(0.12))
