"""Who is drawn: the shape and colours of a person, chosen by a random generator."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Colour = tuple[float, float, float]
"""sRGB, 0 to 1."""
HairStyle = Literal["bald", "cropped", "short", "quiff", "bob", "long", "bun", "afro", "fringe"]
Garment = Literal["crew", "v_neck", "shirt", "turtleneck"]

SKINS: tuple[Colour, ...] = (
    (0.96, 0.82, 0.74), (0.93, 0.76, 0.66), (0.89, 0.71, 0.58), (0.82, 0.63, 0.48),
    (0.72, 0.53, 0.39), (0.60, 0.42, 0.31), (0.47, 0.32, 0.24), (0.36, 0.25, 0.20),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06), (0.14, 0.10, 0.08), (0.25, 0.16, 0.11), (0.38, 0.25, 0.16), (0.55, 0.38, 0.22),
    (0.74, 0.58, 0.36), (0.86, 0.74, 0.52), (0.56, 0.25, 0.12), (0.62, 0.60, 0.58), (0.82, 0.81, 0.79),
)  # fmt: skip
IRISES: tuple[Colour, ...] = (
    (0.28, 0.17, 0.09), (0.40, 0.26, 0.13), (0.45, 0.36, 0.18), (0.34, 0.44, 0.26), (0.33, 0.47, 0.60),
    (0.42, 0.56, 0.68), (0.45, 0.48, 0.50),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (0.16, 0.22, 0.36), (0.55, 0.15, 0.17), (0.86, 0.84, 0.80), (0.14, 0.15, 0.17), (0.20, 0.40, 0.36),
    (0.78, 0.56, 0.22), (0.42, 0.30, 0.48), (0.62, 0.68, 0.74), (0.80, 0.50, 0.46), (0.35, 0.42, 0.24),
)  # fmt: skip
WALLS: tuple[Colour, ...] = (
    (0.78, 0.80, 0.82), (0.60, 0.68, 0.74), (0.82, 0.76, 0.68), (0.52, 0.60, 0.56), (0.44, 0.46, 0.54),
    (0.72, 0.62, 0.60), (0.34, 0.38, 0.42), (0.86, 0.86, 0.84),
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """A person: everything that stays over a clip."""

    head: "HeadShape"
    eyes: "EyeShape"
    mouth: "MouthShape"
    skin: "SkinTone"
    hair: "Hair"
    build: "Build"
    clothes: "Clothes"
    light: "Light"
    wall: Colour

    @property
    def hides_ears(self) -> bool:
        return self.hair.style in ("bob", "long", "fringe")
