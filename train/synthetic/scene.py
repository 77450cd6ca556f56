"""A person before a wall, lit: drawn frame by frame."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from train.synthetic import shade
from train.synthetic.body import BODY, bend_neck, ears, paint_body, torso
from train.synthetic.camera import Pose, project, turn
from train.synthetic.chart import Frame, lay, linear
from train.synthetic.curves import smooth_noise, smoothstep
from train.synthetic.eyes import EyePainter, EyeState
from train.synthetic.glasses import frame_of
from train.synthetic.hair import SCALP, hairline, hanging_hair, paint_scalp, thickness
from train.synthetic.head import Deformation, HeadSurface, column_angles, row_heights
from train.synthetic.identity import Identity
from train.synthetic.mouth import MouthPainter, MouthState
from train.synthetic.raster import Visible, rasterize
from train.synthetic.skin import FACE, paint_skin
from train.synthetic.surface import Material, Surface

SUPERSAMPLING = 2
MOVING_FACE = Frame(-0.6, -0.5, 0.6, 1.12)
ROWS, COLUMNS = 90, 76


@dataclass(frozen=True)
class Moment:
    """All that a frame shows a person do."""

    pose: Pose = Pose((0.0, 0.0, 0.0))
    mouth: MouthState = MouthState()
    eyes: EyeState = EyeState()


class Scene:
    """A person, painted once, that can be drawn at any moment."""

    def __init__(self, who: Identity, size: int = 256, seed: int = 0):
        random = np.random.default_rng(seed)
        self.who, self.size = who, size
        self.canvas = size * SUPERSAMPLING
        self.head = HeadSurface(who.head, column_angles(COLUMNS), row_heights(ROWS))
        y, theta = np.meshgrid(self.head.heights, self.head.angles, indexing="ij")
        self.hair_raise = thickness(who.hair, theta, y)
        self.theta = theta
        self.skin = paint_skin(who.skin, who.head, random)
        self.scalp = paint_scalp(who.hair, random)
        self.body = paint_body(who.clothes, who.skin.colour, random)
        tone = linear(who.skin.colour)
        self.eyes = EyePainter(who.eyes, tone, random, MOVING_FACE)
        self.mouth = MouthPainter(who.mouth, tone, MOVING_FACE)
        self.ears = [] if who.hides_ears else ears(who.build, who.head.width)
        self.curtain = hanging_hair(who.hair, who.head.width)
        self.torso = torso(who.build)
        ridge = self.head.rest[np.abs(self.head.heights).argmin(), COLUMNS // 2, 2]
        self.glasses = frame_of(who.glasses, who.head.width, ridge) if who.glasses else []
        self.wall = paint_wall(who, self.canvas, random)

    def draw(self, moment: Moment) -> UInt8[np.ndarray, "s s 3"]:
        """One RGB frame."""
        pose = moment.pose
        surfaces, seen = self._place(moment)
        visible = rasterize(surfaces, seen, (self.canvas, self.canvas))
        light = self._shade(visible, moment)
        picture = self.wall.copy().reshape(-1, 3)
        picture[visible.pixels] = light
        picture = cv2.GaussianBlur(picture.reshape(self.canvas, self.canvas, 3), (0, 0), 0.6)
        return develop(cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_AREA))

    def head_points(self, moment: Moment) -> Float[np.ndarray, "r c 3"]:
        m = moment.mouth
        return self.head.deform(Deformation(m.jaw, m.rounding, max(m.smile, 0)))

    def _place(self, moment: Moment) -> tuple[list[Surface], list[np.ndarray]]:
        """The surfaces as the viewer sees them, and their pixels."""
        rotation = moment.pose.rotation
        face = self.head_points(moment)
        y_rest = self.head.rest[..., 1]
        paint = np.stack([face[..., 0], face[..., 1], self.theta, y_rest], axis=-1)
        outward = face - (0, 0, 0)
        away = face * (1, 1, 1) - np.stack([0 * y_rest, np.clip(face[..., 1], -0.35, 2), -0.1 + 0 * y_rest], -1)
        away /= np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-6)
        raised = face + self.hair_raise[..., None] * away
        turned = [Surface(turn(raised, rotation), paint, Material.FACE)]
        turned += [replace(each, points=turn(each.points, rotation)) for each in self.ears + self.curtain + self.glasses]
        turned += [replace(self.torso, points=bend_neck(self.torso.points, moment.pose))]
        return turned, [project(each.points, moment.pose, self.size) * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2 for each in turned]

    def _shade(self, visible: Visible, moment: Moment) -> Float32[np.ndarray, "n 3"]:
        light = self.who.light
        rotation = moment.pose.rotation
        n = len(visible.pixels)
        albedo = np.zeros((n, 3), np.float32)
        gloss = np.full(n, 0.10, np.float32)
        wrap = np.zeros((n, 3), np.float32)
        wrap[:] = shade.WRAP
        strands = np.zeros(n, np.float32)
        normals = visible.normals.copy()
        paint = visible.paint

        at = np.flatnonzero(visible.material == Material.FACE)
        x, y, theta, rest = paint[at].T
        skin = FACE.look_up(self.skin, x, rest)
        moving, relief = self._paint_face(moment)
        over = MOVING_FACE.look_up(moving, x, y)
        slopes = MOVING_FACE.look_up(relief, x, y)
        skin = skin * (1 - over[:, 3:]) + over[:, :3]
        scalp = SCALP.look_up(self.scalp, theta, rest)
        albedo[at] = skin + scalp[:, 3:] * (scalp[:, :3] - skin)
        strands[at] = scalp[:, 3]
        gloss[at] = gloss[at] + slopes[:, 2]
        bump = normals[at] - slopes[:, :1] * rotation[:, 0].astype(np.float32) - slopes[:, 1:2] * rotation[:, 1].astype(np.float32)
        normals[at] = bump / np.linalg.norm(bump, axis=1, keepdims=True)

        at = np.flatnonzero(visible.material == Material.SKIN)
        albedo[at] = linear(self.who.skin.colour) * np.array([1.0, 0.9, 0.88], np.float32) * (1 - 0.75 * paint[at, :1])
        at = np.flatnonzero(visible.material == Material.HAIR)
        albedo[at] = SCALP.look_up(self.scalp, paint[at, 0], paint[at, 1])[:, :3]
        strands[at] = 1
        at = np.flatnonzero(visible.material == Material.CLOTH)
        albedo[at] = BODY.look_up(self.body, paint[at, 0], paint[at, 1])
        gloss[at] *= 0.5
        at = np.flatnonzero(visible.material == Material.FRAME)
        if self.who.glasses:
            albedo[at] = linear(self.who.glasses.colour)
            gloss[at] = 0.6

        shadow = shade.occlusion(visible, 0.09 * self.canvas, 5.0)
        result = albedo * shade.diffuse(light, normals, shade.WRAP) * shadow[:, None]
        bright = (1 - strands) * gloss
        spec = bright * shade.specular(light, normals, 18.0) + (1 - strands) * np.maximum(gloss - 0.2, 0) * 2 * shade.specular(light, normals, 70.0)
        tone = albedo.mean(axis=1)
        shine = strands * (0.10 + 0.9 * tone) * shade.sheen(light, normals, rotation[:, 1], 6 * (tone - tone.mean()))
        result += ((spec + shine) * shadow)[:, None] * np.asarray(light.key, np.float32)
        result += shade.rim(light, normals) * (0.35 + 0.65 * albedo) * shadow[:, None]
        return result

    def _paint_face(self, moment: Moment):
        """What moves: colour with coverage; slopes with gloss."""
        shape = MOVING_FACE.shape
        colour, cover = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
        height, gloss = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        view = moment.pose.rotation.T @ np.array([0.0, 0.0, 1.0])
        towards_light = moment.pose.rotation.T @ np.asarray(self.who.light.direction)
        self.eyes.paint(colour, cover, height, gloss, moment.eyes, towards_light)
        self.mouth.paint(colour, cover, height, gloss, moment.mouth, view)
        d = MOVING_FACE.density / 2
        slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=d / 4)
        slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=d / 4)
        return np.dstack([colour, cover]), np.dstack([slope_x, slope_y, gloss])


def paint_wall(who: Identity, size: int, random: np.random.Generator) -> Float32[np.ndarray, "s s 3"]:
    """A wall out of focus: a gradient, soft spots and a vignette, linear."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    base = linear(who.wall)
    slope = 1.12 - 0.35 * y + 0.25 * np.sign(who.light.direction[0]) * (0.5 - x) * -1
    blotches = 0.10 * smooth_noise(random, (size, size), (4, 4)) + 0.05 * smooth_noise(random, (size, size), (8, 8))
    vignette = 1 - 0.35 * smoothstep(0.35, 0.85, np.hypot(x - 0.5, y - 0.5))
    warm = 1 + 0.06 * smooth_noise(random, (size, size), (3, 3))[..., None] * np.array([1, 0, -1], np.float32)
    return (base * ((slope + blotches) * vignette)[..., None] * warm).clip(0.01, 1).astype(np.float32)


def develop(light: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Linear light -> sRGB bytes; highlights roll off."""
    knee = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), light)
    return np.rint(255 * np.sqrt(np.clip(knee, 0, 1))).astype(np.uint8)
