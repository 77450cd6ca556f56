"""Colours, hair styles and garments from which people are put together."""

from typing import Literal

Colour = tuple[float, float, float]
"""sRGB, 0 to 1."""
HairStyle = Literal[
    "bald", "cropped", "short", "quiff", "bob", "long", "bun", "afro", "fringe"
]
Garment = Literal["crew", "v_neck", "shirt", "turtleneck"]

# From light to dark.
SKINS: tuple[Colour, ...] = (
    (0.96, 0.82, 0.74),
    (0.93, 0.76, 0.66),
    (0.89, 0.71, 0.58),
    (0.82, 0.63, 0.48),
    (0.72, 0.53, 0.39),
    (0.60, 0.42, 0.31),
    (0.47, 0.32, 0.24),
    (0.36, 0.25, 0.20),
)

# From black to blond, then red, grey and white.
HAIRS: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06),
    (0.14, 0.10, 0.08),
    (0.25, 0.16, 0.11),
    (0.38, 0.25, 0.16),
    (0.55, 0.38, 0.22),
    (0.74, 0.58, 0.36),
    (0.86, 0.74, 0.52),
    (0.56, 0.25, 0.12),
    (0.62, 0.60, 0.58),
    (0.82, 0.81, 0.79),
)

# Brown, hazel, green, blue and grey.
IRISES: tuple[Colour, ...] = (
    (0.28, 0.17, 0.09),
    (0.40, 0.26, 0.13),
    (0.45, 0.36, 0.18),
    (0.34, 0.44, 0.26),
    (0.33, 0.47, 0.60),
    (0.42, 0.56, 0.68),
    (0.45, 0.48, 0.50),
)

# Cloth, and the trim of buttons and stripes.
CLOTHES: tuple[Colour, ...] = (
    (0.16, 0.22, 0.36),
    (0.55, 0.15, 0.17),
    (0.86, 0.84, 0.80),
    (0.14, 0.15, 0.17),
    (0.20, 0.40, 0.36),
    (0.78, 0.56, 0.22),
    (0.42, 0.30, 0.48),
    (0.62, 0.68, 0.74),
    (0.80, 0.50, 0.46),
    (0.35, 0.42, 0.24),
)

# Plain walls behind the people.
WALLS: tuple[Colour, ...] = (
    (0.78, 0.80, 0.82),
    (0.60, 0.68, 0.74),
    (0.82, 0.76, 0.68),
    (0.52, 0.60, 0.56),
    (0.44, 0.46, 0.54),
    (0.72, 0.62, 0.60),
    (0.34, 0.38, 0.42),
    (0.86, 0.86, 0.84),
)

LIPSTICKS: tuple[Colour, ...] = (
    (0.72, 0.16, 0.2),
    (0.78, 0.32, 0.36),
    (0.6, 0.2, 0.26),
)

# Frames of glasses: black, brown, brass, navy and silver.
FRAMES: tuple[Colour, ...] = (
    (0.06, 0.06, 0.07),
    (0.26, 0.15, 0.09),
    (0.45, 0.36, 0.22),
    (0.12, 0.16, 0.28),
    (0.5, 0.5, 0.52),
)
