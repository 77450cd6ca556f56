"""Points of a face: where they are known from, and where they lie in a crop."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, UInt8

from jaxportrait.media.crop import (
    CROP_SIZE,
    FaceRectangle,
    image_to_crop,
    resize_matrix,
    transform_points,
)
from jaxportrait.media.faces import Detector, Face

MARKING_DETECTORS = ("insightface", "mesh", "yunet")
"""Detectors whose faces have landmarks."""


def find_landmarks(
    image: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle, detector: Detector
) -> Float[np.ndarray, "l 2"] | None:
    """Return the detector's points of the face nearest to the crop's centre, in pixels;
    None if there is no face or the detector marks none."""
    if detector.name not in MARKING_DETECTORS:
        return None

    # other faces may be in the background
    def distance(face: Face) -> float:
        return float(np.hypot(*np.subtract(face.hull.center, rectangle.center)))

    faces = detector.find(image)
    inside = [face for face in faces if distance(face) < rectangle.size / 2]
    if not inside:
        return None
    face = min(inside, key=distance)
    return face.landmarks if face.fine_landmarks is None else face.fine_landmarks


def normalise(
    points: Float[np.ndarray, "l 2"], rectangle: FaceRectangle, size: int
) -> Float32[np.ndarray, "l 2"]:
    """Turn pixels of the picture into places in a crop of `size` pixels.

    -1 and 1 are the centres of the crop's first and last pixel.
    """
    # picture -> crop of 512 pixels -> network's size
    resize = resize_matrix((CROP_SIZE, CROP_SIZE), (size, size))
    matrix = resize @ image_to_crop(rectangle)
    pixels = transform_points(points, matrix)
    return np.asarray(pixels * 2 / (size - 1) - 1, np.float32)


def stack_landmarks(
    points: Sequence[Float32[np.ndarray, "l 2"] | None],
) -> Float32[np.ndarray, "frames l 2"]:
    """Stack the points of a clip's frames: NaN in frames without any, and no points at
    all if no frame has any."""
    counts = [len(frame) for frame in points if frame is not None]
    unknown = np.full((max(counts, default=0), 2), np.nan, np.float32)
    return np.stack([unknown if frame is None else frame for frame in points])
