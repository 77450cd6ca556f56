"""A drawn portrait and a sound like a voice, for tests that need a picture and a sound
but not their content."""

import wave
from pathlib import Path

import cv2
import numpy as np

SAMPLE_RATE = 16_000
CANVAS = 1024
"""Side of the picture that is drawn, in pixels."""
HARMONICS = range(1, 25)

# Colours, RGB.
SKIN = (222, 178, 150)
HAIR = (58, 40, 34)
SHIRT = (52, 92, 130)
WALL = (226, 224, 214)
WHITE = (250, 250, 248)
IRIS = (86, 120, 92)
PUPIL = (22, 20, 24)
LIPS = (176, 84, 84)
SHADE = (196, 148, 122)


def draw_portrait(size: int = 512) -> np.ndarray:
    """Draw a head and shoulders, (size, size, 3) RGB.

    It is drawn at twice the default size and reduced.

    Args:
      size: side of the square picture, in pixels.
    """
    canvas = np.full((CANVAS, CANVAS, 3), WALL, np.uint8)

    def ellipse(center, axes, colour, arc=(0, 360), width=-1):
        start, end = arc
        cv2.ellipse(canvas, center, axes, 0, start, end, colour, width, cv2.LINE_AA)

    # From the back to the front: shoulders, neck, hair, face.
    ellipse((512, 1080), (400, 260), SHIRT)
    cv2.rectangle(canvas, (430, 700), (594, 880), SHADE, -1)
    ellipse((512, 460), (300, 350), HAIR)
    ellipse((512, 520), (240, 300), SKIN)
    ellipse((512, 300), (240, 120), HAIR, (180, 360))
    # Eyes and brows.
    for x in (416, 608):
        ellipse((x, 480), (52, 28), WHITE)
        ellipse((x, 480), (24, 26), IRIS)
        ellipse((x, 480), (11, 12), PUPIL)
        ellipse((x, 440), (66, 26), HAIR, (200, 340), 12)
    # Nose and mouth.
    ellipse((512, 590), (36, 18), SHADE, (10, 170), 8)
    ellipse((512, 690), (84, 26), LIPS)
    cv2.line(canvas, (432, 690), (592, 690), PUPIL, 4, cv2.LINE_AA)
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def babble(seconds: float) -> np.ndarray:
    """Return a sound like a voice, float32 at 16 kHz.

    It is a buzzing tone in four syllables a second, through two moving resonances.

    Args:
      seconds: length of the sound.
    """
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    frequency = 120 + 20 * np.sin(2 * np.pi * 0.6 * t)
    pitch = np.cumsum(frequency) / SAMPLE_RATE
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0, 1) ** 0.5
    # Centers of the resonances, in Hz.
    first = 600 + 250 * np.sin(7 * t)
    second = 1500 + 500 * np.sin(3 * t)
    voice = np.zeros_like(t)
    for harmonic in HARMONICS:
        formants = sum(_resonance(120 * harmonic, center) for center in (first, second))
        wave_form = np.sin(2 * np.pi * harmonic * pitch)
        voice += formants * wave_form / harmonic**0.5
    loudest = np.abs(voice).max()
    return (0.5 * syllables * voice / loudest).astype(np.float32)


def _resonance(frequency: float, center: np.ndarray) -> np.ndarray:
    """Return the gain of a resonance, a gaussian of deviation 127 Hz."""
    return np.exp(-(((frequency - center) / 180) ** 2))


def write_wave(path: Path, samples: np.ndarray) -> None:
    """Write mono float samples as 16-bit.

    Args:
      path: file, which is replaced if it exists.
      samples: floats in [-1, 1] at `SAMPLE_RATE`.
    """
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.int16(samples * 32767).tobytes())
