"""Parity with Ditto: the recipe's file is written, converted and run, and every golden
figure compared.

The kind of folder, seed, sizes and cases are read from its files.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from convert_weights.bundle import convert_files, write
from convert_weights.ditto.cases import read_cases, run_cases, run_tables
from convert_weights.ditto.conditions import run_conditions
from convert_weights.ditto.dependency import run_dependency, run_overlaps
from convert_weights.ditto.layers import run_layers
from convert_weights.ditto.recipe import DittoRecipe, write_lmdm
from convert_weights.ditto.sampling import run_schedule, run_trajectories
from convert_weights.ditto.sequences import run_sequences
from convert_weights.ditto.sound import run_counts, run_sound
from convert_weights.joyvasa.recipe import CorrectionRecipe
from convert_weights.motion_cases import convert_corrections
from convert_weights.parity import Comparison, compare, forgotten, is_figure
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.models.lmdm import LMDM
from jaxportrait.types import AnyArray

LAYER_BOUND = 2e-5
TRAJECTORY_BOUND = 1e-4
TABLE_BOUND = 1e-6
CASE_BOUND = 1e-5
"""Largest errors in float32, as shares of the largest golden value."""
SIZES = ("small", "full")
SOUND = (
    "stub",
    "offline/",
    "online/",
    "offline_1_3_1/",
    "lengths",
    "unusable_overlaps",
    "dependency/",
)


def is_ditto(golden: Path) -> bool:
    """Return whether a folder holds golden figures of Ditto."""
    components = DittoRecipe(golden).manifest["components"]
    return any(name.startswith("ditto/") for name in components)


def verify_ditto(golden: Path, size: str = "all") -> list[Comparison]:
    """Compare everything that is known of Ditto with golden figures.

    Args:
      size: size of the networks; the small one has the figures without a network.
    """
    recipe = DittoRecipe(golden)
    rows = []
    for name in SIZES:
        if size in (name, "all"):
            rows += verify_networks(recipe, name)
    if size != "full":
        rows += verify_schedule(recipe)
        rows += verify_sound(recipe)
        rows += verify_conditions(recipe)
        rows += verify_keypoints(recipe)
    return rows


def verify_networks(recipe: DittoRecipe, size: str) -> list[Comparison]:
    """Compare the outputs of the LMDM's layers, and trajectories of its sampling."""
    network = convert_recipe(recipe, size)
    layers = Figures(recipe.folder / "layers.npz", f"{size}/")
    outputs = run_layers(recipe, network, size)
    rows = layers.compare(outputs, LAYER_BOUND)
    trajectories = Figures(recipe.folder / "sampling.npz", f"{size}/")
    outputs = run_trajectories(recipe, network, size, trajectories.names)
    rows += trajectories.compare(outputs, TRAJECTORY_BOUND)
    sequences = Figures(recipe.folder / "sequences.npz", f"{size}/")
    outputs = run_sequences(recipe, network, size)
    return rows + sequences.compare(outputs, TRAJECTORY_BOUND)


def verify_schedule(recipe: DittoRecipe) -> list[Comparison]:
    """Compare the tables of the diffusion."""
    figures = Figures(recipe.folder / "sampling.npz", "schedule/")
    return figures.compare(run_schedule(figures.names), TABLE_BOUND)


def verify_sound(recipe: DittoRecipe) -> list[Comparison]:
    """Compare the features of the stand-in for HuBERT, counts of frames, and the sound
    that moves each live frame."""
    figures = Figures(recipe.folder / "audio.npz", SOUND)
    with tempfile.TemporaryDirectory() as folder:
        outputs = list(run_sound(recipe, figures.names, Path(folder)))
        outputs += run_dependency(recipe, Path(folder))
    outputs.append(("lengths", run_counts(figures.arrays["lengths"])))
    outputs.append(("unusable_overlaps", run_overlaps()))
    return figures.compare(outputs, LAYER_BOUND)


def verify_conditions(recipe: DittoRecipe) -> list[Comparison]:
    """Compare what follows the sound in a frame of the condition."""
    figures = Figures(recipe.folder / "conditions.npz", "")
    return figures.compare(run_conditions(recipe), TABLE_BOUND)


def verify_keypoints(recipe: DittoRecipe) -> list[Comparison]:
    """Compare the keypoints of option sets, blinks and fading.

    Sets that show a published defect are run in tests, against a reference.
    """
    stitching = convert_corrections(CorrectionRecipe(recipe.folder))["stitching"]
    cases = read_cases(recipe)
    # Their figures are known, and no output of the library has them.
    defects = [f"{name}/x_d" for name, case in cases.items() if case.shows_defect]
    figures = Figures(recipe.folder / "keypoints.npz", "")
    figures.names = [name for name in figures.names if name not in defects]
    outputs = [*run_cases(recipe, stitching), *run_tables(recipe)]
    return figures.compare(outputs, CASE_BOUND)


class Figures:
    """The golden figures of a file whose names begin with a prefix, or one of several."""

    def __init__(self, file: Path, prefix: str | tuple[str, ...]):
        self.arrays = dict(np.load(file))
        names = [name for name in self.arrays if is_figure(name)]
        self.names = [name for name in names if name.startswith(prefix)]

    def compare(
        self, outputs: Iterable[tuple[str, AnyArray]], bound: float
    ) -> list[Comparison]:
        """Compare outputs with their figures; a figure without an output fails."""
        rows = []
        for name, value in outputs:
            # Layers between those that are stored have no figure.
            if name in self.names:
                rows.append(compare(self.arrays, name, value, bound))
        return rows + forgotten(self.names, rows)


def convert_recipe(recipe: DittoRecipe, size: str) -> LMDM:
    """Return the recipe's network, written as a published file and converted."""
    with tempfile.TemporaryDirectory() as folder:
        # The real converter reads a real file.
        file = write_lmdm(recipe, size, Path(folder, "published"))
        converted = convert_files({"lmdm": file})
        # No tensor shows the heads; the small network has others than the published.
        heads = recipe.config(size).heads
        converted.configs["lmdm"] = replace(converted.configs["lmdm"], heads=heads)
        write(converted, Path(folder, "checkpoint"))
        checkpoint = open_checkpoint(Path(folder, "checkpoint"))
        return checkpoint.network("lmdm", dtype=jnp.float32)
