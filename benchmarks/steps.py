"""`python -m benchmarks.steps --checkpoint CKPT -d speech.wav`: motion of fewer steps of
a diffusion, beside that of all of them.

All have the same noise at the start, and that of a step by its number. Another seed with
all steps shows how far motions of the same sound may lie apart.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.diffusion import LEAD, DiffusionDriver, load_diffusion
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.drivers.windows import plan_windows
from jaxportrait.media.audio import Audio
from train.evaluate.motion.metrics import at_seams, correlation, seam_ratio

Frames = Float[np.ndarray, "frames d"]


@dataclass(frozen=True)
class Options:
    """Compare fewer steps with all of them.

    Attributes:
      checkpoint: checkpoint with a diffusion transformer.
      sound: recording.
      driver: name of the driver, where there are several.
      steps: numbers of steps.
      seconds: length of the sound that is used.
      cfg_scale: scale of guidance.
    """

    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    sound: Annotated[Path, tyro.conf.arg(aliases=["-d"], metavar="SOUND")]
    driver: str | None = None
    steps: tuple[int, ...] = (10, 20)
    seconds: float = 8.0
    cfg_scale: float = 2.0


@dataclass(frozen=True)
class Motion:
    """Normalised motion.

    Attributes:
      frames: values of the frames.
      wall: seconds that it took.
    """

    frames: Frames
    wall: float


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    driver = load_diffusion(open_checkpoint(options.checkpoint), name=options.driver)
    audio = Audio.open(options.sound)
    count = LEAD + int(min(audio.duration, options.seconds) * driver.fps)

    def sample(steps: int, seed: int) -> Motion:
        sampling = MotionSampling(options.cfg_scale, steps)
        sampled = driver.with_sampling(sampling)
        # The first call compiles.
        sampled.sample_fused(audio, count, seed=seed)
        start = time.perf_counter()
        frames = sampled.sample_fused(audio, count, seed=seed)
        return Motion(frames[:, : driver.space.width], time.perf_counter() - start)

    last = driver.sizes.steps
    rows = {f"{steps}": sample(steps, 0) for steps in options.steps}
    whole = sample(last, 0)
    rows |= {f"{last}": whole, f"{last}, another seed": sample(last, 1)}
    Console().print(report(driver, rows, whole.frames))


def report(driver: DiffusionDriver, rows: dict[str, Motion], whole: Frames) -> Table:
    """Return a table of motions beside that of all steps."""
    plan, windows = plan_windows(len(whole), driver.sizes)
    seams = at_seams(plan, windows, len(whole))
    table = Table("steps", "seconds", "difference", "r", "jerk", "seams")
    for name, motion in rows.items():
        seam = seam_ratio([motion.frames], [seams])
        table.add_row(
            name,
            f"{motion.wall:.1f}",
            f"{difference(motion.frames, whole):.2f}",
            f"{agreement(motion.frames, whole):.2f}",
            f"{jerk(motion.frames) / jerk(whole):.2f}",
            "" if seam is None else f"{seam:.2f}",
        )
    return table


def difference(motion: Frames, whole: Frames) -> float:
    """Return the root mean square of the difference, as a share of the deviation over
    time."""
    deviation = whole - whole.mean(axis=0, keepdims=True)
    return float(np.sqrt(np.mean((motion - whole) ** 2) / np.mean(deviation**2)))


def agreement(motion: Frames, whole: Frames) -> float:
    """Return the mean correlation of the values over time."""
    columns = range(whole.shape[1])
    values = [correlation(motion[:, i], whole[:, i]) for i in columns]
    return float(np.mean(values))


def jerk(motion: Frames) -> float:
    """Return the mean third difference."""
    return float(np.abs(np.diff(motion, n=3, axis=0)).mean())


if __name__ == "__main__":
    main()
