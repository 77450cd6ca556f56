"""Drawn faces that detectors find, and pictures for generated graphs."""

import cv2
import numpy as np

# Places of the drawn face, in half widths of it, from the middle between its eyes.
BROWS = -0.35
CHIN = 1.5
EYES = (0.42, 0.0)
MOUTH = 0.85


def rotation(angle: float) -> np.ndarray:
    """Return the matrix that turns columns (x, y) by an angle, from x to y."""
    cos = np.cos(angle)
    sin = np.sin(angle)
    return np.array(
        [
            [cos, -sin],
            [sin, cos],
        ]
    )


def largest_difference(ours, expected) -> float:
    return np.abs(np.subtract(ours, expected)).max()


def draw_face(
    image: np.ndarray, center: tuple[float, float], half: float, angle: float = 0.0
) -> np.ndarray:
    """Draw a face that the cascade finds.

    Returns:
      Its left eye, right eye and mouth in pixels, (3, 2).
    """
    turn = rotation(angle)

    def place(x, y):
        return turn @ (np.array([x, y]) * half) + center

    def ellipse(x, y, width, height, colour):
        middle = np.rint(place(x, y)).astype(int)
        cv2.ellipse(
            image,
            center=middle.tolist(),
            axes=(int(width * half), int(height * half)),
            angle=float(np.degrees(angle)),
            startAngle=0,
            endAngle=360,
            color=colour,
            thickness=-1,
            lineType=cv2.LINE_AA,
        )

    ellipse(0, 0, 1.15, 1.5, (60, 45, 40))  # hair
    ellipse(0, 0.15, 1, 1.35, (220, 180, 160))
    for side in (-EYES[0], EYES[0]):
        ellipse(side, -0.28, 0.3, 0.07, (70, 50, 40))
        ellipse(side, -0.02, 0.27, 0.13, (150, 110, 95))
        ellipse(side, EYES[1], 0.2, 0.08, (240, 240, 240))
        ellipse(side, EYES[1], 0.09, 0.09, (40, 30, 30))
    ellipse(0, 0.25, 0.1, 0.28, (235, 200, 180))
    ellipse(0, 0.5, 0.18, 0.05, (150, 105, 95))
    ellipse(0, MOUTH, 0.36, 0.1, (150, 70, 70))
    image[:] = cv2.GaussianBlur(image, (0, 0), half / 45)
    return np.array([place(-EYES[0], EYES[1]), place(*EYES), place(0, MOUTH)])


def canvas(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def spot(
    height: int, width: int, column: int, row: int, size: int, colour=(255, 0, 0)
) -> np.ndarray:
    """Draw a square of `size` pixels a side in cell (column, row), on black."""
    image = np.zeros((height, width, 3), np.uint8)
    top = row * size
    left = column * size
    image[top : top + size, left : left + size] = colour
    return image
