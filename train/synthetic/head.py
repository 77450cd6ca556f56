"""The surface of a head: rings around a vertical axis, with a face raised on it, that
jaw and lips deform."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from train.synthetic.curves import bell, interpolate, smoothstep

MOUTH_Y = 0.615
EYE_X = 0.292
HINGE = (0.25, -0.12)  # y and z of the jaw's joint


@dataclass(frozen=True)
class HeadShape:
    """How a head differs from the average.

    Attributes:
      width, jaw, chin: factors of the widths of the whole, of the jaw and of the chin.
      cheeks: their fullness, from below 0, hollow, to 1.
      nose_width, nose_height: factors of how wide the nose is, and how far it stands
        out.
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
    """What speech and expression do to the surface, all from 0 at rest to about 1.

    Attributes:
      jaw: how far it is opened.
      rounding: of the lips, which come forward.
      smile: which raises the cheeks.
    """

    jaw: float = 0.0
    rounding: float = 0.0
    smile: float = 0.0


JAW_DROP = 0.17  # of the chin, for an open jaw

ROWS, COLUMNS = 90, 76
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
# Against height: half the width, z of the forehead, chin and lips, z of the middle, and
# depth of the back.
WIDTH = [
    (-1, 0.74), (-0.6, 0.735), (-0.3, 0.69), (0, 0.665), (0.25, 0.655), (0.45, 0.63), (0.6, 0.60), (0.75, 0.545),
    (0.88, 0.47), (1, 0.40),
]  # fmt: skip
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
MIDDLE = [
    (-1, -0.1),
    (-0.3, -0.06),
    (0.2, 0.0),
    (0.5, 0.08),
    (0.75, 0.22),
    (0.9, 0.36),
    (1, 0.45),
]
BACK = [(-1, 0.85), (-0.3, 0.93), (0.1, 0.88), (0.4, 0.72), (0.7, 0.45), (1, 0.2)]


