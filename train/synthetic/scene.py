"""A person in front of a wall, lit: drawn frame by frame."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from train.synthetic.body import BODY, bend_neck, ears, paint_body, torso
from train.synthetic.camera import Pose, project, turn
from train.synthetic.chart import Layers, Picture, Region, linear
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
from train.synthetic.surface import Material, Points, Surface

SUPERSAMPLING = 2
"""Factor of the side of the picture that is drawn to that of the frame."""
SOFTNESS = 0.6
"""Deviation of the lens's blur, in pixels of the large picture."""
MOVING_FACE = Region(-0.6, -0.5, 0.6, 1.12)
"""Part of a face that is painted in each frame, in x and y."""
# Strengths of highlights.
SKIN_GLOSS = 0.10
CLOTH_GLOSS = 0.05
FRAME_GLOSS = 0.6
EAR_TINT = np.array([1.55, 1.3, 1.25], np.float32)
"""Factor of the skin's colour in ears, through which light shines."""
EAR_HOLLOW = 0.5
"""Darkness of the hollow of an ear."""

Indices = Int[np.ndarray, " k"]
"""Places in the list of visible points."""


@dataclass(frozen=True)
class Moment:
    """Pose of a person in one frame.

    Attributes:
      pose: position of the head.
      mouth: pose of lips and jaw.
      eyes: pose of eyes and brows.
    """

    pose: Pose = field(default_factory=lambda: Pose((0.0, 0.0, 0.0)))
    mouth: MouthState = field(default_factory=MouthState)
    eyes: EyeState = field(default_factory=EyeState)


class Scene:
    """A person, painted once, who can be drawn at any moment.

    Args:
      who: the person.
      size: side of the square picture, in pixels.
      random: generator of the details of what is painted.
    """

    def __init__(self, who: Identity, size: int, random: np.random.Generator):
        self.who = who
        self.size = size
        self.head = HeadSurface(who.head)
        self.hair = raise_scalp(who.hair, self.head)
        # Charts, in a fixed order: each draws random numbers.
        skin = linear(who.skin.colour)
        self.skin = paint_skin(who.skin, who.head, random)
        self.scalp = paint_scalp(who.hair, random)
        self.body = paint_body(who.clothes, who.skin.colour, random)
        self.eyes = EyePainter(who.eyes, skin, random)
        self.mouth = MouthPainter(who.mouth, skin)
        self.torso = torso(who.build)
        self.attachments = self._attachments()
        self.wall = paint_wall(who, size * SUPERSAMPLING, random)

    def _attachments(self) -> list[Surface]:
        """Return the surfaces that move with the head: hair, ears and glasses."""
        who = self.who
        width = who.head.width
        surfaces = hanging_hair(who.hair, width)
        if not who.hides_ears:
            surfaces += ears(who.build, width)
        if who.glasses:
            surfaces += frame_of(who.glasses, width, self.head.bridge_z)
        return surfaces

    def draw(self, moment: Moment) -> UInt8[np.ndarray, "s s 3"]:
        """Draw one RGB frame.

        Args:
          moment: pose of the person.
        """
        # The large picture, in linear light.
        side = self.size * SUPERSAMPLING
        surfaces = self._place(moment)
        pixels = [self._pixels(surface.points, moment.pose) for surface in surfaces]
        visible = rasterize(surfaces, pixels, (side, side))
        matter = self._matter(visible, moment)
        down = moment.pose.rotation[:, 1]
        light = illuminate(self.who.light, matter, visible, down)
        # The wall fills the pixels without a surface.
        picture = self.wall.reshape(-1, 3).copy()
        picture[visible.pixels] = light
        picture = picture.reshape(side, side, 3)
        # The lens, the reduction to the frame's size, and the conversion to bytes.
        picture = cv2.GaussianBlur(picture, (0, 0), SOFTNESS)
        size = (self.size, self.size)
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return develop(small)

    def face(self, moment: Moment) -> Points:
        """Return the surface of the face in the head's coordinates, without hair."""
        mouth = moment.mouth
        deformation = Deformation(
            jaw=mouth.jaw,
            rounding=mouth.rounding,
            smile=max(mouth.smile, 0.0),
        )
        return self.head.deform(deformation)

    def _pixels(self, points: Points, pose: Pose) -> Float[np.ndarray, "r c 2"]:
        """Return the positions of points in the large picture.

        Args:
          points: points of a surface that is already turned.
          pose: position of the head.
        """
        pixels = project(points, pose, self.size)
        # Integers are centres of pixels in both pictures.
        return (pixels + 0.5) * SUPERSAMPLING - 0.5

    def _place(self, moment: Moment) -> list[Surface]:
        """Return the surfaces, turned towards the viewer."""
        rotation = moment.pose.rotation
        face = self.face(moment)
        # Paint moves with the face across, and hair stays at its rest height.
        coordinates = [
            face[..., 0],
            face[..., 1],
            self.head.theta,
            self.head.rest[..., 1],
        ]
        paint = np.stack(coordinates, axis=-1)
        head = Surface(face + self.hair, paint, Material.FACE)
        surfaces = []
        for surface in (head, *self.attachments):
            points = turn(surface.points, rotation)
            surfaces.append(replace(surface, points=points))
        shoulders = bend_neck(self.torso.points, moment.pose)
        return [*surfaces, replace(self.torso, points=shoulders)]

    def _matter(self, visible: Visible, moment: Moment) -> Matter:
        """Return the properties of the surface at each visible point."""
        count = len(visible.pixels)
        matter = Matter(
            albedo=np.zeros((count, 3), np.float32),
            gloss=np.full(count, SKIN_GLOSS, np.float32),
            strands=np.zeros(count, np.float32),
            normals=visible.normals.copy(),
        )
        self._fill_face(matter, visible, moment)
        self._fill_ears(matter, visible)
        self._fill_hair(matter, visible)
        self._fill_body(matter, visible)
        self._fill_frame(matter, visible)
        return matter

    # Each of these fills in the points of one material.

    def _fill_ears(self, matter: Matter, visible: Visible) -> None:
        """Colour skin, through which light shines, darker in the hollow."""
        at = points_of(visible, Material.EAR)
        hollow = visible.paint[at, 0][:, None]
        skin = linear(self.who.skin.colour) * EAR_TINT
        matter.albedo[at] = skin * (1 - EAR_HOLLOW * hollow)

    def _fill_hair(self, matter: Matter, visible: Visible) -> None:
        """Colour hair beyond the head by the strands of the scalp."""
        at = points_of(visible, Material.HAIR)
        angle, height = visible.paint[at, :2].T
        matter.albedo[at] = SCALP.look_up(self.scalp, angle, height)[:, :3]
        matter.strands[at] = 1

    def _fill_body(self, matter: Matter, visible: Visible) -> None:
        """Colour neck and clothes."""
        at = points_of(visible, Material.BODY)
        x, y = visible.paint[at, :2].T
        matter.albedo[at] = BODY.look_up(self.body, x, y)
        matter.gloss[at] = CLOTH_GLOSS

    def _fill_frame(self, matter: Matter, visible: Visible) -> None:
        """Colour glasses, if there are any."""
        if not self.who.glasses:
            return
        at = points_of(visible, Material.FRAME)
        matter.albedo[at] = linear(self.who.glasses.colour)
        matter.gloss[at] = FRAME_GLOSS

    def _fill_face(self, matter: Matter, visible: Visible, moment: Moment) -> None:
        """Lay moving paint over skin, and hair over both.

        Args:
          matter: properties that are filled in.
          visible: points and their paint coordinates: x, y, angle and rest height.
          moment: pose of the person.
        """
        at = points_of(visible, Material.FACE)
        x, y, theta, rest_y = visible.paint[at].T
        layers = self._paint_face(moment)
        # Colours. Those of moving paint are multiplied by their coverage already.
        paint = np.dstack([layers.colour, layers.cover])
        colour, cover = np.split(MOVING_FACE.look_up(paint, x, y), [3], axis=1)
        scalp = SCALP.look_up(self.scalp, theta, rest_y)
        hair, hair_cover = np.split(scalp, [3], axis=1)
        skin = FACE.look_up(self.skin, x, rest_y)
        skin = skin * (1 - cover) + colour
        matter.albedo[at] = skin + hair_cover * (hair - skin)
        matter.strands[at] = hair_cover[:, 0]
        # Relief: slopes tilt the normals, in the directions of the head's x and y.
        relief = np.dstack([layers.slopes, layers.gloss])
        slopes, gloss = np.split(MOVING_FACE.look_up(relief, x, y), [2], axis=1)
        matter.gloss[at] += gloss[:, 0]
        axes = moment.pose.rotation[:, :2].T.astype(np.float32)
        bumpy = matter.normals[at] - slopes @ axes
        lengths = np.linalg.norm(bumpy, axis=1, keepdims=True)
        matter.normals[at] = bumpy / lengths

    def _paint_face(self, moment: Moment) -> Layers:
        """Paint eyes, brows and mouth."""
        to_head = moment.pose.rotation.T
        light = to_head @ np.asarray(self.who.light.direction)
        view = to_head @ np.array([0.0, 0.0, 1.0])
        layers = Layers.blank(MOVING_FACE)
        self.eyes.paint(layers, moment.eyes, light)
        self.mouth.paint(layers, moment.mouth, view)
        return layers


