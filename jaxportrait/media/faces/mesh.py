"""MediaPipe's face mesh: 468 points of every face, and what they say of it.

Faces are found by BlazeFace. The mesh network reads a crop turned upright, twice: the
second crop is framed by the points that the first one gave.

Source: Kartynnik et al., "Real-time facial surface geometry from monocular video on
mobile GPUs", 2019; MediaPipe (Apache-2.0). The model files are the user's.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import FaceRectangle, crop_face
from jaxportrait.media.faces.blazeface import BlazeFace, Detections, join
from jaxportrait.media.faces.dnn import ModelFile, open_network
from jaxportrait.media.faces.face import Face

MESH_FILE = ModelFile("face_landmark.tflite", "the face mesh")
MESH_SIDE = 192
MESH_SCALE = 1.5  # the crop's side in sides of the face's box, as MediaPipe has it
PRESENCE_THRESHOLD = 0.5

# A face below this share of the picture's longer side is also sought in tiles.
SMALL_FACE = 0.12
TILE_SIDE = 450
TILE_OVERLAP = 0.4

# MediaPipe's numbers of the 468 points; "left" is the picture's left.
LEFT_EYE = (33, 133, 159, 145)
RIGHT_EYE = (362, 263, 386, 374)
MOUTH = (61, 291)
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
CONTOUR = (
    *(127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356),
)
"""The jaw from ear to ear: the outline that LivePortrait's 106 points have."""
EYE_CORNERS = (33, 263)

Points = Float[np.ndarray, "468 2"]


