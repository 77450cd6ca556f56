"""MediaPipe's face mesh: 468 points of every face, and what they say of it.

Faces are found by BlazeFace. The mesh network reads a crop turned upright, twice: the
second crop is framed by the points that the first one gave.

Source: Kartynnik et al., "Real-time facial surface geometry from monocular video on
mobile GPUs", 2019; MediaPipe (Apache-2.0). The model files are the user's.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import FaceRectangle, crop_face, transform_points
from jaxportrait.media.faces.blazeface import BlazeFace, Detections, join
from jaxportrait.media.faces.dnn import ModelFile, open_network
from jaxportrait.media.faces.eyeballs import add_irises
from jaxportrait.media.faces.face import Face
from jaxportrait.media.faces.iris import IrisReader
from jaxportrait.media.faces.mesh_points import (
    Points,
    eye_centers,
    mesh_hull,
    rectangle_of_box,
    rectangle_of_mesh,
)

MESH_FILE = ModelFile("face_landmark.tflite", "the face mesh")
MESH_SIDE = 192
MESH_OUTPUTS = (1, 468 * 3)
"""Values of the outputs: log-odds of a face; x, y and depth of its points."""
LEAST_LOGIT = 0.0
"""Log-odds of a face below which there is none: a presence of one half."""
CERTAIN_LOGIT = 16.0
"""Log-odds from which a face is human. In 26 public pictures, people, paintings and a
statue have 21 and more, or 16.6 when they are blurred; dogs and a monkey up to 14.3."""

# A face below this share of the picture's longer side is also sought in tiles.
SMALL_FACE = 0.12
TILE_SIDE = 450
TILE_OVERLAP = 0.4


class MeshDetector:
    """Find faces with BlazeFace and mark them with the face mesh.

    Not for several threads at once: OpenCV's networks keep state.

    Args:
      short_range, full_range: BlazeFace's two models.
      mesh: the face mesh's model.
      iris: the iris model, for lids that follow a blink and for the gaze.

    Raises:
      DetectorUnavailableError: a file cannot be read.
    """

    tells_openness = True

    def __init__(
        self, short_range: Path, full_range: Path, mesh: Path, iris: Path | None = None
    ):
        self._short_range = BlazeFace.short_range(short_range)
        self._full_range = BlazeFace.full_range(full_range)
        self._mesh = open_network(mesh, MESH_SIDE, MESH_OUTPUTS)
        self._outputs = self._mesh.getUnconnectedOutLayersNames()
        self._iris = None if iris is None else IrisReader(iris)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Return the faces of an RGB picture; the score is the mesh's presence,
        from 0 to 1."""
        whole = join([self._short_range(image), self._full_range(image)])
        faces = self._mark_all(image, whole)
        small = SMALL_FACE * max(image.shape[:2])
        if any(face.hull.size > small for face in faces):
            return faces
        # No large face: small ones are found in overlapping tiles.
        return self._mark_all(image, join([whole, *self._search_tiles(image)]))

    def follow(self, image: UInt8[np.ndarray, "h w 3"], mesh: Points) -> Points | None:
        """Return the mesh of a face whose mesh in the picture before is known; None
        where it is lost.

        This costs a fifth of a search for faces.
        """
        points, logit = self._read(image, rectangle_of_mesh(mesh))
        return None if logit < LEAST_LOGIT else points

    @property
    def sees_irises(self) -> bool:
        """True with the iris model."""
        return self._iris is not None

    def read_irises(
        self, image: UInt8[np.ndarray, "h w 3"]
    ) -> Float[np.ndarray, "478 3"] | None:
        """Return the mesh of the largest face with its irises and with depths, in pixels;
        None where there is no face, or without the iris model."""
        faces = self(image)
        if not faces:
            return None
        face = max(faces, key=lambda face: face.area)
        if face.landmarks is None or face.gaze is None:
            return None
        # Lids and irises are flat; the mesh knows how deep they lie.
        solid, _ = self._read_solid(image, rectangle_of_mesh(face.landmarks))
        return add_irises(face.landmarks, solid[:, 2], face.gaze)

    def _search_tiles(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detections]:
        parts = []
        for left, top in tile_corners(image.shape[1], image.shape[0]):
            tile = image[top : top + TILE_SIDE, left : left + TILE_SIDE]
            parts.append(self._full_range(tile).shift(left, top))
        return parts

    def _mark_all(
        self, image: UInt8[np.ndarray, "h w 3"], candidates: Detections
    ) -> list[Face]:
        faces = []
        for box, points in zip(candidates.boxes, candidates.points, strict=True):
            face = self._mark(image, box, points)
            if face is not None:
                faces.append(face)
        return without_doubles(faces)

    def _mark(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        box: Float[np.ndarray, "4"],
        points: Float[np.ndarray, "6 2"],
    ) -> Face | None:
        """Return the face with its mesh; None where the mesh sees no face."""
        # The first two points are the eyes, which tell how far it is turned.
        first = rectangle_of_box(box, points[0], points[1])
        mesh, logit = self._read(image, first)
        if logit < LEAST_LOGIT:
            return None
        mesh, logit = self._read(image, rectangle_of_mesh(mesh))
        if logit < LEAST_LOGIT:
            return None
        left, top = mesh.min(axis=0).tolist()
        right, bottom = mesh.max(axis=0).tolist()
        face = Face(
            (left, top, right, bottom),
            float(1 / (1 + np.exp(-logit))),
            mesh_hull(mesh),
            eyes=eye_centers(mesh),
            landmarks=mesh,
            doubt=doubt_of(logit),
        )
        if self._iris is None:
            return face
        # Lids that blink must not move the hull, which is the mesh's.
        refined, gaze = self._iris(image, mesh)
        return replace(face, landmarks=refined, gaze=gaze)

    def _read(
        self, image: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle
    ) -> tuple[Points, float]:
        """Return the mesh of the face in a rectangle, in the picture's pixels, and the
        log-odds that it is a face."""
        solid, logit = self._read_solid(image, rectangle)
        return solid[:, :2], logit

    def _read_solid(
        self, image: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle
    ) -> tuple[Float[np.ndarray, "468 3"], float]:
        """Return the mesh with its depths; see `_read`."""
        crop = crop_face(image, rectangle, MESH_SIDE)
        self._mesh.setInput(cv2.dnn.blobFromImage(crop.image, 1 / 255))
        outputs = self._mesh.forward(self._outputs)
        logit, values = sorted(outputs, key=lambda output: output.size)
        # Three values a point: x and y in the crop's pixels, and a depth.
        in_crop = values.reshape(-1, 3).astype(np.float64)
        points = transform_points(in_crop[:, :2], crop.crop_to_image)
        # Depths are scaled as the crop is, and not turned.
        scale = np.sqrt(abs(np.linalg.det(crop.crop_to_image[:2, :2])))
        solid = np.concatenate([points, scale * in_crop[:, 2:]], axis=1)
        return solid, float(logit.reshape(()))