@dataclass(frozen=True)
class HeadSurface:
    """The grid of a person's head.

    Attributes:
      shape: what makes it the person's.
    """

    shape: HeadShape

    @cached_property
    def angles(self) -> Float[np.ndarray, " c"]:
        """Of the grid's columns, from behind over the left of the picture, the face and
        its right to behind."""
        t = np.linspace(-1, 1, COLUMNS)
        return np.pi * np.sign(t) * (0.42 * np.abs(t) + 0.58 * np.abs(t) ** 3)

    @cached_property
    def heights(self) -> Float[np.ndarray, " r"]:
        """Of the grid's rows at rest, from the crown to the chin: close together on the
        face and at both ends."""
        return interpolate(np.linspace(0, 1, ROWS), ROW_HEIGHTS)

    @property
    def theta(self) -> Float[np.ndarray, "r c"]:
        """The angle of every point."""
        return np.broadcast_to(self.angles, (ROWS, COLUMNS))

    @cached_property
    def bridge_z(self) -> float:
        """How far forward the nose is between the eyes."""
        return float(self.rest[np.abs(self.heights).argmin(), COLUMNS // 2, 2])

    @cached_property
    def rest(self) -> Float[np.ndarray, "r c 3"]:
        """Points at rest."""
        y, theta = np.meshgrid(self.heights, self.angles, indexing="ij")
        x, z = skull(self.shape, y, theta)
        return np.stack(
            [x, y, z + face_relief(self.shape, x, y) * np.cos(theta).clip(0) ** 0.5],
            axis=-1,
        )

    def deform(self, deformation: Deformation) -> Float[np.ndarray, "r c 3"]:
        """Points of a moving face: the jaw turns about its joint, lips and cheeks come
        forward."""
        x, y, z = np.moveaxis(self.rest, -1, 0)
        lips = bell(x, 0, 0.2) * bell(y, MOUTH_Y + 0.03, 0.085) * (z > 0)
        cheeks = bell(np.abs(x), 0.34, 0.11) * bell(y, 0.33, 0.1) * (z > 0)
        z = z + 0.06 * deformation.rounding * lips + 0.045 * deformation.smile * cheeks
        y = y - 0.03 * deformation.smile * cheeks
        forward = np.clip((z - HINGE[1]) / 0.75, 0, 1.1)
        lower = (
            smoothstep(MOUTH_Y - 0.06, MOUTH_Y + 0.2, y) * JAW_DROP * deformation.jaw
        )
        return np.stack(
            [x, y + lower * forward, z - 0.35 * lower * np.clip(y - HINGE[0], 0, 1)],
            axis=-1,
        )


def skull(
    shape: HeadShape, y: Float[np.ndarray, "..."], theta: Float[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """x and z of a smooth head without features."""
    closing = np.where(y < 0, 1 - np.abs(y) ** 2.3, 1 - np.abs(y) ** 4.2).clip(0) ** 0.5
    lower = smoothstep(0.2, 0.7, y)
    tip = smoothstep(0.65, 0.95, y)
    width = (
        interpolate(y, WIDTH)
        * shape.width
        * (1 + lower * (shape.jaw - 1))
        * (1 + tip * (shape.chin - 1))
        * closing
    )
    middle = interpolate(y, MIDDLE)
    front = (interpolate(y, FRONT) - middle) * closing
    back = (interpolate(y, BACK) + middle * 0.3) * closing
    cosine = np.cos(theta)
    z = middle + np.where(
        cosine > 0, front * np.abs(cosine) ** 0.8, -back * np.abs(cosine)
    )
    return width * np.sin(theta), z


def face_relief(
    shape: HeadShape, x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """How far the features stand out of the skull."""
    side = np.abs(x)
    brows = 0.035 * shape.brow_ridge * bell(side, 0.2, 0.16) * bell(y, -0.19, 0.07)
    sockets = -0.085 * bell(side, EYE_X - 0.03, 0.12) * bell(y, 0.0, 0.085)
    eyeballs = 0.04 * bell(side, EYE_X, 0.085) * bell(y, 0.0, 0.07)
    cheekbones = (
        (0.035 + 0.04 * shape.cheeks) * bell(side, 0.38, 0.13) * bell(y, 0.27, 0.13)
    )
    hollows = (-0.02 + 0.05 * shape.cheeks) * bell(side, 0.4, 0.1) * bell(y, 0.6, 0.13)
    lips = 0.05 * bell(x, 0, 0.2) * bell(y, MOUTH_Y, 0.1) - 0.03 * bell(
        x, 0, 0.16
    ) * bell(y, 0.765, 0.035)
    chin = 0.055 * bell(x, 0, 0.13) * bell(y, 0.89, 0.08)
    folds = -0.012 * bell(side, 0.2 + 0.16 * (y - 0.4), 0.035) * bell(y, 0.5, 0.09)
    return (
        brows
        + sockets
        + eyeballs
        + cheekbones
        + hollows
        + lips
        + chin
        + folds
        + nose_relief(shape, x, y)
    )


def nose_relief(
    shape: HeadShape, x: Float[np.ndarray, "..."], y: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Bridge, tip and wings of the nose."""
    base = shape.nose_base
    t = (y + 0.08) / (base + 0.08)
    hook = shape.nose_hook
    slope = [
        (-0.25, 0.0),
        (0.0, 0.05),
        (0.3, 0.085 + hook),
        (0.65, 0.15 + hook),
        (0.86, 0.215),
    ]
    ridge = interpolate(
        t, [*slope, (0.93, 0.205), (1.0, 0.10), (1.1, 0.01), (1.2, 0.0)]
    )
    width = (
        interpolate(
            t, [(-0.2, 0.075), (0.3, 0.055), (0.65, 0.068), (0.9, 0.088), (1.1, 0.08)]
        )
        * shape.nose_width
    )
    wings = (
        0.085
        * bell(np.abs(x), 0.098 * shape.nose_width, 0.034)
        * bell(y, base - 0.055, 0.04)
    )
    return shape.nose_height * (ridge * np.exp(-0.5 * np.abs(x / width) ** 2.4)) + wings
