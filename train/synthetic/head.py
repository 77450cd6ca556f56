"""The surface of a head: rings around a vertical axis, with a face raised on it.

Jaw, lips and cheeks deform it. See `camera` for the coordinates.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from train.synthetic.curves import Field, bell, interpolate, smoothstep
from train.synthetic.surface import Points

MOUTH_Y = 0.615
"""Height of the line between the lips at rest."""
EYE_X = 0.292
"""Distance of an eye from the middle."""
HINGE = (0.25, -0.12)
"""y and z of the jaw's joint."""
JAW_DROP = 0.17
"""Distance that the chin moves down for an open jaw."""

ROWS, COLUMNS = 90, 76
"""Size of the grid."""
# Share of the rows from the crown -> height. Rows are close together on the face and at
# both ends, where the head closes.
ROW_HEIGHTS = [
    (0, -1.0),
    (0.03, -0.985),
    (0.08, -0.9),
    (0.2, -0.5),
    (0.3, -0.24),
    (0.92, 0.9),
    (0.97, 0.98),
    (1, 1.0),
]
# Height -> half the width of the head.
WIDTH = [
    (-1, 0.74),
    (-0.6, 0.735),
    (-0.3, 0.69),
    (0, 0.665),
    (0.25, 0.655),
    (0.45, 0.63),
    (0.6, 0.60),
    (0.75, 0.545),
    (0.88, 0.47),
    (1, 0.40),
]
# Height -> z of forehead, lips and chin.
FRONT = [
    (-1, 0.78),
    (-0.6, 0.84),
    (-0.3, 0.775),
    (0, 0.70),
    (0.3, 0.70),
    (0.6, 0.70),
    (0.8, 0.70),
    (1, 0.66),
]
# Height -> z of the widest part.
MIDDLE = [
    (-1, -0.1),
    (-0.3, -0.06),
    (0.2, 0.0),
    (0.5, 0.08),
    (0.75, 0.22),
    (0.9, 0.36),
    (1, 0.45),
]
# Height -> depth of the back.
BACK = [
    (-1, 0.85),
    (-0.3, 0.93),
    (0.1, 0.88),
    (0.4, 0.72),
    (0.7, 0.45),
    (1, 0.2),
]


@dataclass(frozen=True)
class HeadShape:
    """Differences of a head from the average.

    Attributes:
      width, jaw, chin: factors of the widths of the whole, the jaw and the chin.
      cheeks: fullness; below 0 hollow, 1 full.
      nose_width, nose_height: factors of the nose's width and of its height above the
        face.
      nose_length, nose_hook: added to its length and to the height of its ridge, in
        units.
      brow_ridge: factor of the ridge under the brows.
    """

    width: float = 1.0
    jaw: float = 1.0
    chin: float = 1.0
    cheeks: float = 0.0
    nose_width: float = 1.0
    nose_height: float = 1.0
    nose_length: float = 0.0
    nose_hook: float = 0.0
    brow_ridge: float = 1.0

    @property
    def nose_base(self) -> float:
        """Height of the nose's lower end."""
        return 0.44 + self.nose_length


@dataclass(frozen=True)
class Deformation:
    """Effects of speech and expression on the surface, from 0 at rest to about 1.

    Attributes:
      jaw: opening of the jaw.
      rounding: rounding of the lips, which then come forward.
      smile: strength of a smile, which raises the cheeks.
    """

    jaw: float = 0.0
    rounding: float = 0.0
    smile: float = 0.0