class MeshDetector:
    """Find faces with BlazeFace and mark them with the face mesh.

    Not for several threads at once: OpenCV's networks keep state.

    Args:
      short_range, full_range: BlazeFace's two models.
      mesh: the face mesh's model.

    Raises:
      DetectorUnavailableError: a file cannot be read.
    """

    def __init__(self, short_range: Path, full_range: Path, mesh: Path):
        self._short_range = BlazeFace.short_range(short_range)
        self._full_range = BlazeFace.full_range(full_range)
        self._mesh = open_network(mesh)
        self._outputs = self._mesh.getUnconnectedOutLayersNames()

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Return the faces of an RGB picture; the score is the mesh's presence."""
        candidates = self._search(image)
        faces = []
        for box, points in zip(candidates.boxes, candidates.points, strict=True):
            face = self._mark(image, box, points)
            if face is not None:
                faces.append(face)
        return without_doubles(faces)

    def _search(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        whole = join([self._short_range(image), self._full_range(image)])
        longer = max(image.shape[:2])
        widths = whole.boxes[:, 2] - whole.boxes[:, 0]
        if len(whole) and widths.max() > SMALL_FACE * longer:
            return whole
        # No large face: small ones are found in overlapping tiles.
        parts = [whole]
        for left, top in tile_corners(image.shape[1], image.shape[0]):
            tile = image[top : top + TILE_SIDE, left : left + TILE_SIDE]
            parts.append(self._full_range(tile).shift(left, top))
        return join(parts)

    def _mark(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        box: Float[np.ndarray, "4"],
        points: Float[np.ndarray, "6 2"],
    ) -> Face | None:
        """Return the face with its mesh; None where the mesh sees no face."""
        first = rectangle_of_box(box, points[0], points[1])
        mesh, presence = self._read(image, first)
        if presence < PRESENCE_THRESHOLD:
            return None
        mesh, presence = self._read(image, rectangle_of_mesh(mesh))
        if presence < PRESENCE_THRESHOLD:
            return None
        left, top = mesh.min(axis=0).tolist()
        right, bottom = mesh.max(axis=0).tolist()
        return Face(
            (left, top, right, bottom),
            presence,
            mesh_hull(mesh),
            eyes=eye_centers(mesh),
            landmarks=mesh,
        )

    def _read(
        self, image: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle
    ) -> tuple[Points, float]:
        """Return the mesh of the face in a rectangle, in the picture's pixels, and its
        presence from 0 to 1."""
        crop = crop_face(image, rectangle, MESH_SIDE)
        self._mesh.setInput(cv2.dnn.blobFromImage(crop.image, 1 / 255))
        outputs = self._mesh.forward(self._outputs)
        logit, values = sorted(outputs, key=lambda output: output.size)
        presence = 1 / (1 + np.exp(-float(logit.reshape(()))))
        # Three values a point: x and y in the crop's pixels, and a depth.
        in_crop = values.reshape(-1, 3)[:, :2].astype(np.float64)
        turn = crop.crop_to_image[:2, :2]
        shift = crop.crop_to_image[:2, 2]
        return in_crop @ turn.T + shift, presence


def rectangle_of_box(
    box: Float[np.ndarray, "4"],
    left_eye: Float[np.ndarray, "2"],
    right_eye: Float[np.ndarray, "2"],
) -> FaceRectangle:
    """Return the square that the mesh reads around a box, turned by the eyes."""
    x, y = (box[:2] + box[2:]) / 2
    sides = box[2:] - box[:2]
    angle = slope(left_eye, right_eye)
    center = (float(x), float(y))
    # The mesh expects a margin around the longer side.
    return FaceRectangle(center, MESH_SCALE * float(sides.max()), angle)


def rectangle_of_mesh(mesh: Points) -> FaceRectangle:
    """Return the square that the mesh reads around its own points."""
    angle = slope(mesh[EYE_CORNERS[0]], mesh[EYE_CORNERS[1]])
    square = square_along(mesh, angle)
    return FaceRectangle(square.center, MESH_SCALE * square.size, angle)


def mesh_hull(mesh: Points) -> FaceRectangle:
    """Return the square that LivePortrait frames: brows to chin, ear to ear.

    All 468 points would make it 15 % too large, because they reach into the forehead.
    """
    eyes = eye_centers(mesh)
    mouth = mesh[list(MOUTH)].mean(axis=0)
    down = mouth - eyes.mean(axis=0)
    angle = float(np.arctan2(-down[0], down[1]))
    outline = mesh[list(CONTOUR + BROWS + LEFT_EYE + RIGHT_EYE + MOUTH)]
    return square_along(outline, angle)


def square_along(points: Float[np.ndarray, "k 2"], angle: float) -> FaceRectangle:
    """Return the smallest square at this angle that holds all points."""
    cos = np.cos(angle)
    sin = np.sin(angle)
    # Rows: across and down the face.
    axes = np.array([[cos, sin], [-sin, cos]])
    along = points @ axes.T
    low = along.min(axis=0)
    high = along.max(axis=0)
    # The centre goes back to the picture's axes.
    x, y = (low + high) / 2 @ axes
    side = float((high - low).max())
    return FaceRectangle((float(x), float(y)), side, angle)


def eye_centers(mesh: Points) -> Float[np.ndarray, "2 2"]:
    """Return the centres of the picture's left and right eye."""
    left = mesh[list(LEFT_EYE)].mean(axis=0)
    right = mesh[list(RIGHT_EYE)].mean(axis=0)
    return np.stack([left, right])


def slope(left: Float[np.ndarray, "2"], right: Float[np.ndarray, "2"]) -> float:
    """Return the angle from the picture's x axis to the line between two points."""
    x, y = right - left
    return float(np.arctan2(y, x))


def tile_corners(width: int, height: int) -> list[tuple[int, int]]:
    """Return the upper left corners of overlapping tiles that cover a picture."""
    lefts = tile_starts(width)
    return [(left, top) for top in tile_starts(height) for left in lefts]


def tile_starts(length: int) -> list[int]:
    """Return where tiles start along one side of a picture."""
    last = max(0, length - TILE_SIDE)
    step = TILE_SIDE * (1 - TILE_OVERLAP)
    count = 1 + int(np.ceil(last / step))
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
