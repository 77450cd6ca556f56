"""Paste new frames into the place of a crop in its picture."""

import cv2
import numpy as np
from jaxtyping import Float, Int16, UInt8

from jaxportrait.media.crop import CROP_SIZE, Matrix, resize_matrix
from jaxportrait.ops.curves import smoothstep

MASK_BORDER = 1 / 32
"""Width of the soft border of a pasted crop, in sides of the crop.

Source: LivePortrait's mask (16 of 512 px)."""
COLOR_DEVIATION = 1 / 40
"""Deviation of the gaussian that separates colours from details, in sides of the
crop."""


def motion_border(zoom: float) -> float:
    """Return the width over which motion fades out to the border of a crop `zoom` times
    tighter than LivePortrait's, in sides of the crop.

    The border of a tight crop runs through hair and shoulders, which must fit what is
    around it. The width is the margin by which LivePortrait's crop is larger on each
    side: 0.13 for the demo's 1.35, which barely reaches its chins.
    """
    return max(0.0, 1 - 1 / zoom) / 2


def mask_border(zoom: float) -> float:
    """Return the width of the soft border of a crop `zoom` times tighter than
    LivePortrait's, in sides of the crop.

    Little moves in it, so that the two pictures that it mixes are alike: half-way
    through it 0.15 of the motion remains at a zoom of 1.35.
    """
    return MASK_BORDER + motion_border(zoom) / 4


def color_correction(
    source: UInt8[np.ndarray, "s s 3"], rest: UInt8[np.ndarray, "S S 3"]
) -> Int16[np.ndarray, "S S 3"]:
    """Return the colours to add to frames: the difference of the source from the
    unmoved frame, without details.

    Args:
      source: the crop.
      rest: rendered crop in which nothing moves.
    """
    source = cv2.resize(source, rest.shape[:2], interpolation=cv2.INTER_CUBIC)
    difference = cv2.subtract(source, rest, dtype=cv2.CV_32F)
    # blurring leaves colours and removes details
    deviation = COLOR_DEVIATION * len(rest)
    colors = cv2.GaussianBlur(difference, (0, 0), deviation)
    return np.rint(colors).astype(np.int16)


def soft_mask(
    size: int = CROP_SIZE, border: float = MASK_BORDER
) -> Float[np.ndarray, "size size"]:
    """Return the weights of a pasted crop: one inside, falling smoothly to exactly zero
    at its border, with rounded corners.

    The distance to the border is that of a rounded rectangle; the fall is a smoothstep.
    It differs from the mask that LivePortrait ships by 0.008 in the mean: that one
    falls straight and does not reach zero on the right and below.

    Args:
      border: width of the fall, in sides of the crop.
    """
    index = np.arange(size)
    to_edge = np.minimum(index, index[::-1])
    inside = np.minimum(to_edge / (border * size), 1.0)
    shortfall = np.hypot(1 - inside[:, None], 1 - inside[None, :])
    depth = np.clip(1 - shortfall, 0, 1)
    return smoothstep(depth).astype(np.float32)


class PasteBack:
    """Pastes frames into the place of a crop; everything that does not depend on the
    frame is computed once.

    Only the part of the picture under the crop is warped and blended, so the time of a
    call is that of the crop's area plus a copy of the picture. Calls are safe from
    several threads, and OpenCV and NumPy release the interpreter's lock in them.

    Args:
      image: the picture, RGB, at full resolution.
      crop_to_image: matrix from the crop's pixels to the picture's.
      crop_size: side of the crop in the pixels of `crop_to_image`.
      mask: weights of the crop; by default `soft_mask(crop_size)`.
      correction: colours to add to every frame, from `color_correction`; in the frames'
        size.

    Raises:
      ValueError: the crop lies wholly outside the picture.

    Source: LivePortrait, `paste_back`; blending rounds where the original truncates.
    """

    def __init__(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        crop_to_image: Matrix,
        crop_size: int = CROP_SIZE,
        mask: Float[np.ndarray, "s s"] | None = None,
        correction: Int16[np.ndarray, "S S 3"] | None = None,
    ):
        self._image = image
        self._crop_shape = (crop_size, crop_size)
        self._rows, self._columns = _region(crop_to_image, crop_size, image.shape)
        # Only the part under the crop takes part.
        self._under = np.ascontiguousarray(image[self._rows, self._columns])
        to_region = np.array(
            [[1, 0, -self._columns.start], [0, 1, -self._rows.start], [0, 0, 1]]
        )
        self._crop_to_region = to_region @ crop_to_image
        scale = np.sqrt(np.linalg.det(crop_to_image[:2, :2]))
        self._side_in_image = crop_size * float(scale)
        self._weight = self._warp(soft_mask(crop_size) if mask is None else mask)
        self._rest = 1 - self._weight
        self._correction = correction

    @property
    def image(self) -> UInt8[np.ndarray, "h w 3"]:
        """The picture, unchanged."""
        return self._image

    def __call__(
        self,
        frame: UInt8[np.ndarray, "s s 3"],
        onto: UInt8[np.ndarray, "h w 3"] | None = None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Return a new picture with `frame` in it; outside the crop it equals the
        source exactly.

        Args:
          frame: the crop's new content, RGB; it covers the whole crop. Its size is
            free, or that of the correction.
          onto: picture that is pasted into, such as one with another face in it; by
            default the source.

        Raises:
          ValueError: the frame's size is not that of the correction.
        """
        if self._correction is not None:
            if frame.shape != self._correction.shape:
                needed = self._correction.shape
                raise ValueError(
                    f"the frame is {frame.shape}, and the correction is for {needed}: paste such frames"
                )
            frame = cv2.add(frame, self._correction, dtype=cv2.CV_8U)
        # The picture itself stays unchanged for other threads.
        result = (self._image if onto is None else onto).copy()
        part = result[self._rows, self._columns]
        under = self._under if onto is None else np.ascontiguousarray(part)
        warped = self._warp(frame)
        # writes into the copy
        cv2.blendLinear(warped, under, self._weight, self._rest, dst=part)
        return result

    def _warp(self, frame: np.ndarray) -> np.ndarray:
        frame = _shrink(frame, self._side_in_image)
        frame_to_crop = resize_matrix(frame.shape, self._crop_shape)
        frame_to_region = self._crop_to_region @ frame_to_crop
        height, width = self._under.shape[:2]
        return cv2.warpAffine(frame, frame_to_region[:2], (width, height))


def _region(
    crop_to_image: Matrix, crop_size: int, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Return the rows and columns of the picture that a crop touches."""
    low = -1
    high = crop_size
    corners = np.array(
        [
            [low, low, 1],
            [high, low, 1],
            [high, high, 1],
            [low, high, 1],
        ]
    )
    points = corners @ crop_to_image[:2].T
    first = np.floor(points.min(axis=0)).astype(int)
    last = np.ceil(points.max(axis=0)).astype(int)
    left, top = np.maximum(first, 0)
    right, bottom = np.minimum(last + 1, (shape[1], shape[0]))
    if left >= right or top >= bottom:
        raise ValueError(
            f"the crop (columns {left} to {right}, rows {top} to {bottom}) lies outside the picture of "
            f"{shape[1]}x{shape[0]} pixels: use the matrix found on this picture"
        )
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def _shrink(frame: np.ndarray, side: float) -> np.ndarray:
    """Reduce a frame by area to about `side` pixels if it has at least twice as many.

    Warping such a frame would alias.
    """
    factor = int(frame.shape[0] / side)
    if factor < 2:
        return frame
    size = (frame.shape[1] // factor, frame.shape[0] // factor)
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
