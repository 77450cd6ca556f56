"""A person before a wall, lit: drawn frame by frame."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from train.synthetic.body import BODY, bend_neck, ears, paint_body, torso
from train.synthetic.camera import Pose, project, turn
from train.synthetic.chart import Layers, Region, linear
from train.synthetic.curves import smooth_noise, smoothstep
from train.synthetic.eyes import EyePainter, EyeState
from train.synthetic.glasses import frame_of
from train.synthetic.hair import SCALP, hanging_hair, paint_scalp, raise_scalp
from train.synthetic.head import Deformation, HeadSurface
from train.synthetic.identity import Identity
from train.synthetic.mouth import MouthPainter, MouthState
from train.synthetic.raster import Visible, rasterize
from train.synthetic.shade import Matter, illuminate
from train.synthetic.skin import FACE, paint_skin
from train.synthetic.surface import Material, Surface

SUPERSAMPLING = 2
SOFTNESS = 0.6  # of the lens, in pixels of the large picture
MOVING_FACE = Region(-0.6, -0.5, 0.6, 1.12)
"""The part of a face that is painted anew in each frame, in x and y."""
SKIN_GLOSS, CLOTH_GLOSS, FRAME_GLOSS = 0.10, 0.05, 0.6
EAR_TINT = np.array([1.55, 1.3, 1.25], np.float32)  # light comes through them
EAR_HOLLOW = 0.5  # how much darker it is


@dataclass(frozen=True)
class Moment:
    """All that a person does in one frame."""

    pose: Pose = field(default_factory=lambda: Pose((0.0, 0.0, 0.0)))
    mouth: MouthState = field(default_factory=MouthState)
    eyes: EyeState = field(default_factory=EyeState)


class Scene:
    """A person, painted once, who can be drawn at any moment.

    Args:
      who: the person.
      size: of the square picture, in pixels.
      random: decides the details of what is painted.
    """

    def __init__(self, who: Identity, size: int, random: np.random.Generator):
        self.who, self.size = who, size
        self.head = HeadSurface(who.head)
        self.hair = raise_scalp(who.hair, self.head)
        skin = linear(who.skin.colour)
        self.skin = paint_skin(who.skin, who.head, random)
        self.scalp = paint_scalp(who.hair, random)
        self.body = paint_body(who.clothes, who.skin.colour, random)
        self.eyes = EyePainter(who.eyes, skin, random)
        self.mouth = MouthPainter(who.mouth, skin)
        self.torso = torso(who.build)
        self.worn = hanging_hair(who.hair, who.head.width)
        self.worn += [] if who.hides_ears else ears(who.build, who.head.width)
        self.worn += (
            frame_of(who.glasses, who.head.width, self.head.bridge_z)
            if who.glasses
            else []
        )
        self.wall = paint_wall(who, size * SUPERSAMPLING, random)

    def draw(self, moment: Moment) -> UInt8[np.ndarray, "s s 3"]:
        """One RGB frame."""
        canvas = self.size * SUPERSAMPLING
        surfaces = self._place(moment)
        visible = rasterize(
            surfaces,
            [self._pixels(each.points, moment.pose) for each in surfaces],
            (canvas, canvas),
        )
        picture = self.wall.reshape(-1, 3).copy()
        matter = self._matter(visible, moment)
        picture[visible.pixels] = illuminate(
            self.who.light, matter, visible, moment.pose.rotation[:, 1]
        )
        picture = cv2.GaussianBlur(picture.reshape(canvas, canvas, 3), (0, 0), SOFTNESS)
        return develop(
            cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_AREA)
        )

    def face(self, moment: Moment) -> Float[np.ndarray, "r c 3"]:
        """The surface of the face in the head's coordinates, without hair."""
        mouth = moment.mouth
        return self.head.deform(
            Deformation(mouth.jaw, mouth.rounding, max(mouth.smile, 0.0))
        )

    def _pixels(
        self, points: Float[np.ndarray, "r c 3"], pose: Pose
    ) -> Float[np.ndarray, "r c 2"]:
        """Where points lie on the large picture."""
        return (project(points, pose, self.size) + 0.5) * SUPERSAMPLING - 0.5

    def _place(self, moment: Moment) -> list[Surface]:
        """The surfaces, turned as the viewer sees them."""
        rotation = moment.pose.rotation
        face = self.face(moment)
        paint = np.stack(
            [face[..., 0], face[..., 1], self.head.theta, self.head.rest[..., 1]],
            axis=-1,
        )
        head = Surface(face + self.hair, paint, Material.FACE)
        turned = [
            replace(each, points=turn(each.points, rotation))
            for each in (head, *self.worn)
        ]
        return [
            *turned,
            replace(self.torso, points=bend_neck(self.torso.points, moment.pose)),
        ]

    def _matter(self, visible: Visible, moment: Moment) -> Matter:
        """Colours and the like by what each pixel's surface is made of."""
        count = len(visible.pixels)
        matter = Matter(
            np.zeros((count, 3), np.float32),
            np.full(count, SKIN_GLOSS, np.float32),
            np.zeros(count, np.float32),
            visible.normals.copy(),
        )
        of = {
            material: np.flatnonzero(visible.material == material)
            for material in Material
        }
        first, second = visible.paint[:, 0], visible.paint[:, 1]
        self._face_matter(matter, visible, of[Material.FACE], moment)
        at = of[Material.EAR]
        matter.albedo[at] = (
            linear(self.who.skin.colour) * EAR_TINT * (1 - EAR_HOLLOW * first[at, None])
        )
        at = of[Material.HAIR]
        matter.albedo[at], matter.strands[at] = (
            SCALP.look_up(self.scalp, first[at], second[at])[:, :3],
            1,
        )
        at = of[Material.BODY]
        matter.albedo[at], matter.gloss[at] = (
            BODY.look_up(self.body, first[at], second[at]),
            CLOTH_GLOSS,
        )
        at = of[Material.FRAME]
        if self.who.glasses:
            matter.albedo[at], matter.gloss[at] = (
                linear(self.who.glasses.colour),
                FRAME_GLOSS,
            )
        return matter

    def _face_matter(
        self,
        matter: Matter,
        visible: Visible,
        at: Int[np.ndarray, " k"],
        moment: Moment,
    ) -> None:
        """Skin, what moves on it, and the hair that covers it."""
        x, y, theta, rest_y = visible.paint[at].T
        layers = self._paint_face(moment)
        moving = MOVING_FACE.look_up(np.dstack([layers.colour, layers.cover]), x, y)
        relief = MOVING_FACE.look_up(np.dstack([layers.slopes, layers.gloss]), x, y)
        scalp = SCALP.look_up(self.scalp, theta, rest_y)
        skin = FACE.look_up(self.skin, x, rest_y) * (1 - moving[:, 3:]) + moving[:, :3]
        matter.albedo[at] = skin + scalp[:, 3:] * (scalp[:, :3] - skin)
        matter.strands[at] = scalp[:, 3]
        matter.gloss[at] += relief[:, 2]
        bumpy = matter.normals[at] - relief[:, :2] @ moment.pose.rotation[
            :, :2
        ].T.astype(np.float32)
        matter.normals[at] = bumpy / np.linalg.norm(bumpy, axis=1, keepdims=True)

    def _paint_face(self, moment: Moment) -> Layers:
        """Eyes, brows and mouth of this moment."""
        to_head = moment.pose.rotation.T
        layers = Layers.blank(MOVING_FACE)
        self.eyes.paint(
            layers, moment.eyes, to_head @ np.asarray(self.who.light.direction)
        )
        self.mouth.paint(layers, moment.mouth, to_head @ np.array([0.0, 0.0, 1.0]))
        return layers


def paint_wall(
    who: Identity, size: int, random: np.random.Generator
) -> Float32[np.ndarray, "s s 3"]:
    """A wall out of focus: a gradient, soft spots and a vignette, linear."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    slope = 1.12 - 0.35 * y + 0.25 * np.sign(who.light.direction[0]) * (x - 0.5)
    spots = 0.10 * smooth_noise(random, (size, size), (4, 4)) + 0.05 * smooth_noise(
        random, (size, size), (8, 8)
    )
    vignette = 1 - 0.35 * smoothstep(0.35, 0.85, np.hypot(x - 0.5, y - 0.5))
    warmth = 1 + 0.06 * smooth_noise(random, (size, size), (3, 3))[
        ..., None
    ] * np.array([1, 0, -1], np.float32)
    return (
        (linear(who.wall) * ((slope + spots) * vignette)[..., None] * warmth)
        .clip(0.01, 1)
        .astype(np.float32)
    )


def develop(light: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light -> sRGB bytes; highlights roll off."""
    rolled = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), light)
    return np.rint(255 * np.sqrt(rolled.clip(0, 1))).astype(np.uint8)
