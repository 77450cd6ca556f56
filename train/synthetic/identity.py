"""Who is drawn: the shape and colours of a person, chosen by a random generator."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from train.synthetic.body import Build, Clothes
from train.synthetic.eyes import EyeShape
from train.synthetic.glasses import Glasses
from train.synthetic.hair import Hair
from train.synthetic.head import HeadShape
from train.synthetic.mouth import MouthShape
from train.synthetic.palette import (
    CLOTHES,
    HAIRS,
    IRISES,
    SKINS,
    WALLS,
    Colour,
    HairStyle,
)
from train.synthetic.shade import Light
from train.synthetic.skin import SkinTone

Sex = Literal["M", "W"]
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
    "W": ("long", "long", "bob", "bun", "fringe", "bob", "afro", "short", "bun"),
}
LIPSTICKS: tuple[Colour, ...] = (
    (0.72, 0.16, 0.2),
    (0.78, 0.32, 0.36),
    (0.6, 0.2, 0.26),
)
FRAMES: tuple[Colour, ...] = (
    (0.06, 0.06, 0.07),
    (0.26, 0.15, 0.09),
    (0.45, 0.36, 0.22),
    (0.12, 0.16, 0.28),
    (0.5, 0.5, 0.52),
)


@dataclass(frozen=True)
class Identity:
    """A person: everything that stays over a clip."""

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
        """Whether hair hangs over the ears."""
        return self.hair.style in ("bob", "long", "fringe")


def draw_identity(sex: Sex, random: np.random.Generator) -> Identity:
    """Choose a person."""
    man = sex == "M"
    tone = int(random.integers(len(SKINS) - 1))
    skin = _mix(random, SKINS[tone], SKINS[tone + 1])
    dark = tone >= 4
    hair_colour = _vary(
        random, HAIRS[int(random.integers(3 if dark else len(HAIRS)))], 0.03
    )
    style = STYLES[sex][int(random.integers(len(STYLES[sex])))]
    return Identity(
        sex,
        _draw_head(man, random),
        _draw_eyes(man, dark, hair_colour, random),
        _draw_mouth(man, skin, random),
        _draw_skin(man, skin, hair_colour, tone, random),
        Hair(
            style,
            hair_colour,
            hairline=float(random.uniform(-0.02, 0.1 if man else 0.03)),
            thickness=float(random.uniform(0.8, 1.25)),
            parting=float(random.choice([-1, 1]) * random.uniform(0.2, 1)),
            wave=float(random.uniform(0.1, 1)),
        ),
        Build(
            neck=float(
                random.uniform(0.96, 1.14) if man else random.uniform(0.78, 0.92)
            ),
            shoulders=float(
                random.uniform(0.98, 1.12) if man else random.uniform(0.82, 0.95)
            ),
            ears=float(random.uniform(0.85, 1.15)),
            stand=float(random.uniform(15, 38)),
        ),
        _draw_clothes(random),
        _draw_light(random),
        _vary(random, WALLS[int(random.integers(len(WALLS)))], 0.06),
        _draw_glasses(random) if random.random() < 0.28 else None,
    )


def _draw_head(man: bool, random: np.random.Generator) -> HeadShape:
    def near(mean: float, spread: float) -> float:
        return mean + spread * float(np.clip(random.normal(), -2, 2))

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
    iris = IRISES[int(random.integers(2 if dark else len(IRISES)))]
    brow = _triple(0.55 * np.array(hair) + 0.02)
    return EyeShape(
        width=float(random.uniform(0.136, 0.158)),
        height=float(
            random.uniform(0.068, 0.088) if man else random.uniform(0.076, 0.098)
        ),
        tilt=float(random.uniform(-0.012, 0.034)),
        iris=_vary(random, iris, 0.03),
        lashes=float(
            random.uniform(0.008, 0.013) if man else random.uniform(0.015, 0.022)
        ),
        lid=(0.93, 0.88, 0.87) if man else _vary(random, (0.86, 0.74, 0.74), 0.1),
        brow_height=float(
            random.uniform(0.175, 0.2) if man else random.uniform(0.195, 0.225)
        ),
        brow_width=float(
            random.uniform(0.054, 0.075) if man else random.uniform(0.034, 0.052)
        ),
        brow_arch=float(
            random.uniform(0.012, 0.04) if man else random.uniform(0.03, 0.06)
        ),
        brow_colour=brow,
    )


def _draw_mouth(man: bool, skin: Colour, random: np.random.Generator) -> MouthShape:
    natural = np.array(skin) * (0.84, 0.63, 0.66)
    made_up = np.array(LIPSTICKS[int(random.integers(len(LIPSTICKS)))]) * (
        0.55 + 0.45 * skin[0]
    )
    strength = 0.0 if man else float(random.uniform(0.1, 0.7))
    return MouthShape(
        width=float(random.uniform(0.2, 0.24)),
        upper=float(
            random.uniform(0.038, 0.058) if man else random.uniform(0.05, 0.07)
        ),
        lower=float(
            random.uniform(0.055, 0.08) if man else random.uniform(0.07, 0.095)
        ),
        bow=float(random.uniform(0.006, 0.02)),
        lips=_triple(natural + strength * (made_up - natural)),
    )


def _draw_skin(
    man: bool, skin: Colour, hair: Colour, tone: int, random: np.random.Generator
) -> SkinTone:
    bearded = man and random.random() < 0.5
    beard = float(random.choice([0.22, 0.35, 0.9, 0.93])) if bearded else 0.0
    return SkinTone(
        skin,
        blush=float(random.uniform(0.25, 0.9)),
        freckles=float(random.uniform(0.4, 1))
        if tone < 3 and random.random() < 0.3
        else 0.0,
        beard=beard,
        beard_colour=_triple(0.62 * np.array(hair)),
        moustache=bool(man and not bearded and random.random() < 0.15),
    )


def _draw_clothes(random: np.random.Generator) -> Clothes:
    colour, trim = random.choice(len(CLOTHES), 2, replace=False)
    return Clothes(
        ("crew", "v_neck", "shirt", "turtleneck")[int(random.integers(4))],
        _vary(random, CLOTHES[int(colour)], 0.05),
        _vary(random, CLOTHES[int(trim)], 0.05),
        stripes=bool(random.random() < 0.25),
    )


def _draw_light(random: np.random.Generator) -> Light:
    azimuth, height = (
        random.choice([-1, 1]) * random.uniform(0.15, 0.85),
        random.uniform(0.25, 0.75),
    )
    direction = np.array(
        [
            np.sin(azimuth) * np.cos(height),
            -np.sin(height),
            np.cos(azimuth) * np.cos(height),
        ]
    )
    warmth, strength = random.uniform(-0.05, 0.08), random.uniform(0.92, 1.12)
    key = strength * np.array([0.80 + warmth, 0.76, 0.72 - warmth])
    sky = random.uniform(0.85, 1.15) * np.array(
        [0.36 - 0.5 * warmth, 0.38, 0.41 + 0.5 * warmth]
    )
    return Light(_triple(direction), _triple(key), _triple(sky))


def _draw_glasses(random: np.random.Generator) -> Glasses:
    return Glasses(
        ("round", "oval", "square")[int(random.integers(3))],
        size=float(random.uniform(0.92, 1.08)),
        thickness=float(random.uniform(0.009, 0.02)),
        colour=FRAMES[int(random.integers(len(FRAMES)))],
    )


def _vary(random: np.random.Generator, colour: Colour, spread: float) -> Colour:
    return _triple(
        np.clip(np.array(colour) + random.uniform(-spread, spread, 3), 0.02, 0.98)
    )


def _mix(random: np.random.Generator, first: Colour, second: Colour) -> Colour:
    return _triple(np.array(first) + random.random() * (np.array(second) - first))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
