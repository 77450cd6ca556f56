"""People: shapes and colours of a person, chosen by a random generator."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from train.synthetic.body import Build, Clothes
from train.synthetic.eyes import EyeShape
from train.synthetic.glasses import Glasses, LensShape
from train.synthetic.hair import Hair
from train.synthetic.head import HeadShape
from train.synthetic.mouth import MouthShape
from train.synthetic.palette import (
    CLOTHES,
    FRAMES,
    HAIRS,
    IRISES,
    LIPSTICKS,
    SKINS,
    WALLS,
    Colour,
    Garment,
    HairStyle,
)
from train.synthetic.shade import Light
from train.synthetic.skin import SkinTone

Sex = Literal["M", "W"]
# A style that stands twice is drawn twice as often.
STYLES: dict[Sex, tuple[HairStyle, ...]] = {
    "M": (
        "short",
        "short",
        "quiff",
        "cropped",
        "cropped",
        "bald",
        "afro",
        "quiff",
        "long",
    ),
    "W": (
        "long",
        "long",
        "bob",
        "bun",
        "fringe",
        "bob",
        "afro",
        "short",
        "bun",
    ),
}
GARMENTS: tuple[Garment, ...] = ("crew", "v_neck", "shirt", "turtleneck")
LENSES: tuple[LensShape, ...] = ("round", "oval", "square")
HIDING_STYLES: tuple[HairStyle, ...] = ("bob", "long", "fringe")
"""Styles that hang over the ears."""
DARK_TONES = 4
"""Index in `SKINS` from which skin is dark."""
# With dark skin come the first hairs and irises of the tables.
DARK_HAIRS = 3
DARK_IRISES = 2
GLASSES_SHARE = 0.28


@dataclass(frozen=True)
class Identity:
    """A person: everything that stays the same over a clip."""

    sex: Sex
    head: HeadShape
    eyes: EyeShape
    mouth: MouthShape
    skin: SkinTone
    hair: Hair
    build: Build
    clothes: Clothes
    light: Light
    wall: Colour
    glasses: Glasses | None = None

    @property
    def hides_ears(self) -> bool:
        """True if hair hangs over the ears."""
        return self.hair.style in HIDING_STYLES


# All functions below take random numbers in a fixed order: it must not change, so that
# a seed always gives the same people.


def draw_identity(sex: Sex, random: np.random.Generator) -> Identity:
    """Choose a person."""
    man = sex == "M"
    tone = int(random.integers(len(SKINS) - 1))
    skin = _mix(random, SKINS[tone], SKINS[tone + 1])
    dark = tone >= DARK_TONES
    hairs = DARK_HAIRS if dark else len(HAIRS)
    hair_colour = _vary(random, HAIRS[int(random.integers(hairs))], 0.03)
    style = STYLES[sex][int(random.integers(len(STYLES[sex])))]
    return Identity(
        sex=sex,
        head=_draw_head(man, random),
        eyes=_draw_eyes(man, dark, hair_colour, random),
        mouth=_draw_mouth(man, skin, random),
        skin=_draw_skin(man, skin, hair_colour, tone, random),
        hair=_draw_hair(man, style, hair_colour, random),
        build=_draw_build(man, random),
        clothes=_draw_clothes(random),
        light=_draw_light(random),
        wall=_vary(random, WALLS[int(random.integers(len(WALLS)))], 0.06),
        glasses=_draw_glasses(random),
    )


def _draw_head(man: bool, random: np.random.Generator) -> HeadShape:
    def near(mean: float, deviation: float) -> float:
        return mean + deviation * float(np.clip(random.normal(), -2, 2))

    return HeadShape(
        width=near(1.02 if man else 1.0, 0.035),
        jaw=near(1.04 if man else 0.95, 0.04),
        chin=near(1.08 if man else 0.9, 0.09),
        cheeks=near(0.1 if man else 0.3, 0.3),
        nose_width=near(1.08 if man else 0.92, 0.11),
        nose_height=near(1.0 if man else 0.88, 0.09),
        nose_length=near(0.0 if man else -0.015, 0.018),
        nose_hook=near(0.008 if man else -0.006, 0.014),
        brow_ridge=near(1.35 if man else 0.7, 0.3),
    )


def _draw_eyes(
    man: bool, dark: bool, hair: Colour, random: np.random.Generator
) -> EyeShape:
    irises = DARK_IRISES if dark else len(IRISES)
    iris = IRISES[int(random.integers(irises))]
    heights = (0.068, 0.088) if man else (0.076, 0.098)
    lashes = (0.008, 0.013) if man else (0.015, 0.022)
    brow_heights = (0.175, 0.2) if man else (0.195, 0.225)
    brow_widths = (0.054, 0.075) if man else (0.034, 0.052)
    brow_arches = (0.012, 0.04) if man else (0.03, 0.06)
    # Brows are darker than hair.
    brow_colour = _triple(0.55 * np.array(hair) + 0.02)
    return EyeShape(
        width=float(random.uniform(0.136, 0.158)),
        height=float(random.uniform(*heights)),
        tilt=float(random.uniform(-0.012, 0.034)),
        iris=_vary(random, iris, 0.03),
        lashes=float(random.uniform(*lashes)),
        lid=_draw_lid(man, random),
        brow_height=float(random.uniform(*brow_heights)),
        brow_width=float(random.uniform(*brow_widths)),
        brow_arch=float(random.uniform(*brow_arches)),
        brow_colour=brow_colour,
    )


def _draw_lid(man: bool, random: np.random.Generator) -> Colour:
    """Choose the colour of a lid; a woman's may be made up."""
    if man:
        return (0.93, 0.88, 0.87)
    return _vary(random, (0.86, 0.74, 0.74), 0.1)


