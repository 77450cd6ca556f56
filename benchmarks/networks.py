"""The renderer's networks as `benchmarks.renderer` runs them: the golden recipe's
weights, inputs, and our programs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.bundle import convert_network
from convert_weights.recipe import MODULES, Recipe
from jaxportrait.checkpoint import (
    Contents,
    open_checkpoint,
    save_checkpoint,
)

StateDicts = dict[str, dict[str, np.ndarray]]
"""Part -> the tensors of its published file."""

PARTS = {"F": "appearance", "M": "motion", "W": "warping", "G": "generator"}


def recipe_weights(golden: Path, letters: Sequence[str]) -> StateDicts:
    """The full-size weights of the golden recipe, in the published layout."""
    recipe = Recipe(golden)
    return {
        PARTS[letter]: recipe.state_dict(f"full/{MODULES[PARTS[letter]]}")
        for letter in letters
    }


def our_networks(states: StateDicts, dtype: str) -> dict[str, Any]:
    """Part -> our network in its inference form."""
    full = Contents.full()
    configs = {part: full.parts[part] for part in states}
    params = {
        part: convert_network(state, configs[part]).leaves
        for part, state in states.items()
    }
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "renderer", Contents(parts=configs), params)
        checkpoint = open_checkpoint(Path(folder) / "renderer")
        return {
            part: checkpoint.network(part, dtype=jnp.dtype(dtype)) for part in states
        }


def our_programs(
    networks: dict[str, Any], inputs: dict[str, np.ndarray]
) -> dict[str, tuple[Callable, tuple]]:
    """Letter -> a program and its arguments, as rendering runs it: what a source needs
    once is made beforehand."""
    x = {
        name: jnp.asarray(np.moveaxis(value, 1, -1) if value.ndim > 3 else value)
        for name, value in inputs.items()
    }
    programs: dict[str, tuple[Callable, tuple]] = {}
    for letter, name in (("F", "image"), ("M", "image"), ("G", "features")):
        if PARTS[letter] in networks:
            programs[letter] = (
                lambda network, value: network(value),
                (networks[PARTS[letter]], x[name]),
            )
    if "warping" in networks:
        warping = networks["warping"]
        source = (
            x["volume"],
            x["source"],
            x["driving"],
            warping.dense_motion.compress_volume(x["volume"]),
        )
        programs["W"] = (
            lambda warping, *source: warping(*source).features,
            (warping, *source),
        )
        if "generator" in networks:
            programs["W+G"] = (
                lambda warping, generator, *source: generator(
                    warping(*source).features
                ),
                (warping, networks["generator"], *source),
            )
    return programs


def draw_inputs(batch_size: int) -> dict[str, np.ndarray]:
    """Inputs of every network, as the original reads them; one source serves every
    frame."""
    rng = np.random.default_rng(0)

    def draw(*shape: int, scale: float) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    source = draw(1, 21, 3, scale=0.3)
    return {
        "image": rng.uniform(size=(batch_size, 3, 256, 256)).astype(np.float32),
        "volume": draw(1, 32, 16, 64, 64, scale=0.7),
        "source": source,
        "driving": source + draw(batch_size, 21, 3, scale=0.08),
        "features": draw(batch_size, 256, 64, 64, scale=0.4),
    }
