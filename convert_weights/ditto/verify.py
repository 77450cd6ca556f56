"""Parity with Ditto: the recipe's file is written, converted and run, and every golden
figure compared.

The kind of folder, seed, sizes and cases are read from its files.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from convert_weights.bundle import convert_files, write
from convert_weights.ditto.layers import run_layers
from convert_weights.ditto.recipe import DittoRecipe, write_lmdm
from convert_weights.parity import Comparison, compare, forgotten, is_figure
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.models.lmdm import LMDM

LAYER_BOUND = 2e-5
"""Largest error in float32, as a share of the largest golden value."""
SIZES = ("small", "full")


def is_ditto(golden: Path) -> bool:
    """Return whether a folder holds golden figures of Ditto."""
    components = DittoRecipe(golden).manifest["components"]
    return any(name.startswith("ditto/") for name in components)


def verify_ditto(golden: Path, size: str = "all") -> list[Comparison]:
    """Compare everything that is known of Ditto with golden figures.

    Args:
      size: size of the networks, or "all".
    """
    recipe = DittoRecipe(golden)
    rows = []
    for name in SIZES:
        if size in (name, "all"):
            rows += verify_networks(recipe, name)
    return rows


def verify_networks(recipe: DittoRecipe, size: str) -> list[Comparison]:
    """Compare the outputs of the LMDM's layers."""
    network = convert_recipe(recipe, size)
    figures = dict(np.load(recipe.folder / "layers.npz"))
    rows = []
    names = [name for name in figures if is_figure(name)]
    names = [name for name in names if name.startswith(f"{size}/")]
    for name, value in run_layers(recipe, network, size):
        # Layers between those that are stored have no figure.
        if f"{size}/{name}" in figures:
            rows.append(compare(figures, f"{size}/{name}", value, LAYER_BOUND))
    return rows + forgotten(names, rows)


def convert_recipe(recipe: DittoRecipe, size: str) -> LMDM:
    """Return the recipe's network, written as a published file and converted."""
    with tempfile.TemporaryDirectory() as folder:
        file = write_lmdm(recipe, size, Path(folder, "published"))
        converted = convert_files({"lmdm": file})
        # No tensor shows the heads; the small network has others than the published.
        heads = recipe.config(size).heads
        converted.configs["lmdm"] = replace(converted.configs["lmdm"], heads=heads)
        write(converted, Path(folder, "checkpoint"))
        checkpoint = open_checkpoint(Path(folder, "checkpoint"))
        return checkpoint.network("lmdm", dtype=jnp.float32)
