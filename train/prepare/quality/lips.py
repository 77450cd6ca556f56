"""Lips of a clip's pictures, read by the face mesh."""

from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from jaxportrait.media.crop import FaceRectangle, crop_face, transform_points
from jaxportrait.media.faces import DetectorUnavailableError, open_detector
from jaxportrait.media.faces.mesh import MeshDetector
from jaxportrait.media.faces.mesh_points import Points
from jaxportrait.ops.curves import interpolate_rows

LipSource = Literal["auto", "mesh", "motion"]

EYE_CORNERS = (33, 263)
"""Outer corners of both eyes in the face mesh; their distance is the unit."""
DISTANCES = ((13, 14), (61, 291), (0, 17))
"""Points of the face mesh whose distances describe lips: opening, width, and outer
height."""
LIP_RATE = 25
"""Readings a second."""
LEAST_STEP = 1 / 31
"""Seconds between two readings; videos of 60 frames a second need no more."""
SEARCH_SIDE = 256
"""Pixels a side of the crop in which the face is sought."""


def open_mesh(source: LipSource, models: Path | None = None) -> MeshDetector | None:
    """Return the face mesh; None where lips are read from motion.

    Args:
      source: `auto` reads motion where the mesh is not available.
      models: folder of the detector's files.

    Raises:
      DetectorUnavailableError: the mesh is asked for, and not available.
    """
    if source == "motion":
        return None
    try:
        return cast(MeshDetector, open_detector("mesh", models).find)
    except DetectorUnavailableError:
        if source == "mesh":
            raise
        return None


class LipReader:
    """Lips of pictures as they pass; without the mesh, there are none.

    Args:
      mesh: the face mesh, or None.
    """

    def __init__(self, mesh: MeshDetector | None):
        self._mesh = mesh
        self._last: Points | None = None
        self._times: list[float] = []
        self._values: list[Float64[np.ndarray, 3]] = []

    def begin_shot(self) -> None:
        """Forget where the face was: it is sought in the next picture."""
        self._last = None

    def read(
        self,
        seconds: float,
        picture: UInt8[np.ndarray, "h w 3"],
        rectangle: FaceRectangle,
    ) -> None:
        """Read the lips of the face in a rectangle of a picture."""
        if self._mesh is None:
            return
        if self._times and 0 < seconds - self._times[-1] < LEAST_STEP:
            return
        points = None
        # no search where the last points still lie on this face
        if self._last is not None and _is_inside(self._last, rectangle):
            points = self._mesh.follow(picture, self._last)
        if points is None:
            points = _find(self._mesh, picture, rectangle)
        self._last = points
        if points is not None:
            self._times.append(seconds)
            self._values.append(lip_distances(points))

    def curves(
        self, at: Float64[np.ndarray, " n"]
    ) -> Float32[np.ndarray, "n 3"] | None:
        """Return the readings at times in seconds; None where there are too few."""
        if len(self._times) < 2:
            return None
        curves = interpolate_rows(at, self._times, np.array(self._values))
        return curves.astype(np.float32)


def _is_inside(points: Points, rectangle: FaceRectangle) -> bool:
    """Return whether the middle of a face lies in a rectangle."""
    gap = np.abs(points.mean(axis=0) - np.array(rectangle.center))
    return bool((gap < rectangle.size / 2).all())


def _find(
    mesh: MeshDetector, picture: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle
) -> Points | None:
    """Return the mesh of the largest face in a rectangle of a picture, if any."""
    crop = crop_face(picture, rectangle, SEARCH_SIDE)
    faces = mesh(crop.image)
    if not faces:
        return None
    points = max(faces, key=lambda face: face.area).landmarks
    assert points is not None
    return transform_points(points, crop.crop_to_image)


def lip_distances(points: Float[np.ndarray, "468 2"]) -> Float64[np.ndarray, "3"]:
    """Return opening, width and outer height of lips, in distances of the eyes."""
    first, second = points[list(EYE_CORNERS)]
    unit = np.linalg.norm(first - second)
    # 468 2 -> 3 2 2: distance, its end, x and y
    pairs = points[np.array(DISTANCES)]
    lengths = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
    return lengths / max(float(unit), 1e-6)
