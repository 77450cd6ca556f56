"""`python -m benchmarks.joyvasa --golden DIR`: seconds of sound to motion by JoyVASA's
model, and beside them those of the PyTorch original.

The weights are the golden recipe's, of the published size. Both are called in turn, in
processes of their own. Rendering has a benchmark of its own, `benchmarks.renderer`.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.neighbour import Neighbour, Timing, time_in_turn, timed
from convert_weights.bundle import convert_files, write
from convert_weights.joyvasa.recipe import JoyVASARecipe, write_joyvasa
from convert_weights.outputs import golden_waveform
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.diffusion import DiffusionDriver, load_diffusion
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import SAMPLE_RATE, Audio

WINDOW_SECONDS = 4
"""Seconds of a window of the original."""
SILENCE_SECONDS = 0.12
"""Silence that the original adds to a sound: three frames."""
GUIDANCE = 2.8
"""The published program's scale of guidance."""


@dataclass(frozen=True)
class Options:
    """Time sound to motion.

    Attributes:
      golden: folder of JoyVASA's golden figures, which holds the recipe.
      windows: windows of 4 s that the original makes for the sound.
      repeats: calls of each; the median counts.
      against: checkout of JoyVASA, to be run in turn with ours; it needs transformers.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    windows: int = 2
    repeats: int = 3
    against: Path | None = None


class OriginalModel:
    """JoyVASA's model on a CPU.

    Args:
      checkout: folder of a checkout of JoyVASA.
      golden: folder of golden figures.

    Raises:
      FileNotFoundError: no checkout of JoyVASA.
    """

    def __init__(self, checkout: Path, golden: Path):
        import torch
        import transformers  # pyright: ignore[reportMissingImports]

        if not (checkout / "src" / "modules").is_dir():
            raise FileNotFoundError(f"{checkout} holds no src/modules of JoyVASA")
        # The checkout is no package, and its encoder's weights are in the model's file.
        sys.path.insert(0, str(checkout))
        config = transformers.HubertConfig()

        def make(network: Any, *_: object) -> Any:
            return network(config)

        transformers.HubertModel.from_pretrained = classmethod(make)
        from src.modules import common  # pyright: ignore[reportMissingImports]
        from src.modules.dit_talking_head import (  # pyright: ignore[reportMissingImports]
            DitTalkingHead,
        )

        # Its mask is made on a GPU unless this function's default says other.
        *widths, _ = common.enc_dec_mask.__defaults__
        common.enc_dec_mask.__defaults__ = (*widths, "cpu")
        recipe = JoyVASARecipe(golden)
        sizes = recipe.config("full")
        self.model = DitTalkingHead(
            device="cpu",
            motion_feat_dim=sizes["motion_feat_dim"],
            n_motions=sizes["n_motions"],
            n_prev_motions=sizes["n_prev_motions"],
            feature_dim=sizes["feature_dim"],
            n_diff_steps=sizes["n_diff_steps"],
        )
        state = recipe.state_dict("joyvasa/full")
        tensors = {name: torch.from_numpy(value) for name, value in state.items()}
        # PyTorch accepts the old names of weight norm.
        self.model.load_state_dict(tensors, strict=False)
        # Without dropout, as its program runs it.
        self.model.eval()

    def windows(self, samples: np.ndarray) -> Any:
        """Return the windows of a sound, as PyTorch's tensor; silence fills the last."""
        import torch

        size = WINDOW_SECONDS * SAMPLE_RATE
        padded = np.pad(samples, (0, -len(samples) % size))
        return torch.from_numpy(padded).reshape(-1, size)

    def encode(self, samples: np.ndarray) -> Callable[[], object]:
        """Return a call that encodes every window of a sound."""
        import torch

        windows = self.windows(samples)

        @torch.no_grad()
        def run() -> None:
            for window in windows:
                self.model.extract_audio_feature(window[None])

        return run

    def make(self, samples: np.ndarray) -> Callable[[], object]:
        """Return a call that makes the motion of every window of a sound."""
        windows = self.windows(samples)

        def run() -> None:
            for window in windows:
                self.model.sample(window[None], cfg_scale=GUIDANCE)

        return run


@dataclass(frozen=True)
class Ours:
    """This project's driver, and a sound."""

    driver: DiffusionDriver
    samples: np.ndarray

    @cached_property
    def sound(self) -> Audio:
        return Audio.from_samples(self.samples, SAMPLE_RATE)

    def encode(self) -> None:
        features: Any = self.driver.features
        count = round(len(self.samples) / SAMPLE_RATE * features.rate)
        features.encode(partial(iter, [self.samples]), count)

    def make(self, windows: str, steps: int | None = None) -> None:
        sampling = MotionSampling(GUIDANCE, steps, windows=windows)  # pyright: ignore[reportArgumentType]
        self.driver.with_sampling(sampling).make(self.sound, seed=0)


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    # With its silence, the sound fills the original's windows.
    seconds = options.windows * WINDOW_SECONDS - SILENCE_SECONDS
    samples = golden_waveform(JoyVASARecipe(options.golden), seconds)
    ours = Ours(load_recipe(options.golden), samples)
    runs: dict[str, Callable[[], Timing]] = {
        "HuBERT": partial(timed, ours.encode),
        "sound to motion, fused windows": partial(timed, partial(ours.make, "fused")),
        "sound to motion, fused windows, all steps": partial(
            timed, partial(ours.make, "fused", ours.driver.sizes.steps)
        ),
        "sound to motion, original windows": partial(
            timed, partial(ours.make, "original")
        ),
    }
    rival = (options.against, OriginalModel, options.golden)
    with Neighbour.beside(*rival) as neighbour:
        if neighbour is not None:
            runs["the original's HuBERT"] = neighbour.prepare("encode", samples).time
            runs["the original's sound to motion"] = neighbour.prepare(
                "make", samples
            ).time
        timings = time_in_turn(runs, options.repeats)
    Console().print(report(timings, seconds))


def load_recipe(golden: Path) -> DiffusionDriver:
    """Return the driver of the recipe's weights, written and converted."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_joyvasa(JoyVASARecipe(golden), "full", Path(folder, "published"))
        write(convert_files({}, joyvasa=files), Path(folder, "checkpoint"))
        driver = load_diffusion(open_checkpoint(Path(folder, "checkpoint")))
    return replace(driver, cfg_scale=GUIDANCE)


def report(timings: dict[str, list[Timing]], seconds: float) -> Table:
    """Return a table of medians, as seconds for a second of sound."""
    table = Table("for a second of sound", "seconds", "processor seconds")
    for name, values in timings.items():
        clock = np.median([value.seconds for value in values]) / seconds
        processor = np.median([value.cpu for value in values]) / seconds
        table.add_row(name, f"{clock:.2f}", f"{processor:.2f}")
    return table


if __name__ == "__main__":
    main()
