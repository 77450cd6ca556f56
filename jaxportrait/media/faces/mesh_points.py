"""The 468 points of the face mesh: which of them mean what, and the squares that they
give.

Source: MediaPipe (Apache-2.0), `canonical_face_model`.
"""

import numpy as np
from jaxtyping import Float

from jaxportrait.media.crop import FaceRectangle, square_along

MESH_SCALE = 1.5  # the mesh's crop in sides of the face's box, as MediaPipe has it

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
LEFT_CORNERS = (33, 133)
RIGHT_CORNERS = (362, 263)
"""Corners of each eye, from left to right."""

Points = Float[np.ndarray, "468 2"]


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
    # From outer corner to outer corner, the longest line of both eyes.
    angle = slope(mesh[LEFT_CORNERS[0]], mesh[RIGHT_CORNERS[1]])
    square = square_at(mesh, angle)
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
    return square_at(outline, angle)


def square_at(points: Float[np.ndarray, "k 2"], angle: float) -> FaceRectangle:
    """Return the smallest square at this angle that holds all points."""
    cos = np.cos(angle)
    sin = np.sin(angle)
    # Rows: across and down the face.
    axes = np.array([[cos, sin], [-sin, cos]])
    return square_along(points, axes, angle)


def eye_centers(mesh: Points) -> Float[np.ndarray, "2 2"]:
    """Return the centres of the picture's left and right eye."""
    left = mesh[list(LEFT_EYE)].mean(axis=0)
    right = mesh[list(RIGHT_EYE)].mean(axis=0)
    return np.stack([left, right])


def slope(left: Float[np.ndarray, "2"], right: Float[np.ndarray, "2"]) -> float:
    """Return the angle from the picture's x axis to the line between two points."""
    x, y = right - left
    return float(np.arctan2(y, x))
