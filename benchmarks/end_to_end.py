"""`python -m benchmarks.end_to_end`: where the time of a whole clip goes, stage by
stage, and how far stages overlap.

Every stage is timed by itself in a warm process, then the whole from picture and sound
to mp4. `device idle` is the additional time of frames within the whole, compared with
the device by itself. The demo's checkpoint, portrait and sentence are the default.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import tyro

from benchmarks.report import alternate, publish
from jaxportrait import demo
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.animator import Animator, DType
from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.media.audio import Audio
from jaxportrait.media.image import read_image
from jaxportrait.media.write import VideoWriter

COLUMNS = ("stage", "first, s", "median, s", "of the clip's length")
STARTS = {"cold": "an empty cache", "warm": "a warm cache"}


@dataclass(frozen=True)
class Options:
    """Time a whole clip.

    Attributes:
      checkpoint: checkpoint for `infer`.
      source: picture with a face.
      driving: speech recording.
      dtype: option of `infer`.
      batch_size: frames that a device renders at once; by default that of `infer`.
      repeats: runs of every stage after the first.
      starts: also time to the first frame of new processes, with an empty and a warm
        cache of compiled programs.
      json: where to write the figures.
    """

    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")] = demo.CHECKPOINT
    source: Path = demo.PORTRAIT
    driving: Path = demo.SENTENCE
    dtype: DType = "auto"
    batch_size: int | None = None
    repeats: int = 3
    starts: bool = True
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = (
            {"starts": measure_starts(options, Path(folder))} if options.starts else {}
        )
        figures |= measure(options, Path(folder))
    seconds = figures["seconds"]
    rows = [
        [
            name,
            f"{run['first']:.2f}",
            f"{run['median']:.2f}",
            f"{run['median'] / seconds:.2f}",
        ]
        for name, run in figures["stages"].items()
    ]
    rows.append(
        [
            "device idle",
            "",
            f"{figures['idle']:.2f}",
            f"{figures['idle'] / seconds:.2f}",
        ]
    )
    rows += [
        [f"first frame, {name}", f"{value:.2f}", "", ""]
        for name, value in figures.get("starts", {}).items()
    ]
    publish(
        f"{seconds:.2f} s of speech, {figures['frames']} frames",
        COLUMNS,
        rows,
        figures,
        options.json,
    )


def measure(options: Options, folder: Path) -> dict[str, Any]:
    """Time every stage by itself, and the whole."""
    animator = Animator.from_checkpoint(
        options.checkpoint, dtype=options.dtype, batch_size=options.batch_size
    )
    image = read_image(options.source)
    audio = Audio.open(options.driving)
    portrait = animator.prepare(image)
    driver = cast(FlowDriver, animator.driver)
    renderer = animator.renderer
    motion = driver.make(audio, seed=0)
    frames = len(motion)
    keypoints = renderer.keypoints(portrait.source, motion)
    crops = np.concatenate(list(renderer.frames(portrait.source, keypoints)))
    # Every stage has the results of the one before, so that it runs by itself.
    pasted = [portrait.paste(crop) for crop in crops]
    features = driver.features
    count = round(audio.duration * features.rate)

    # Stages that are more than one call.
    def write() -> None:
        with VideoWriter(
            folder / "pasted.mp4", size=portrait.size, fps=driver.fps, audio=audio
        ) as writer:
            for frame in pasted:
                writer.write(frame)

    def render() -> None:
        for _ in renderer.frames(portrait.source, keypoints):
            pass

    def animate() -> None:
        for _ in animator.animate(portrait, audio):
            pass

    # In the order of a clip; the last two are several stages together.
    stages: dict[str, Callable[[], Any]] = {
        "decode": lambda: (read_image(options.source), Audio.open(options.driving)),
        "source: face, F, M, rest": lambda: animator.prepare(image),
        "audio features": lambda: features.encode(audio.stream, count),
        "features and sampling": lambda: driver.make(audio, seed=0),
        "keypoints": lambda: renderer.keypoints(portrait.source, motion),
        "rendering": render,
        "paste-back, one thread": lambda: (
            [portrait.paste(crop) for crop in crops] and None
        ),
        "encoding": write,
        "sampling and frames, together": animate,
        "whole": lambda: animator.animate(options.source, options.driving).save(
            folder / "whole.mp4"
        ),
    }
    runs = {
        name: alternate({name: run}, options.repeats)[name]
        for name, run in stages.items()
    }
    # Idle devices: the frames within the whole wait for something else.
    together = runs["sampling and frames, together"]["median"]
    idle = together - sum(
        runs[name]["median"]
        for name in ("features and sampling", "keypoints", "rendering")
    )
    return {"seconds": audio.duration, "frames": frames, "stages": runs, "idle": idle}


def measure_starts(options: Options, folder: Path) -> dict[str, float]:
    """Return the seconds from a program's start to its first frame.

    They are measured with an empty cache, with a warm one, and for a second clip.
    """
    # A process of its own: the time of imports and of loading counts.
    command = [
        sys.executable,
        "-m",
        "benchmarks.first_frame",
        "--checkpoint",
        str(options.checkpoint),
    ]
    command += [
        "--source",
        str(options.source),
        "--driving",
        str(options.driving),
        "--cache",
        str(folder / "cache"),
    ]
    command += ["--dtype", options.dtype]
    if options.batch_size is not None:
        command += ["--batch-size", str(options.batch_size)]
    starts = {}
    # The second start finds what the first one compiled.
    for name in STARTS:
        start = time.time()
        process = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        first, second = json.loads(process.stdout)
        # Both are times of day, of two processes on one clock.
        starts[STARTS[name]] = first - start
        starts["a running process"] = second
    return starts


if __name__ == "__main__":
    keep_freed_memory()
    main()
