"""Parity report: `python -m convert_weights.verify --golden DIR` proves converter and
networks on golden figures.

The recipe's checkpoints are written as real files, the real converter reads them, the
networks run on the recipe's inputs, and every stored tensor is compared. The exit
status is 1 if any misses its bound.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import tyro

from convert_weights.animal_cases import verify_animals
from convert_weights.bundle import convert_files, write
from convert_weights.ditto.verify import is_ditto, verify_ditto
from convert_weights.edit_cases import FIGURES as EDIT_FIGURES
from convert_weights.edit_cases import verify_edits
from convert_weights.joyvasa.verify import is_joyvasa, verify_joyvasa
from convert_weights.motion_cases import verify_motion
from convert_weights.outputs import IMAGE_SIZE, WHISPER, run_networks
from convert_weights.parity import (
    Comparison,
    compare,
    conclude,
    forgotten,
    is_figure,
    sampled,
)
from convert_weights.recipe import STATISTICS_FILE, Recipe, write_checkpoints
from convert_weights.source_video_cases import verify_source_video
from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.console.errors import exit_on_error

SIZES = {"small": ("small",), "full": ("full",), "all": ("small", "full")}
FLOW_TRANSFORMER = ("small/animate/", "full/animate/")
AUDIO_ENCODER = ("small/whisper/", "tiny/whisper/")
SEVERAL = ("/frame", "sample_cfg4.5_euler25", "/motion")
"""Ends of the names of outputs that several networks or steps make in a row."""
# Largest errors in float32, as shares of the largest golden value.
SMALL_BOUND = 3e-5
FULL_BOUND = 1e-4
MEL_BOUND = 2e-5
HALF_BOUNDS = {"bfloat16": (6e-2, 1.2e-1), "float16": (1e-2, 3e-2)}
"""Bounds in half precision: for one network, and for 25 guided steps or several
networks in a row. Numbers of bfloat16 are 4e-3 apart, numbers of float16 5e-4."""
FRAME_BOUND = 10 ** (-45 / 20)
"""Root mean square error of a frame in float16: 45 dB."""


@dataclass(frozen=True)
class Options:
    """Compare every network with golden figures of the published code.

    Attributes:
      golden: folder of golden figures, of any seed.
      size: size of the networks; `motion` compares the keypoints of LivePortrait's
        option cases, for pictures and videos, and of its sliders.
      dtype: compute dtype of the networks; float16 is that of W and G, as inference has
        it: the flow transformer computes in bfloat16 then, and what a picture needs
        once in float32. The audio encoder is float32 in every case.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    size: Literal["small", "full", "all", "motion"] = "all"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    # Accelerators round the factors of products otherwise.
    jax.config.update("jax_default_matmul_precision", "highest")
    with exit_on_error():
        check_options(options)
    if is_ditto(options.golden):
        conclude(verify_ditto(options.golden, options.size), "figure")
    if is_joyvasa(options.golden):
        rows = verify_joyvasa(options.golden, options.size, options.dtype)
        conclude(rows, "figure")
    if options.size == "motion":
        conclude(verify_cases(options.golden), "case")
    rows = []
    for size in SIZES[options.size]:
        rows += verify(options.golden, size, options.dtype)
    conclude(rows, "tensor")


def check_options(options: Options) -> None:
    """Raise a ValueError for a folder without golden figures, and for options that have
    no meaning for its figures."""
    golden = options.golden
    if not (golden / "manifest.json").is_file():
        raise ValueError(f"{golden} holds no golden figures: pass tests/golden")
    halves = options.dtype != "float32"
    if options.size == "motion" and halves:
        raise ValueError(
            f"cases of motion compute in float32: leave out --dtype {options.dtype}"
        )
    if is_ditto(golden):
        if options.size == "motion":
            raise ValueError(
                f"--size motion is of LivePortrait's figures, and {golden} holds Ditto's: leave it out"
            )
        if halves:
            raise ValueError(
                f"Ditto's figures are of float32: leave out --dtype {options.dtype}"
            )
    if is_joyvasa(golden) and options.dtype == "float16":
        raise ValueError(
            "--dtype float16 is of W and G, which JoyVASA's figures are not of: choose float32 or bfloat16"
        )


def verify_cases(golden: Path) -> list[Comparison]:
    """Compare the option cases, and the cases of sliders, of source videos and of animals
    where a folder has them."""
    rows = verify_motion(golden)
    if (golden / EDIT_FIGURES).is_file():
        rows += verify_edits(golden)
    return rows + verify_source_video(golden) + verify_animals(golden)


def verify(golden: Path, size: str, dtype: str = "float32") -> list[Comparison]:
    """Write, convert and run the recipe's networks of one size, and compare every
    output."""
    recipe = Recipe(golden)
    figures = load_figures(golden)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = convert_recipe(recipe, size, Path(folder))
        outputs = dict(run_networks(recipe, checkpoint, size, dtype))
    rows = []
    for name, value in outputs.items():
        rows.append(compare(figures, name, value, bound_of(name, size, dtype)))
    if dtype == "float16":
        # A frame is judged as a picture, too.
        frame = f"{size}/frame"
        error = sampled(outputs[frame]) - figures[frame].ravel()
        rms = float(np.sqrt(np.mean(error**2)))
        rows.append(Comparison(f"{frame}, rms", rms, FRAME_BOUND))
    return rows + forgotten(names_of_size(figures, size), rows)


def names_of_size(figures: dict[str, np.ndarray], size: str) -> list[str]:
    """Return the golden tensors of a size; the spectrograms count with the small one."""
    component, _ = WHISPER[size]
    prefixes = (f"{size}/", component, "statistic/")
    if size == "small":
        prefixes = (*prefixes, "mel/")
    return [name for name in figures if is_figure(name) and name.startswith(prefixes)]


def convert_recipe(recipe: Recipe, size: str, folder: Path) -> Checkpoint:
    """Write and convert the recipe's files of one size, and open the checkpoint."""
    files = write_checkpoints(recipe, size, folder / "published")
    converted = convert_files(files, folder / "published" / STATISTICS_FILE)
    write(converted, folder / "checkpoint", image_size=IMAGE_SIZE[size])
    return open_checkpoint(folder / "checkpoint")


def load_figures(golden: Path) -> dict[str, np.ndarray]:
    return {**np.load(golden / "modules.npz"), **np.load(golden / "audio.npz")}


def bound_of(name: str, size: str, dtype: str) -> float:
    """Return the largest error that an output of a size may have."""
    if name.startswith("mel/"):
        return MEL_BOUND
    if dtype not in HALF_BOUNDS or name.startswith(AUDIO_ENCODER):
        return SMALL_BOUND if size == "small" else FULL_BOUND
    # The flow transformer stays in bfloat16, whatever the frames' dtype.
    half = "bfloat16" if name.startswith(FLOW_TRANSFORMER) else dtype
    one_network, in_a_row = HALF_BOUNDS[half]
    return in_a_row if name.endswith(SEVERAL) else one_network


if __name__ == "__main__":
    main()