def _draw_mouth(man: bool, skin: Colour, random: np.random.Generator) -> MouthShape:
    natural = np.array(skin) * (0.84, 0.63, 0.66)
    lipstick = np.array(LIPSTICKS[int(random.integers(len(LIPSTICKS)))])
    # Lipstick looks darker on dark skin.
    painted = lipstick * (0.55 + 0.45 * skin[0])
    strength = 0.0 if man else float(random.uniform(0.1, 0.7))
    upper_heights = (0.038, 0.058) if man else (0.05, 0.07)
    lower_heights = (0.055, 0.08) if man else (0.07, 0.095)
    return MouthShape(
        width=float(random.uniform(0.2, 0.24)),
        upper=float(random.uniform(*upper_heights)),
        lower=float(random.uniform(*lower_heights)),
        bow=float(random.uniform(0.006, 0.02)),
        lips=_triple(natural + strength * (painted - natural)),
    )


def _draw_skin(
    man: bool, skin: Colour, hair: Colour, tone: int, random: np.random.Generator
) -> SkinTone:
    bearded = man and random.random() < 0.5
    # Two kinds of stubble, and two of full beards.
    beard = float(random.choice([0.22, 0.35, 0.9, 0.93])) if bearded else 0.0
    blush = float(random.uniform(0.25, 0.9))
    freckled = tone < 3 and random.random() < 0.3
    freckles = float(random.uniform(0.4, 1)) if freckled else 0.0
    moustache = man and not bearded and random.random() < 0.15
    return SkinTone(
        colour=skin,
        blush=blush,
        freckles=freckles,
        beard=beard,
        beard_colour=_triple(0.62 * np.array(hair)),
        moustache=bool(moustache),
    )


def _draw_hair(
    man: bool, style: HairStyle, colour: Colour, random: np.random.Generator
) -> Hair:
    # Hairlines of men may recede.
    hairline = float(random.uniform(-0.02, 0.1 if man else 0.03))
    thickness = float(random.uniform(0.8, 1.25))
    side = random.choice([-1, 1])
    parting = float(side * random.uniform(0.2, 1))
    return Hair(
        style=style,
        colour=colour,
        hairline=hairline,
        thickness=thickness,
        parting=parting,
        wave=float(random.uniform(0.1, 1)),
    )


def _draw_build(man: bool, random: np.random.Generator) -> Build:
    necks = (0.96, 1.14) if man else (0.78, 0.92)
    shoulders = (0.98, 1.12) if man else (0.82, 0.95)
    return Build(
        neck=float(random.uniform(*necks)),
        shoulders=float(random.uniform(*shoulders)),
        ears=float(random.uniform(0.85, 1.15)),
        stand=float(random.uniform(15, 38)),
    )


def _draw_clothes(random: np.random.Generator) -> Clothes:
    colour, trim = random.choice(len(CLOTHES), 2, replace=False)
    return Clothes(
        garment=GARMENTS[int(random.integers(len(GARMENTS)))],
        colour=_vary(random, CLOTHES[int(colour)], 0.05),
        trim=_vary(random, CLOTHES[int(trim)], 0.05),
        stripes=bool(random.random() < 0.25),
    )


def _draw_light(random: np.random.Generator) -> Light:
    # The key light stands on either side, always above, in front of the face.
    side = random.choice([-1, 1])
    azimuth = side * random.uniform(0.15, 0.85)
    height = random.uniform(0.25, 0.75)
    right = np.sin(azimuth) * np.cos(height)
    down = -np.sin(height)
    towards = np.cos(azimuth) * np.cos(height)
    direction = np.array([right, down, towards])
    # A warm key light comes with a cold sky.
    warmth = random.uniform(-0.05, 0.08)
    strength = random.uniform(0.92, 1.12)
    key = strength * np.array([0.80 + warmth, 0.76, 0.72 - warmth])
    brightness = random.uniform(0.85, 1.15)
    sky = brightness * np.array([0.36 - 0.5 * warmth, 0.38, 0.41 + 0.5 * warmth])
    return Light(_triple(direction), _triple(key), _triple(sky))


def _draw_glasses(random: np.random.Generator) -> Glasses | None:
    if random.random() >= GLASSES_SHARE:
        return None
    return Glasses(
        lens=LENSES[int(random.integers(len(LENSES)))],
        size=float(random.uniform(0.92, 1.08)),
        thickness=float(random.uniform(0.009, 0.02)),
        colour=FRAMES[int(random.integers(len(FRAMES)))],
    )


def _vary(random: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """Change each channel at random, by `spread` at most."""
    varied = np.array(colour) + random.uniform(-spread, spread, 3)
    return _triple(np.clip(varied, 0.02, 0.98))


def _mix(random: np.random.Generator, first: Colour, second: Colour) -> Colour:
    """Choose a colour between two."""
    way = np.array(second) - first
    return _triple(np.array(first) + random.random() * way)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
