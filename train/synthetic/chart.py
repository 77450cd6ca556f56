"""Charts: pictures painted flat that colour a surface."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

DENSITY = 200
"""Pixels a unit: a little more than a 256-pixel picture drawn at twice its size shows."""
SUBPIXEL_BITS = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""
ROW = 512
"""Length of a row into which lists of points are folded."""

Grid = Float32[np.ndarray, "h w"]
"""A value a pixel."""
Picture = Float32[np.ndarray, "h w 3"]
"""A linear colour a pixel."""


Line = Float[np.ndarray, "k 2"]
"""A line of points on a chart, in units."""
LinearColour = Float32[np.ndarray, "3"]


@dataclass(frozen=True)
class Region:
    """Rectangle of coordinates that a chart covers.

    Attributes:
      left, top, right, bottom: edges, in units.
      density: pixels a unit.
    """

    left: float
    top: float
    right: float
    bottom: float
    density: float = DENSITY

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows = round((self.bottom - self.top) * self.density)
        columns = round((self.right - self.left) * self.density)
        return rows, columns

    def pixels(self, points: Float[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
        """Convert coordinates to pixels; integers are centres of pixels."""
        origin = np.array([self.left, self.top])
        return (points - origin) * self.density - 0.5

    def grid(self) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Return x and y of all pixels."""
        rows, columns = self.shape
        x = self.left + (np.arange(columns) + 0.5) / self.density
        y = self.top + (np.arange(rows) + 0.5) / self.density
        across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        return across, down

    def fill(self, outline: Line) -> Grid:
        """Return the coverage, 0 to 1, of a closed outline.

        Its smooth border is one pixel wide and lies outside.
        """
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(
            mask, [self._fixed_point(outline)], 255, cv2.LINE_AA, SUBPIXEL_BITS
        )
        return _to_unit(mask)

    def between(self, first: Line, second: Line) -> Grid:
        """Return the coverage between two lines that run the same way."""
        return self.fill(np.concatenate([first, second[::-1]]))

    def stroke(self, line: Line, width: float) -> Grid:
        """Return the coverage of an open line of a width in units."""
        mask = np.zeros(self.shape, np.uint8)
        points = [self._fixed_point(line)]
        thickness = max(1, round(width * self.density))
        cv2.polylines(mask, points, False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        return _to_unit(mask)

    def soft_stroke(self, line: Line, width: float, deviation: float) -> Grid:
        """Return the coverage of an open line with a soft border."""
        return self.blur(self.stroke(line, width), deviation)

    def blur(
        self, picture: Float32[np.ndarray, "h w ..."], deviation: float
    ) -> Float32[np.ndarray, "h w ..."]:
        """Soften by a gaussian whose deviation is in units."""
        return cv2.GaussianBlur(picture, (0, 0), deviation * self.density)

    def look_up(
        self,
        picture: Float32[np.ndarray, "h w c"],
        x: Float[np.ndarray, " n"],
        y: Float[np.ndarray, " n"],
    ) -> Float32[np.ndarray, "n c"]:
        """Return the colours at points; beyond the chart its border is repeated."""
        columns = _fold((x - self.left) * self.density - 0.5)
        rows = _fold((y - self.top) * self.density - 0.5)
        colours = cv2.remap(
            picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        # The fold's padding at the end is dropped.
        if picture.ndim == 3:
            return colours.reshape(-1, picture.shape[2])[: len(x)]
        return colours.ravel()[: len(x), None]

    def _fixed_point(self, points: Line) -> np.ndarray:
        scaled = self.pixels(points) * (1 << SUBPIXEL_BITS)
        return np.rint(scaled).astype(np.int32)


@dataclass(frozen=True)
class Layers:
    """Paint on a moving face in one frame. Its parts share its memory.

    Attributes:
      region: part of the face.
      colour: linear colour, multiplied by its coverage.
      cover: coverage, 0 to 1.
      height: height above the surface, in units.
      gloss: strength of highlights, added to the skin's.
    """

    region: Region
    colour: Picture
    cover: Grid
    height: Grid
    gloss: Grid

    @classmethod
    def blank(cls, region: Region) -> "Layers":
        """Return layers with nothing painted."""
        return cls(
            region,
            colour=np.zeros((*region.shape, 3), np.float32),
            cover=np.zeros(region.shape, np.float32),
            height=np.zeros(region.shape, np.float32),
            gloss=np.zeros(region.shape, np.float32),
        )

    def part(self, low: tuple[float, float], high: tuple[float, float]) -> "Layers":
        """Return the rectangle between two corners, as views of these layers."""
        # Corners in whole pixels, kept within the chart.
        rows, columns = self.region.shape
        corners = self.region.pixels(np.array([low, high])) + 0.5
        (x0, y0), (x1, y1) = np.rint(corners).astype(int).tolist()
        x0 = max(x0, 0)
        y0 = max(y0, 0)
        x1 = min(x1, columns)
        y1 = min(y1, rows)
        # The part's own region has its edges on those pixels.
        left, top, density = self.region.left, self.region.top, self.region.density
        region = Region(
            left + x0 / density,
            top + y0 / density,
            left + x1 / density,
            top + y1 / density,
            density,
        )
        window = (slice(y0, y1), slice(x0, x1))
        return Layers(
            region,
            colour=self.colour[window],
            cover=self.cover[window],
            height=self.height[window],
            gloss=self.gloss[window],
        )

    def lay(self, cover: Grid, colour: Float32[np.ndarray, "..."]) -> None:
        """Lay a colour, or a picture, over the paint so far."""
        cover = cover.astype(np.float32)
        # In place, since other layers may share this memory.
        self.colour[:] *= (1 - cover)[..., None]
        self.colour[:] += cover[..., None] * colour
        self.cover[:] += cover * (1 - self.cover)

    @property
    def slopes(self) -> Float32[np.ndarray, "h w 2"]:
        """Steepness of the height, to the right and downwards."""
        # Sobel's kernel sums to 8 over two pixels.
        scale = self.region.density / 8
        across = cv2.Sobel(self.height, cv2.CV_32F, 1, 0, ksize=3, scale=scale)
        down = cv2.Sobel(self.height, cv2.CV_32F, 0, 1, ksize=3, scale=scale)
        return np.stack([across, down], axis=-1)


def _to_unit(mask: UInt8[np.ndarray, "h w"]) -> Grid:
    """Convert bytes to the range 0 to 1."""
    return mask.astype(np.float32) * np.float32(1 / 255)


def _fold(values: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "r 512"]:
    """Fold a list into rows, padded with zeros.

    OpenCV looks up pictures, whose sides it limits, rather than lists.
    """
    folded = np.zeros((len(values) // ROW + 1) * ROW, np.float32)
    folded[: len(values)] = values
    return folded.reshape(-1, ROW)


def linear(
    colour: tuple[float, float, float] | Float[np.ndarray, "3"],
) -> LinearColour:
    """Convert sRGB, 0 to 1, to linear light; a square stands for the power of 2.2."""
    return np.square(np.asarray(colour, np.float32))


def lay(below: Picture, coverage: Grid, colour: Float32[np.ndarray, "..."]) -> Picture:
    """Lay a colour, or a picture, over another."""
    return below + coverage[..., None] * (colour - below)