@dataclass(frozen=True)
class HeadSurface:
    """The grid of a person's head.

    Attributes:
      shape: the person's own shape.
    """

    shape: HeadShape

    @cached_property
    def angles(self) -> Float[np.ndarray, " c"]:
        """Angles of the grid's columns, 0 at the face.

        They run from the back over the left of the picture to the face, and over its
        right to the back. The cube makes columns closer together on the face.
        """
        t = np.linspace(-1, 1, COLUMNS)
        side = np.abs(t)
        return np.pi * np.sign(t) * (0.42 * side + 0.58 * side**3)

    @cached_property
    def heights(self) -> Float[np.ndarray, " r"]:
        """Heights of the grid's rows at rest, from the crown to the chin."""
        return interpolate(np.linspace(0, 1, ROWS), ROW_HEIGHTS)

    @property
    def theta(self) -> Float[np.ndarray, "r c"]:
        """Angle of every point."""
        return np.broadcast_to(self.angles, (ROWS, COLUMNS))

    @cached_property
    def bridge_z(self) -> float:
        """z of the nose between the eyes."""
        eye_row = np.abs(self.heights).argmin()
        return float(self.rest[eye_row, COLUMNS // 2, 2])

    @cached_property
    def rest(self) -> Points:
        """Points at rest."""
        y, theta = np.meshgrid(self.heights, self.angles, indexing="ij")
        x, z = skull(self.shape, y, theta)
        # The relief fades towards the ears.
        front = np.cos(theta).clip(0) ** 0.5
        relief = face_relief(self.shape, x, y) * front
        return np.stack([x, y, z + relief], axis=-1)

    def deform(self, deformation: Deformation) -> Points:
        """Return the points of a moving face.

        The jaw turns about its joint; lips and cheeks come forward.
        """
        x, y, z = np.moveaxis(self.rest, -1, 0)
        is_front = z > 0
        lips = bell(x, 0, 0.2) * bell(y, MOUTH_Y + 0.03, 0.085) * is_front
        cheeks = bell(np.abs(x), 0.34, 0.11) * bell(y, 0.33, 0.1) * is_front
        z = z + 0.06 * deformation.rounding * lips + 0.045 * deformation.smile * cheeks
        y = y - 0.03 * deformation.smile * cheeks
        # A turn by a small angle: points drop by their distance in front of the joint,
        # and go back by their distance below it.
        hinge_y, hinge_z = HINGE
        forward = np.clip((z - hinge_z) / 0.75, 0, 1.1)
        jaw = smoothstep(MOUTH_Y - 0.06, MOUTH_Y + 0.2, y)
        drop = jaw * JAW_DROP * deformation.jaw
        back = 0.35 * drop * np.clip(y - hinge_y, 0, 1)
        return np.stack([x, y + drop * forward, z - back], axis=-1)


def skull(shape: HeadShape, y: Field, theta: Field) -> tuple[Field, Field]:
    """Return x and z of a smooth head without features.

    Args:
      y: heights.
      theta: angles, 0 at the face.
    """
    # The rings shrink to a point at the crown and at the chin.
    crown = 1 - np.abs(y) ** 2.3
    bottom = 1 - np.abs(y) ** 4.2
    closing = np.where(y < 0, crown, bottom).clip(0) ** 0.5
    lower = smoothstep(0.2, 0.7, y)
    tip = smoothstep(0.65, 0.95, y)
    jaw = 1 + lower * (shape.jaw - 1)
    chin = 1 + tip * (shape.chin - 1)
    width = interpolate(y, WIDTH) * shape.width * jaw * chin * closing
    # The front half of a ring is flatter than the back.
    middle = interpolate(y, MIDDLE)
    front = (interpolate(y, FRONT) - middle) * closing
    back = (interpolate(y, BACK) + middle * 0.3) * closing
    cosine = np.cos(theta)
    depth = np.where(cosine > 0, front * np.abs(cosine) ** 0.8, -back * np.abs(cosine))
    return width * np.sin(theta), middle + depth


def face_relief(shape: HeadShape, x: Field, y: Field) -> Field:
    """Return the height of the features above the skull; hollows are negative."""
    side = np.abs(x)
    # Around the eyes.
    brows = 0.035 * shape.brow_ridge * bell(side, 0.2, 0.16) * bell(y, -0.19, 0.07)
    sockets = -0.085 * bell(side, EYE_X - 0.03, 0.12) * bell(y, 0.0, 0.085)
    eyeballs = 0.04 * bell(side, EYE_X, 0.085) * bell(y, 0.0, 0.07)
    # Cheeks, full or hollow.
    fullness = 0.035 + 0.04 * shape.cheeks
    cheekbones = fullness * bell(side, 0.38, 0.13) * bell(y, 0.27, 0.13)
    hollowness = -0.02 + 0.05 * shape.cheeks
    hollows = hollowness * bell(side, 0.4, 0.1) * bell(y, 0.6, 0.13)
    # Around the mouth: lips above the groove over the chin, and the folds beside them.
    mouth = 0.05 * bell(x, 0, 0.2) * bell(y, MOUTH_Y, 0.1)
    groove = 0.03 * bell(x, 0, 0.16) * bell(y, 0.765, 0.035)
    lips = mouth - groove
    chin = 0.055 * bell(x, 0, 0.13) * bell(y, 0.89, 0.08)
    folds = -0.012 * bell(side, 0.2 + 0.16 * (y - 0.4), 0.035) * bell(y, 0.5, 0.09)
    upper = brows + sockets + eyeballs + cheekbones
    return upper + hollows + lips + chin + folds + nose_relief(shape, x, y)


def nose_relief(shape: HeadShape, x: Field, y: Field) -> Field:
    """Return the height of bridge, tip and wings of the nose."""
    base = shape.nose_base
    # t runs along the nose: 0 at its root, 1 at its base.
    t = (y + 0.08) / (base + 0.08)
    hook = shape.nose_hook
    ridge = interpolate(
        t,
        [
            (-0.25, 0.0),
            (0.0, 0.05),
            (0.3, 0.085 + hook),
            (0.65, 0.15 + hook),
            (0.86, 0.215),
            (0.93, 0.205),
            (1.0, 0.10),
            (1.1, 0.01),
            (1.2, 0.0),
        ],
    )
    half_width = interpolate(
        t,
        [
            (-0.2, 0.075),
            (0.3, 0.055),
            (0.65, 0.068),
            (0.9, 0.088),
            (1.1, 0.08),
        ],
    )
    width = half_width * shape.nose_width
    # An exponent above 2 gives a flatter ridge than a gaussian's.
    profile = np.exp(-0.5 * np.abs(x / width) ** 2.4)
    wing_x = 0.098 * shape.nose_width
    wings = 0.085 * bell(np.abs(x), wing_x, 0.034) * bell(y, base - 0.055, 0.04)
    return shape.nose_height * (ridge * profile) + wings
