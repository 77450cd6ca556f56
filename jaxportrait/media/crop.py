"""Cut a face out of a picture: geometry in pixels, on the host.

Points are (x, y); whole numbers are the CENTRES of pixels, so a picture reaches from
-0.5 to its side less 0.5, and matrices act on (x, y, 1). Angles are radians, clockwise
on the screen, since y points down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from jaxportrait.types import FaceCrop

Matrix = Float[np.ndarray, "3 3"]
Outside = Literal["edge", "black"]

CROP_SIZE = 512
NETWORK_SIZE = 256

# Side of a crop in sides of the face's hull, and its shift down in sides of the crop.
# Source: LivePortrait, `src/config/crop_config.py`.
SOURCE_SCALE = 2.3
SOURCE_SHIFT = -0.125
CLIP_SCALE = 2.2
CLIP_SHIFT = -0.1

# Number of landmarks -> indices around the left eye (of the picture), the right eye and
# the mouth. Source: LivePortrait, `src/utils/crop.py`.
EYES_AND_MOUTH = {
    203: ((0, 6, 12, 18), (24, 30, 36, 42), (48, 66)),
    106: ((33, 35, 39, 40), (87, 89, 93, 94), (52, 61)),
    101: ((39, 42, 45, 48), (51, 54, 57, 60), (75, 81)),
    68: ((36, 39), (42, 45), (48, 54)),
    9: ((0, 1), (2, 3), (5, 6)),
    5: ((0,), (1,), (3, 4)),
}


@dataclass(frozen=True)
class FaceRectangle:
    """A square around a face, turned with the face.

    Attributes:
      center: (x, y) in pixels.
      size: side in pixels.
      angle: from the picture's x axis to the face's, in radians, clockwise on the
        screen.
    """

    center: tuple[float, float]
    size: float
    angle: float = 0.0


def landmark_hull(points: Float[np.ndarray, "k 2"]) -> FaceRectangle:
    """Return the smallest square along the face's axes that holds all its landmarks.

    Args:
      points: 203, 106, 101, 68, 9 or 5 landmarks in pixels.

    Raises:
      ValueError: another number of landmarks.

    Source: LivePortrait, `src/utils/crop.py`: the face's y axis runs from between the
    eyes to the mouth.
    """
    points = np.asarray(points, np.float64)
    axes = _face_axes(points)
    angle = np.arctan2(axes[0, 1], axes[0, 0])
    return square_along(points, axes, float(angle))


def square_along(
    points: Float[np.ndarray, "k 2"], axes: Float[np.ndarray, "2 2"], angle: float
) -> FaceRectangle:
    """Return the smallest square along axes that holds all points.

    Args:
      points: points in pixels.
      axes: unit vectors across and down the square.
      angle: angle of the first axis, in radians.
    """
    along = points @ axes.T
    low = along.min(axis=0)
    high = along.max(axis=0)
    # back to the picture's axes
    x, y = (low + high) / 2 @ axes
    return FaceRectangle((float(x), float(y)), float((high - low).max()), angle)


def eye_centers(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "2 2"]:
    """Return the centres of the picture's left and right eye.

    Args:
      points: landmarks, as for `landmark_hull`.
    """
    return _parts(points)[:2]


def frame_face(
    hull: FaceRectangle,
    scale: float = SOURCE_SCALE,
    vx: float = 0.0,
    vy: float = SOURCE_SHIFT,
    upright: bool = True,
) -> FaceRectangle:
    """Return the square to cut out around a face: its hull, enlarged and moved.

    Args:
      hull: square that holds the face, brows to chin.
      scale: side of the result in sides of the hull.
      vx: shift along the face's x axis, in sides of the result.
      vy: shift along the face's y axis, down; negative values include more forehead.
      upright: the result turns with the face, so that its crop shows the face upright;
        otherwise it keeps the picture's axes.

    Source: LivePortrait: scale 2.3, vy -0.125 for sources.
    """
    size = hull.size * scale
    cos = np.cos(hull.angle)
    sin = np.sin(hull.angle)
    x = hull.center[0] + (vx * cos - vy * sin) * size
    y = hull.center[1] + (vx * sin + vy * cos) * size
    return FaceRectangle((float(x), float(y)), size, hull.angle if upright else 0.0)


def clip_rectangle(
    hulls: Sequence[FaceRectangle],
    scale: float = CLIP_SCALE,
    vx: float = 0.0,
    vy: float = CLIP_SHIFT,
) -> FaceRectangle:
    """Return one upright square for a whole clip, in which the head moves: the mean
    over its frames.

    Args:
      hulls: the face's hull in each frame.
      scale: side of the result in sides of the hull.
      vx: shift to the right, in sides of the result.
      vy: shift down, in sides of the result.

    Raises:
      ValueError: no hulls.

    Source: LivePortrait, `Cropper.crop_driving_video`: scale 2.2, vy -0.1.
    """
    if not hulls:
        raise ValueError("a clip's crop needs the face in at least one frame, got none")
    frames = [frame_face(hull, scale, vx, vy, upright=False) for hull in hulls]
    x, y = np.mean([frame.center for frame in frames], axis=0)
    size = np.mean([frame.size for frame in frames])
    return FaceRectangle((float(x), float(y)), float(size))


def image_to_crop(rectangle: FaceRectangle, size: int = CROP_SIZE) -> Matrix:
    """Return the matrix from the picture's pixels to those of a crop.

    Args:
      rectangle: square of the crop in the picture.
      size: side of the crop in pixels.

    Source: LivePortrait: the rectangle's centre falls on pixel (size / 2, size / 2).
    """
    scale = size / rectangle.size
    cos = scale * np.cos(rectangle.angle)
    sin = scale * np.sin(rectangle.angle)
    x, y = rectangle.center
    return np.array(
        [
            [cos, sin, size / 2 - cos * x - sin * y],
            [-sin, cos, size / 2 + sin * x - cos * y],
            [0, 0, 1],
        ]
    )


def crop_face(
    image: UInt8[np.ndarray, "h w 3"],
    rectangle: FaceRectangle,
    size: int = CROP_SIZE,
    outside: Outside = "edge",
) -> FaceCrop:
    """Cut a square out of a picture, bilinearly.

    Args:
      image: RGB.
      rectangle: square to cut out, in the picture's pixels.
      size: side of the crop in pixels.
      outside: colour of pixels outside the picture. "edge" repeats its edge: the
        networks spread black into a dark band along it. "black" is LivePortrait's.
    """
    crop_to_image = np.linalg.inv(image_to_crop(rectangle, size))
    crop = _sample_bilinear(image, crop_to_image, size, outside)
    return FaceCrop(image=crop, crop_to_image=crop_to_image)


def network_input(
    crop: FaceCrop, size: int = NETWORK_SIZE
) -> UInt8[np.ndarray, "size size 3"]:
    """Return a crop at the size that the networks read.

    Source: LivePortrait reduces by area.
    """
    resized = cv2.resize(crop.image, (size, size), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def resize_matrix(source: tuple[int, ...], target: tuple[int, ...]) -> Matrix:
    """Return the matrix from the pixels of a picture to those of the resized picture.

    Their corners coincide, and corners lie half a pixel outside the first and last
    centres: x' = (x + 0.5) s - 0.5.

    Args:
      source: shape of the picture, (h, w, ...).
      target: shape of the resized picture.
    """
    y_scale = target[0] / source[0]
    x_scale = target[1] / source[1]
    return np.array(
        [
            [x_scale, 0, (x_scale - 1) / 2],
            [0, y_scale, (y_scale - 1) / 2],
            [0, 0, 1],
        ]
    )


def transform_points(
    points: Float[np.ndarray, "k 2"], matrix: Matrix
) -> Float[np.ndarray, "k 2"]:
    """Return points of one picture in the pixels of another, such as those of a crop in
    its picture."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def to_full_resolution(
    crop: FaceCrop, reduced: tuple[int, ...], full: tuple[int, ...]
) -> FaceCrop:
    """Return a crop of a reduced picture with its place in the full picture.

    Args:
      crop: crop of the reduced picture.
      reduced: shape of the reduced picture, (h, w, ...).
      full: shape of the full picture.
    """
    enlarge = resize_matrix(reduced, full)
    return replace(crop, crop_to_image=enlarge @ crop.crop_to_image)


