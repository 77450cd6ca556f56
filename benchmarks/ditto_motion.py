"""`python -m benchmarks.ditto_motion --golden DIR`: how much of Ditto's motion changes with
fewer steps and in bfloat16, beside what another seed changes, and its seams.

The weights are the golden recipe's. They are random, so that the figures tell how the
sampling behaves and nothing of lips.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax.numpy as jnp
import numpy as np
import tyro
from jax.typing import DTypeLike
from rich.console import Console
from rich.table import Table

from convert_weights.bundle import convert_files, write
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from convert_weights.outputs import golden_waveform
from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.drivers.ditto import FPS, DittoDriver
from jaxportrait.drivers.ditto_published import OVERLAP
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.motion.binned import unbin_motion
from jaxportrait.motion.space import EXPRESSION, POSE


@dataclass(frozen=True)
class Options:
    """Compare the motion of Ditto's network.

    Attributes:
      golden: folder of Ditto's golden figures, which holds the recipe.
      size: size of the network.
      seconds: length of the sound.
      steps: steps of sampling, the first of which the others are compared with.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    size: Literal["small", "full"] = "full"
    seconds: float = 8
    steps: tuple[int, ...] = (50, 25, 10, 5)


@dataclass(frozen=True)
class Motions:
    """Motion of one sound in several ways.

    Attributes:
      checkpoint: the recipe's networks.
      sound: the sound.
    """

    checkpoint: Checkpoint
    sound: Audio

    def driver(self, steps: int, dtype: DTypeLike = jnp.float32) -> DittoDriver:
        """Return the driver with so many steps."""
        driver = load_driver(self.checkpoint, "ditto", dtype=dtype)
        assert isinstance(driver, DittoDriver)
        return driver.with_sampling(MotionSampling(steps=steps))

    def fused(
        self, steps: int, seed: int = 0, dtype: DTypeLike = jnp.float32
    ) -> np.ndarray:
        """Return the network's motion in fused windows."""
        frames = round(self.sound.duration * FPS)
        return self.driver(steps, dtype).sample_fused(self.sound, frames, seed=seed)

    def original(self, steps: int) -> np.ndarray:
        """Return the network's motion in published windows."""
        return self.driver(steps).sample_original(self.sound, seed=0)


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    recipe = DittoRecipe(options.golden)
    samples = golden_waveform(recipe, options.seconds)
    sound = Audio.from_samples(samples, SAMPLE_RATE)
    with tempfile.TemporaryDirectory() as folder:
        motions = Motions(write_recipe(recipe, options.size, Path(folder)), sound)
        exact = {steps: motions.fused(steps) for steps in options.steps}
        Console().print(compare(motions, exact))
        Console().print(seams(motions, *next(iter(exact.items()))))


def compare(motions: Motions, exact: dict[int, np.ndarray]) -> Table:
    """Return a table of differences.

    Args:
      exact: steps -> motion in float32; the others are compared with the first.
    """
    table = Table("what differs", "head, degrees", "expression")
    first, reference = next(iter(exact.items()))
    other = motions.fused(first, seed=1)
    table.add_row(f"{first} steps, another seed", *difference(other, reference))
    for steps, motion in exact.items():
        # Every step has noise of its own, so that states differ from the start.
        table.add_row(f"{steps} steps", *difference(motion, reference))
        half = motions.fused(steps, dtype=jnp.bfloat16)
        table.add_row(f"{steps} steps, bfloat16", *difference(half, motion))
    return table


def write_recipe(recipe: DittoRecipe, size: str, folder: Path) -> Checkpoint:
    """Return the checkpoint of the recipe's files, written and converted."""
    files = write_ditto(recipe, size, folder / "published")
    write(convert_files({}, ditto=files), folder / "checkpoint")
    return open_checkpoint(folder / "checkpoint")


def difference(motion: np.ndarray, reference: np.ndarray) -> tuple[str, str]:
    """Return the root mean square difference of head and expression."""
    change = unbin_motion(motion) - unbin_motion(reference)
    # Angles are in degrees here.
    head = np.sqrt(np.mean(change[:, POSE] ** 2))
    expression = np.sqrt(np.mean(change[:, EXPRESSION] ** 2))
    return f"{head:.3f}", f"{expression:.4f}"


def seams(motions: Motions, steps: int, fused: np.ndarray) -> str:
    """Return a line of both kinds of windows: how much motion bends at joins."""
    length = motions.driver(steps).sizes.frames
    at_half = seam_ratio(fused, range(length // 2, len(fused), length // 2))
    original = motions.original(steps)
    fresh = length - OVERLAP
    at_joins = seam_ratio(original, range(fresh, len(original), fresh))
    return f"seams: fused windows {at_half:.2f}, the original's {at_joins:.2f}"


def seam_ratio(motion: np.ndarray, joins: range) -> float:
    """Return how much motion bends at joins of windows, in bends elsewhere."""
    bends = np.abs(np.diff(motion, n=2, axis=0)).mean(axis=1)
    at_joins = np.zeros(len(bends), bool)
    # Bend i reads frames i to i + 2, so that two of them span a join.
    for join in joins:
        at_joins[join - 2 : join] = True
    return float(bends[at_joins].mean() / bends[~at_joins].mean())


if __name__ == "__main__":
    main()
