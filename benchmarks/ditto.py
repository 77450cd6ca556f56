"""`python -m benchmarks.ditto --golden DIR`: seconds of Ditto's network for a second of
sound, and beside them those of the PyTorch original.

The weights are the golden recipe's, of the published size. A window is sampled in turn
here and there, in processes of their own, and the fastest calls are compared: whatever
else the machine does only adds to them.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.neighbour import Neighbour, Timing, time_in_turn, timed
from convert_weights.ditto.recipe import DittoRecipe, write_lmdm
from convert_weights.ditto.verify import convert_recipe
from jaxportrait.drivers.ditto_program import (
    GuidedLMDM,
    encode_null,
    sample_fused,
    sample_window,
)
from jaxportrait.drivers.windows import WindowPlan, plan_windows

FPS = 25
FRESH = 70
"""Frames that a published window of a whole clip adds."""
SIZE = "full"


@dataclass(frozen=True)
class Options:
    """Time Ditto's network.

    Attributes:
      golden: folder of Ditto's golden figures, which holds the recipe.
      steps: steps of sampling.
      repeats: calls of each; the fastest counts.
      against: checkout of ditto-talkinghead, to be run in turn with ours; it needs
        einops.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    steps: tuple[int, ...] = (50, 10, 5)
    repeats: int = 3
    against: Path | None = None


@dataclass(frozen=True)
class Inputs:
    """Inputs of a window, of batch 1.

    Attributes:
      values: frames of the condition.
      earlier: the frame before the window.
    """

    values: np.ndarray
    earlier: np.ndarray


class OriginalNetwork:
    """Ditto's network on a CPU.

    Args:
      checkout: folder of a checkout of ditto-talkinghead.
      golden: folder of golden figures.

    Raises:
      FileNotFoundError: no checkout.
    """

    def __init__(self, checkout: Path, golden: Path):
        if not (checkout / "core" / "models").is_dir():
            raise FileNotFoundError(f"{checkout} holds no core/models of Ditto")
        # The checkout is no package, but its modules import each other.
        sys.path.insert(0, str(checkout))
        from core.models.modules.LMDM import (  # pyright: ignore[reportMissingImports]
            LMDM,
        )

        config = DittoRecipe(golden).config(SIZE)
        # Its wrapper leaves the device of noise at "cuda", so the class itself is used.
        self.network = LMDM(
            config.motion_width, config.condition_width, config.frames, device="cpu"
        )
        with tempfile.TemporaryDirectory() as folder:
            file = write_lmdm(DittoRecipe(golden), SIZE, Path(folder))
            self.network.load_model(file)

    def sample(self, inputs: Inputs, steps: int) -> Callable[[], object]:
        """Return a call that samples a window."""
        import torch

        values = torch.from_numpy(inputs.values)
        earlier = torch.from_numpy(inputs.earlier)
        return partial(self.network.ddim_sample, earlier, values, steps)


@dataclass(frozen=True)
class Ours:
    """This project's network, and inputs of windows."""

    model: GuidedLMDM
    inputs: Inputs

    @property
    def plan(self) -> WindowPlan:
        """The plan of 8 s of sound."""
        plan, _ = plan_windows(8 * FPS, self.model.network.config)
        return plan

    def sample(self, steps: int) -> jax.Array:
        """Sample one window, as published."""
        shape = (steps, self.plan.motion_frames, self.inputs.earlier.shape[1])
        # Time does not depend on values.
        noise = jnp.zeros(shape)
        return sample_window(
            self.model,
            jnp.asarray(self.inputs.values[0]),
            jnp.asarray(self.inputs.earlier[0]),
            noise[0],
            noise,
            steps=steps,
            guided=True,
        )

    def fuse(self, steps: int) -> jax.Array:
        """Sample the windows of a plan together."""
        # The window's condition is repeated.
        frames = np.arange(self.plan.frames) % self.plan.motion_frames
        return sample_fused(
            self.model,
            jnp.asarray(self.inputs.values[0, frames]),
            jnp.asarray(self.inputs.earlier[0]),
            jax.random.key(0),
            jnp.asarray(self.plan.capacity),
            plan=self.plan,
            steps=steps,
            guided=True,
        )


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    recipe = DittoRecipe(options.golden)
    inputs = make_inputs(recipe)
    network = convert_recipe(recipe, SIZE)
    model = GuidedLMDM(network, encode_null(network), recipe.guidance(SIZE))
    ours = Ours(model, inputs)
    columns = columns_of(options.against is not None)
    rival = (options.against, OriginalNetwork, options.golden)
    with Neighbour.beside(*rival) as neighbour:
        for steps in options.steps:
            runs: dict[str, Callable[[], Timing]] = {
                "window": partial(timed, partial(ours.sample, steps)),
                "fused": partial(timed, partial(ours.fuse, steps)),
            }
            if neighbour is not None:
                prepared = neighbour.prepare("sample", inputs, steps)
                runs["original"] = prepared.time
            timings = time_in_turn(runs, options.repeats)
            # Each number of steps has a table, so that long runs show something.
            table = Table("steps", str(steps))
            figures = figures_of(steps, timings, ours.plan)
            for name, value in zip(columns, figures, strict=True):
                table.add_row(name, value)
            Console().print(table)


def make_inputs(recipe: DittoRecipe) -> Inputs:
    """Return the inputs of the golden trajectories."""
    config = recipe.config(SIZE)
    shape = (1, config.frames, config.condition_width)
    values = recipe.input(f"{SIZE}/sample/cond", shape, 0.5)
    frame = (1, config.motion_width)
    return Inputs(values, recipe.input(f"{SIZE}/sample/cond_frame", frame, 0.5))


def columns_of(beside: bool) -> list[str]:
    """Return the names of the figures of a number of steps.

    Args:
      beside: the original is among them.
    """
    names = ["a window's step, ms", "its processor time, ms"]
    # Of a second of sound.
    names += ["whole clips, s", "--windows original, s", "live, s"]
    if beside:
        names += ["the original's step, ms", "its processor time, ms"]
        names += ["its whole clips, s", "ratio", "ratio of processor time"]
    return names


def figures_of(
    steps: int, timings: dict[str, list[Timing]], plan: WindowPlan
) -> list[str]:
    """Return the figures of the fastest calls; see `columns_of`."""
    fastest = {name: fastest_of(values) for name, values in timings.items()}
    window = fastest["window"]
    # Frames that windows made together cover.
    fused = fastest["fused"].seconds * FPS / plan.frames
    published = window.seconds * FPS / FRESH
    # A window for five frames.
    live = window.seconds * FPS / 5
    row = [*step_of(window, steps)]
    row += [f"{fused:.2f}", f"{published:.2f}", f"{live:.2f}"]
    if "original" in fastest:
        original = fastest["original"]
        row += [*step_of(original, steps), f"{original.seconds * FPS / FRESH:.2f}"]
        row += [f"{window.seconds / original.seconds:.2f}"]
        row += [f"{window.cpu / original.cpu:.2f}"]
    return row


def fastest_of(timings: list[Timing]) -> Timing:
    """Return the least seconds and the least processor time."""
    seconds = min(timing.seconds for timing in timings)
    return Timing(seconds, min(timing.cpu for timing in timings))


def step_of(timing: Timing, steps: int) -> tuple[str, str]:
    """Return a step's milliseconds, by the clock and of the processor."""
    return f"{1e3 * timing.seconds / steps:.0f}", f"{1e3 * timing.cpu / steps:.0f}"


if __name__ == "__main__":
    main()
