"""Cut a face out of a picture: geometry in pixels, on the host.

Points are (x, y); whole numbers are the CENTRES of pixels, so a picture reaches from
-0.5 to its side less 0.5, and matrices act on (x, y, 1). Angles are radians, clockwise
as seen, since y points down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from jaxportrait.types import FaceCrop

Matrix = Float[np.ndarray, "3 3"]

CROP_SIZE = 512
NETWORK_SIZE = 256

# Side of a crop in sides of the face's hull, and how far it is moved down, in sides of
# the crop.
SOURCE_SCALE, SOURCE_SHIFT = 2.3, -0.125
CLIP_SCALE, CLIP_SHIFT = 2.2, -0.1

# How many landmarks -> which of them surround the left eye (of the picture), the right
# eye, the mouth.
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
    """A square around a face, turned as the face is.

    Attributes:
      center: (x, y) in pixels.
      size: side in pixels.
      angle: from the picture's x axis to the face's, in radians, clockwise as seen.
    """

    center: tuple[float, float]
    size: float
    angle: float = 0.0


def landmark_hull(points: Float[np.ndarray, "k 2"]) -> FaceRectangle:
    """The smallest square along the face's own axes that holds all its landmarks.

    Args:
      points: 203, 106, 101, 68, 9 or 5 landmarks in pixels.

    Raises:
      ValueError: another number of landmarks.

    Source: LivePortrait, `src/utils/crop.py`: the face's y axis runs from between the
    eyes to the mouth.
    """
    points = np.asarray(points, np.float64)
    axes = _face_axes(points)
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    x, y = (low + high) / 2 @ axes
    return FaceRectangle(
        (float(x), float(y)),
        float((high - low).max()),
        float(np.arctan2(axes[0, 1], axes[0, 0])),
    )


def eye_centers(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "2 2"]:
    """Centres of the picture's left and right eye, from landmarks as `landmark_hull`
    takes them."""
    return _parts(points)[:2]


def frame_face(
    hull: FaceRectangle,
    scale: float = SOURCE_SCALE,
    vx: float = 0.0,
    vy: float = SOURCE_SHIFT,
    upright: bool = True,
) -> FaceRectangle:
    """The square to cut out around a face: its hull, grown and moved.

    Args:
      hull: what holds the face, brows to chin.
      scale: side of the result in sides of the hull.
      vx: shift along the face's x axis, in sides of the result.
      vy: shift along the face's y axis, down; negative values hold more forehead.
      upright: the result turns with the face, so that its crop shows the face upright;
        otherwise it keeps the picture's axes.

    Source: LivePortrait: scale 2.3, vy -0.125 for sources.
    """
    size = hull.size * scale
    cos, sin = np.cos(hull.angle), np.sin(hull.angle)
    x = hull.center[0] + (vx * cos - vy * sin) * size
    y = hull.center[1] + (vx * sin + vy * cos) * size
    return FaceRectangle((float(x), float(y)), size, hull.angle if upright else 0.0)


def clip_rectangle(
    hulls: Sequence[FaceRectangle],
    scale: float = CLIP_SCALE,
    vx: float = 0.0,
    vy: float = CLIP_SHIFT,
) -> FaceRectangle:
    """One square for a whole clip, so that the head moves in it: the mean over its
    frames, not turned.

    Args:
      hulls: the face's hull in each frame.
      scale: as for `frame_face`.
      vx: as for `frame_face`.
      vy: as for `frame_face`.

    Raises:
      ValueError: no hulls.

    Source: LivePortrait, `Cropper.crop_driving_video`: scale 2.2, vy -0.1.
    """
    if not hulls:
        raise ValueError("a clip's crop needs the face in at least one frame, got none")
    frames = [frame_face(hull, scale, vx, vy, upright=False) for hull in hulls]
    x, y = np.mean([frame.center for frame in frames], axis=0)
    return FaceRectangle(
        (float(x), float(y)), float(np.mean([frame.size for frame in frames]))
    )


def image_to_crop(rectangle: FaceRectangle, size: int = CROP_SIZE) -> Matrix:
    """The matrix from the picture's pixels to those of a crop of `size` pixels a side.

    Source: LivePortrait: the rectangle's centre falls on pixel (size / 2, size / 2).
    """
    scale = size / rectangle.size
    cos, sin = scale * np.cos(rectangle.angle), scale * np.sin(rectangle.angle)
    x, y = rectangle.center
    return np.array(
        [
            [cos, sin, size / 2 - cos * x - sin * y],
            [-sin, cos, size / 2 + sin * x - cos * y],
            [0, 0, 1],
        ]
    )


def crop_face(
    image: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle, size: int = CROP_SIZE
) -> FaceCrop:
    """Cut a square out of a picture, bilinearly; what lies outside the picture is
    black.

    Args:
      image: RGB.
      rectangle: what to cut out, in the picture's pixels.
      size: side of the crop.
    """
    crop_to_image = np.linalg.inv(image_to_crop(rectangle, size))
    return FaceCrop(
        image=_sample_bilinear(image, crop_to_image, size), crop_to_image=crop_to_image
    )


def network_input(
    crop: FaceCrop, size: int = NETWORK_SIZE
) -> UInt8[np.ndarray, "size size 3"]:
    """A crop at the size the networks read, reduced by area as LivePortrait does."""
    return cv2.resize(crop.image, (size, size), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )


def resize_matrix(source: tuple[int, ...], target: tuple[int, ...]) -> Matrix:
    """The matrix from the pixels of a picture to those of the same picture resized.

    Their corners coincide, and corners lie half a pixel outside the first and last
    centres: x' = (x + 0.5) s - 0.5.

    Args:
      source: shape of the picture, (h, w, ...).
      target: shape of the resized picture.
    """
    y_scale, x_scale = target[0] / source[0], target[1] / source[1]
    return np.array(
        [[x_scale, 0, (x_scale - 1) / 2], [0, y_scale, (y_scale - 1) / 2], [0, 0, 1]]
    )


def to_full_resolution(
    crop: FaceCrop, reduced: tuple[int, ...], full: tuple[int, ...]
) -> FaceCrop:
    """Say where a crop of a reduced picture lies in the full one, so that it is pasted
    there.

    Args:
      crop: cut out of the reduced picture.
      reduced: shape of the reduced picture, (h, w, ...).
      full: shape of the full picture.
    """
    return replace(
        crop, crop_to_image=resize_matrix(reduced, full) @ crop.crop_to_image
    )


def _parts(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "3 2"]:
    """Centres of the left eye, the right eye and the mouth."""
    if len(points) not in EYES_AND_MOUTH:
        raise ValueError(
            f"landmarks must number one of {sorted(EYES_AND_MOUTH)}, got {len(points)}"
        )
    return np.stack(
        [points[list(part)].mean(axis=0) for part in EYES_AND_MOUTH[len(points)]]
    )


def _face_axes(points: Float[np.ndarray, "k 2"]) -> Float[np.ndarray, "2 2"]:
    """Unit vectors across and down the face; the picture's own where eyes and mouth
    coincide."""
    left, right, mouth = _parts(points)
    down = mouth - (left + right) / 2
    length = np.linalg.norm(down)
    x, y = down / length if length > 1e-3 else (0.0, 1.0)
    return np.array([[y, -x], [x, y]])


def _sample_bilinear(
    image: UInt8[np.ndarray, "h w 3"], crop_to_image: Matrix, size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Exact bilinear sampling, black outside: OpenCV 4's own rounds positions to 1/32
    px, up to 4 levels at edges."""
    step = np.arange(size)
    (xx, xy, x0), (yx, yy, y0) = crop_to_image[:2]
    if xy == yx == 0:
        return np.rint(
            _blend(_blend(image, yy * step + y0, axis=0), xx * step + x0, axis=1)
        ).astype(np.uint8)
    x, y = xx * step + (xy * step + x0)[:, None], yx * step + (yy * step + y0)[:, None]
    left, top = np.floor(x), np.floor(y)
    right_weight, bottom_weight = (
        (x - left).astype(np.float32),
        (y - top).astype(np.float32),
    )
    total = np.zeros((size, size, 3), np.float32)
    for column, x_weight in ((left, 1 - right_weight), (left + 1, right_weight)):
        for row, y_weight in ((top, 1 - bottom_weight), (top + 1, bottom_weight)):
            corner = cv2.remap(
                image,
                column.astype(np.float32),
                row.astype(np.float32),
                cv2.INTER_NEAREST,
            )
            total += corner * (x_weight * y_weight)[..., None]
    return np.rint(total).astype(np.uint8)


def _blend(
    image: Shaped[np.ndarray, "h w 3"], position: Float[np.ndarray, " n"], axis: int
) -> Float32[np.ndarray, "..."]:
    """Rows (or columns) between those of `image`, linearly, black outside: for crops
    that are not turned, 6x faster."""
    first = np.floor(position).astype(int)
    weight, total = (position - first).astype(np.float32), np.zeros((), np.float32)
    for line, share in ((first, 1 - weight), (first + 1, weight)):
        inside = (line >= 0) & (line < image.shape[axis])
        lines = image.take(np.where(inside, line, 0), axis)
        total = total + lines * np.expand_dims(
            np.where(inside, share, np.float32(0)), (1 - axis, 2)
        )
    return total