def _parts(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "3 2"]:
    """Return the centres of the left eye, the right eye and the mouth."""
    if len(points) not in EYES_AND_MOUTH:
        raise ValueError(
            f"landmarks must number one of {sorted(EYES_AND_MOUTH)}, got {len(points)}"
        )
    parts = EYES_AND_MOUTH[len(points)]
    centers = [points[list(part)].mean(axis=0) for part in parts]
    return np.stack(centers)


def _face_axes(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "2 2"]:
    """Return unit vectors across and down the face.

    Where eyes and mouth coincide, they are the picture's axes.
    """
    left, right, mouth = _parts(points)
    down = mouth - (left + right) / 2
    length = np.linalg.norm(down)
    if length <= 1e-3:
        return np.eye(2)
    x, y = down / length
    # a quarter turn back from "down" points across
    return np.array([[y, -x], [x, y]])


def _sample_bilinear(
    image: UInt8[np.ndarray, "h w 3"],
    crop_to_image: Matrix,
    size: int,
    outside: Outside,
) -> UInt8[np.ndarray, "size size 3"]:
    """Sample bilinearly and exactly.

    OpenCV 4 rounds positions to 1/32 px, which changes edges by up to 4 levels.
    """
    step = np.arange(size)
    (xx, xy, x0), (yx, yy, y0) = crop_to_image[:2]
    if xy == yx == 0:
        # a crop that is not turned: rows, then columns, which is 6x faster
        rows = _blend(image, yy * step + y0, outside, axis=0)
        pixels = _blend(rows, xx * step + x0, outside, axis=1)
        return np.rint(pixels).astype(np.uint8)
    x = xx * step + (xy * step + x0)[:, None]
    y = yx * step + (yy * step + y0)[:, None]
    left = np.floor(x)
    top = np.floor(y)
    right_weight = (x - left).astype(np.float32)
    bottom_weight = (y - top).astype(np.float32)
    columns = ((left, 1 - right_weight), (left + 1, right_weight))
    rows = ((top, 1 - bottom_weight), (top + 1, bottom_weight))
    border = cv2.BORDER_REPLICATE if outside == "edge" else cv2.BORDER_CONSTANT
    # the four neighbours of every position
    total = np.zeros((size, size, 3), np.float32)
    for column, x_weight in columns:
        map_x = column.astype(np.float32)
        for row, y_weight in rows:
            map_y = row.astype(np.float32)
            corner = cv2.remap(
                image, map_x, map_y, cv2.INTER_NEAREST, borderMode=border
            )
            weight = x_weight * y_weight
            total += corner * weight[..., None]
    return np.rint(total).astype(np.uint8)


def _blend(
    image: Shaped[np.ndarray, "h w 3"],
    position: Float[np.ndarray, " n"],
    outside: Outside,
    axis: int,
) -> Float32[np.ndarray, "..."]:
    """Interpolate rows (or columns) of `image` linearly."""
    first = np.floor(position).astype(int)
    weight = (position - first).astype(np.float32)
    total = np.zeros((), np.float32)
    for line, share in ((first, 1 - weight), (first + 1, weight)):
        nearest = line.clip(0, image.shape[axis] - 1)
        lines = image.take(nearest, axis)
        shares = share
        if outside == "black":
            shares = np.where(line == nearest, share, np.float32(0))
        total = total + lines * np.expand_dims(shares, (1 - axis, 2))
    return total