def points_of(visible: Visible, material: Material) -> Indices:
    """Return the visible points of a material."""
    return np.flatnonzero(visible.material == material)


def paint_wall(who: Identity, size: int, random: np.random.Generator) -> Picture:
    """Paint a wall out of focus: a gradient, soft spots and a vignette.

    Args:
      who: the person, whose wall and light these are.
      size: side of the square picture, in pixels.
      random: generator of the spots.

    Returns:
      Linear colours, (size, size, 3).
    """
    shape = (size, size)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    # Lighter above, and on the side of the key light.
    light_side = np.sign(who.light.direction[0])
    slope = 1.12 - 0.35 * y + 0.25 * light_side * (x - 0.5)
    large = 0.10 * smooth_noise(random, shape, (4, 4))
    small = 0.05 * smooth_noise(random, shape, (8, 8))
    spots = large + small
    vignette = 1 - 0.35 * smoothstep(0.35, 0.85, np.hypot(x - 0.5, y - 0.5))
    # Warm and cold patches.
    patches = 0.06 * smooth_noise(random, shape, (3, 3))[..., None]
    warmth = 1 + patches * np.array([1, 0, -1], np.float32)
    brightness = ((slope + spots) * vignette)[..., None]
    wall = linear(who.wall) * brightness * warmth
    return wall.clip(0.01, 1).astype(np.float32)


def develop(light: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Convert linear light to sRGB bytes.

    Highlights roll off: above 0.7 a curve approaches 1.
    """
    shoulder = 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3)
    rolled = np.where(light > 0.7, shoulder, light)
    return np.rint(255 * np.sqrt(rolled.clip(0, 1))).astype(np.uint8)
