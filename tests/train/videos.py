"""Talking heads drawn for tests: a face that Haar finds, a voice, and trees of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from jaxportrait.checkpoint import (
    DRIVER,
    Contents,
    DriverEntry,
    Leaves,
    leaf_shapes,
    save_checkpoint,
)
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.media.audio import Audio
from jaxportrait.media.write import VideoWriter
from jaxportrait.models.parts import abstract
from jaxportrait.motion.space import MotionStatistics

WIDTH, HEIGHT = 160, 128
VOICE_RATE = 16_000


def save_tiny_checkpoint(
    path: Path, parts: Sequence[str] = ("motion", "whisper")
) -> Path:
    """Tiny networks with weights from a seed; the audio encoder reads two seconds at a
    time, not thirty."""
    tiny = Contents.tiny()
    configs = {part: tiny.parts[part] for part in parts}
    if "whisper" in configs:
        configs["whisper"] = replace(configs["whisper"], context=100)
    params = {part: draw_leaves(config) for part, config in configs.items()}

    # only the flow transformer has motion to normalise
    drivers = {}
    if "flow_transformer" in parts:
        mean = np.zeros(18, np.float32)
        deviation = np.full(18, 0.01, np.float32)
        statistics = MotionStatistics(mean, deviation)
        drivers[DRIVER] = DriverEntry(FlowDriverConfig(), statistics)
    save_checkpoint(path, Contents(tiny.crop, configs, drivers), params)
    return path


def draw_leaves(config: Any) -> Leaves:
    """Weights that keep the scale of what passes through them."""
    draw = np.random.default_rng(0).standard_normal

    def draw_leaf(shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) < 2:
            return 0.5 + 0.1 * draw(shape)
        # all but the last axis are summed over
        return draw(shape) / np.sqrt(np.prod(shape[:-1]))

    shapes = {name: leaf.shape for name, leaf in leaf_shapes(abstract(config)).items()}
    return {name: np.float32(draw_leaf(shape)) for name, shape in shapes.items()}


def draw_head(seconds: float, *, half: float = 36, face: bool = True) -> np.ndarray:
    """A head that sways, with a mouth that opens and shuts three times a second."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    if not face:
        return image
    sway = 3 * np.sin(2 * np.pi * 0.7 * seconds)
    center = np.array([WIDTH / 2 + sway, HEIGHT / 2 - 6])
    opening = 0.1 + 0.08 * np.sin(2 * np.pi * 3 * seconds)

    def ellipse(x, y, width, height, colour):
        """Draw an ellipse; all lengths are in halves of the head's width."""
        place = np.rint(center + np.array([x, y]) * half)
        middle = place.astype(int).tolist()
        axes = (int(width * half), max(1, int(height * half)))
        cv2.ellipse(image, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    # hair, then the face before it
    ellipse(0, 0, 1.15, 1.5, (60, 45, 40))
    ellipse(0, 0.15, 1, 1.35, (220, 180, 160))
    # brow, socket, white and pupil of each eye
    for side in (-0.42, 0.42):
        ellipse(side, -0.28, 0.3, 0.07, (70, 50, 40))
        ellipse(side, -0.02, 0.27, 0.13, (150, 110, 95))
        ellipse(side, 0, 0.2, 0.08, (240, 240, 240))
        ellipse(side, 0, 0.09, 0.09, (40, 30, 30))
    # nose, its shade, and the mouth
    ellipse(0, 0.25, 0.1, 0.28, (235, 200, 180))
    ellipse(0, 0.5, 0.18, 0.05, (150, 105, 95))
    ellipse(0, 0.85, 0.36, opening, (150, 70, 70))
    return cv2.GaussianBlur(image, (0, 0), half / 45)


def voice(seconds: float, pitch: float = 150.0) -> Audio:
    """A hum, three syllables a second."""
    time = np.arange(round(seconds * VOICE_RATE)) / VOICE_RATE
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time)
    samples = 0.3 * syllables * np.sin(2 * np.pi * pitch * time)
    return Audio.from_samples(samples.astype(np.float32), VOICE_RATE)


def write_head(
    path: Path,
    *,
    seconds: float = 1.2,
    fps: float = 30,
    sound: Audio | None = None,
    face: bool = True,
    absence: tuple[float, float] = (0, 0),
    phase: float = 0,
) -> Path:
    """A video of a drawn head; of an empty room if `face` is False, and from the start
    to the end of `absence`, in seconds. `phase` is the time of the first picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    start, end = absence
    with VideoWriter(path, size=(WIDTH, HEIGHT), fps=fps, audio=sound) as writer:
        for index in range(round(seconds * fps)):
            is_away = start <= index / fps < end
            is_shown = face and not is_away
            writer.write(draw_head(phase + index / fps, face=is_shown))
    return path


def write_sound(path: Path, sound: Audio) -> Path:
    """An m4a beside MEAD's videos."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=VOICE_RATE, layout="mono")
        for frame in sound.frames(VOICE_RATE, "mono"):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_mead_clip(
    root: Path,
    subject: str,
    emotion: str,
    level: int,
    name: str,
    *,
    angle: str = "front",
    sound: bool = True,
    **video,
) -> Path:
    """A clip where MEAD has it, with its sound beside."""
    path = root / subject / "video" / angle / emotion / f"level_{level}" / f"{name}.mp4"
    # clips with the same pictures would count as copies
    video.setdefault("phase", 0.1 * len(list(root.rglob("*.mp4"))))
    write_head(path, **video)
    if sound:
        pitch = 100.0 + 10 * len(list(root.rglob("*.m4a")))
        write_sound(
            root / subject / "audio" / emotion / f"level_{level}" / f"{name}.m4a",
            voice(video.get("seconds", 1.2), pitch),
        )
    return path
