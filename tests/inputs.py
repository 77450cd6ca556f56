"""A drawn portrait and something like a voice, for tests that need a picture and a
sound and not what is in them."""

import wave
from pathlib import Path

import cv2
import numpy as np

SAMPLE_RATE = 16_000
SKIN, HAIR, SHIRT, WALL = (222, 178, 150), (58, 40, 34), (52, 92, 130), (226, 224, 214)
WHITE, IRIS, PUPIL, LIPS, SHADE = (
    (250, 250, 248),
    (86, 120, 92),
    (22, 20, 24),
    (176, 84, 84),
    (196, 148, 122),
)


def draw_portrait(size: int = 512) -> np.ndarray:
    """A drawn head and shoulders, (size, size, 3) RGB, made at twice the size and
    reduced."""
    canvas = np.full((1024, 1024, 3), WALL, np.uint8)

    def ellipse(center, axes, colour, arc=(0, 360), width=-1):
        start, end = arc
        cv2.ellipse(canvas, center, axes, 0, start, end, colour, width, cv2.LINE_AA)

    ellipse((512, 1080), (400, 260), SHIRT)
    cv2.rectangle(canvas, (430, 700), (594, 880), SHADE, -1)
    ellipse((512, 460), (300, 350), HAIR)
    ellipse((512, 520), (240, 300), SKIN)
    ellipse((512, 300), (240, 120), HAIR, (180, 360))
    for x in (416, 608):
        ellipse((x, 480), (52, 28), WHITE)
        ellipse((x, 480), (24, 26), IRIS)
        ellipse((x, 480), (11, 12), PUPIL)
        ellipse((x, 440), (66, 26), HAIR, (200, 340), 12)
    ellipse((512, 590), (36, 18), SHADE, (10, 170), 8)
    ellipse((512, 690), (84, 26), LIPS)
    cv2.line(canvas, (432, 690), (592, 690), PUPIL, 4, cv2.LINE_AA)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )


def babble(seconds: float) -> np.ndarray:
    """Something like a voice: a buzzing tone in four syllables a second, through two
    moving resonances."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.6 * t)) / SAMPLE_RATE
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0, 1) ** 0.5
    voice = np.zeros_like(t)
    for harmonic in range(1, 25):
        frequency = 120 * harmonic
        formants = sum(
            np.exp(-(((frequency - f) / 180) ** 2))
            for f in (600 + 250 * np.sin(7 * t), 1500 + 500 * np.sin(3 * t))
        )
        voice += formants * np.sin(2 * np.pi * harmonic * pitch) / harmonic**0.5
    return (0.5 * syllables * voice / np.abs(voice).max()).astype(np.float32)


def write_wave(path: Path, samples: np.ndarray) -> None:
    """Write mono float samples as 16-bit."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.int16(samples * 32767).tobytes())
