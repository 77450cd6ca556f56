"""Charts: pictures painted flat that colour a surface."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

DENSITY = 200  # pixels a unit, a little more than a 256-pixel picture drawn at twice its size shows
SUBPIXEL_BITS = 4
ROW = 512  # OpenCV looks up pictures, not lists, so lists are folded

Grid = Float32[np.ndarray, "h w"]
"""A value a pixel."""
Picture = Float32[np.ndarray, "h w 3"]
"""A linear colour a pixel."""


@dataclass(frozen=True)
class Region:
    """Which rectangle of coordinates a chart covers, and how finely."""

    left: float
    top: float
    right: float
    bottom: float
    density: float = DENSITY

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return round((self.bottom - self.top) * self.density), round(
            (self.right - self.left) * self.density
        )

    def pixels(self, points: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
        """Coordinates -> pixels."""
        return (points - np.array([self.left, self.top])) * self.density - 0.5

    def grid(self) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """x and y of all pixels."""
        rows, columns = self.shape
        x = self.left + (np.arange(columns) + 0.5) / self.density
        y = self.top + (np.arange(rows) + 0.5) / self.density
        across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        return across, down

    def fill(self, outline: Float[np.ndarray, "k 2"]) -> Grid:
        """Coverage, 0 to 1, of a closed outline; its smooth border lies outside, a
        pixel wide."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self._fixed(outline)], 255, cv2.LINE_AA, SUBPIXEL_BITS)
        return _unit(mask)

    def between(
        self, first: Float[np.ndarray, "k 2"], second: Float[np.ndarray, "k 2"]
    ) -> Grid:
        """Coverage of what lies between two lines that run the same way."""
        return self.fill(np.concatenate([first, second[::-1]]))

    def stroke(self, line: Float[np.ndarray, "k 2"], width: float) -> Grid:
        """Coverage of an open line; widths in units."""
        mask = np.zeros(self.shape, np.uint8)
        thickness = max(1, round(width * self.density))
        cv2.polylines(
            mask, [self._fixed(line)], False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS
        )
        return _unit(mask)

    def soft_stroke(
        self, line: Float[np.ndarray, "k 2"], width: float, deviation: float
    ) -> Grid:
        """Coverage of an open line whose border is soft."""
        return self.blur(self.stroke(line, width), deviation)

    def blur(
        self, picture: Float32[np.ndarray, "h w ..."], deviation: float
    ) -> Float32[np.ndarray, "h w ..."]:
        """Soften by a gaussian of a deviation in units."""
        return cv2.GaussianBlur(picture, (0, 0), deviation * self.density)

    def look_up(
        self,
        picture: Float32[np.ndarray, "h w c"],
        x: Float[np.ndarray, " n"],
        y: Float[np.ndarray, " n"],
    ) -> Float32[np.ndarray, "n c"]:
        """What is painted at points; beyond the chart its border goes on."""
        columns = _fold((x - self.left) * self.density - 0.5)
        rows = _fold((y - self.top) * self.density - 0.5)
        found = cv2.remap(
            picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return (
            found.reshape(-1, picture.shape[2])[: len(x)]
            if picture.ndim == 3
            else found.ravel()[: len(x), None]
        )

    def _fixed(self, points: Float[np.ndarray, "k 2"]) -> np.ndarray:
        return np.rint(self.pixels(points) * (1 << SUBPIXEL_BITS)).astype(np.int32)


@dataclass(frozen=True)
class Layers:
    """What is painted on a moving face in one frame; parts of it share its memory.

    Attributes:
      region: which part of the face this is.
      colour: linear, multiplied by its coverage. cover: 0 to 1.
      height: above the surface, in units. gloss: added to the skin's.
    """

    region: Region
    colour: Picture
    cover: Grid
    height: Grid
    gloss: Grid

    @classmethod
    def blank(cls, region: Region) -> "Layers":
        """Nothing painted yet."""
        zeros = (np.zeros(region.shape, np.float32) for _ in range(3))
        return cls(region, np.zeros((*region.shape, 3), np.float32), *zeros)

    def part(self, low: tuple[float, float], high: tuple[float, float]) -> "Layers":
        """The rectangle between two corners."""
        rows, columns = self.region.shape
        (x0, y0), (x1, y1) = (
            np.rint(self.region.pixels(np.array([low, high])) + 0.5)
            .astype(int)
            .tolist()
        )
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
        left, top, d = self.region.left, self.region.top, self.region.density
        region = Region(left + x0 / d, top + y0 / d, left + x1 / d, top + y1 / d, d)
        at = (slice(y0, y1), slice(x0, x1))
        return Layers(
            region, self.colour[at], self.cover[at], self.height[at], self.gloss[at]
        )

    def lay(self, cover: Grid, colour: Float32[np.ndarray, "..."]) -> None:
        """Lay a colour, or a picture, over what is there."""
        cover = cover.astype(np.float32)
        self.colour[:] *= (1 - cover)[..., None]
        self.colour[:] += cover[..., None] * colour
        self.cover[:] += cover * (1 - self.cover)

    @property
    def slopes(self) -> Float32[np.ndarray, "h w 2"]:
        """How steeply the height rises to the right and downwards."""
        scale = self.region.density / 8  # Sobel's kernel sums to 8 over two pixels
        across, down = (
            cv2.Sobel(self.height, cv2.CV_32F, 1 - i, i, ksize=3, scale=scale)
            for i in (0, 1)
        )
        return np.stack([across, down], axis=-1)


def _unit(mask: UInt8[np.ndarray, "h w"]) -> Grid:
    return mask.astype(np.float32) * np.float32(1 / 255)


def _fold(values: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "r 512"]:
    folded = np.zeros((len(values) // ROW + 1) * ROW, np.float32)
    folded[: len(values)] = values
    return folded.reshape(-1, ROW)


def linear(
    colour: tuple[float, float, float] | Float[np.ndarray, "3"],
) -> Float32[np.ndarray, "3"]:
    """sRGB, 0 to 1 -> light, by a square for a power of 2.2."""
    return np.square(np.asarray(colour, np.float32))


def lay(below: Picture, coverage: Grid, colour: Float32[np.ndarray, "..."]) -> Picture:
    """Lay a colour, or a picture, over another."""
    return below + coverage[..., None] * (colour - below)