def doubt_of(logit: float) -> str | None:
    """Return a line for a user where the mesh is not sure of a human face."""
    if logit >= CERTAIN_LOGIT:
        return None
    return (
        "the face is uncertain, and may be no human one "
        f"(log-odds {logit:.1f}, sure from {CERTAIN_LOGIT:g})"
    )


def tile_corners(width: int, height: int) -> list[tuple[int, int]]:
    """Return the upper left corners of overlapping tiles that cover a picture."""
    lefts = tile_starts(width)
    return [(left, top) for top in tile_starts(height) for left in lefts]


def tile_starts(length: int) -> list[int]:
    """Return where tiles start along one side of a picture."""
    last = max(0, length - TILE_SIDE)
    step = TILE_SIDE * (1 - TILE_OVERLAP)
    count = 1 + int(np.ceil(last / step))
    # Spread evenly, so that the last tile ends with the picture.
    starts = np.linspace(0, last, count)
    return starts.round().astype(int).tolist()


def without_doubles(faces: list[Face]) -> list[Face]:
    """Return the faces whose centre lies in no more certain face's hull."""
    unique: list[Face] = []
    for face in sorted(faces, key=lambda face: face.score, reverse=True):
        if not any(overlaps(face, other) for other in unique):
            unique.append(face)
    return unique


def overlaps(face: Face, other: Face) -> bool:
    """Return whether the centre of `face` lies within the other's hull."""
    gap = np.subtract(face.hull.center, other.hull.center)
    return float(np.linalg.norm(gap)) <= other.hull.size / 2
