"""The renderer's networks for `benchmarks.renderer`: weights, inputs and programs."""

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
"""Letter of a network -> its part."""


def recipe_weights(golden: Path, letters: Sequence[str]) -> StateDicts:
    """Return the full-size weights of the golden recipe, in the published layout."""
    recipe = Recipe(golden)
    weights: StateDicts = {}
    for letter in letters:
        part = PARTS[letter]
        weights[part] = recipe.state_dict(f"full/{MODULES[part]}")
    return weights


def our_networks(states: StateDicts, dtype: str) -> dict[str, Any]:
    """Return our network of each part in its inference form."""
    full = Contents.full()
    configs = {part: full.parts[part] for part in states}
    params: dict[str, Any] = {}
    for part, state in states.items():
        params[part] = convert_network(state, configs[part]).leaves
    # Through a checkpoint, so that the networks are those that `infer` runs.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "renderer"
        save_checkpoint(path, Contents(parts=configs), params)
        checkpoint = open_checkpoint(path)
        return {
            part: checkpoint.network(part, dtype=jnp.dtype(dtype)) for part in states
        }


def our_programs(
    networks: dict[str, Any], inputs: dict[str, np.ndarray]
) -> dict[str, tuple[Callable, tuple]]:
    """Return each letter's program and its arguments, as rendering runs it.

    The part that a source needs once is computed beforehand.
    """
    # Pictures and volumes become channels last; keypoints have no channels.
    x: dict[str, Any] = {}
    for name, value in inputs.items():
        is_map = value.ndim > 3
        x[name] = jnp.asarray(np.moveaxis(value, 1, -1) if is_map else value)
    programs: dict[str, tuple[Callable, tuple]] = {}
    # Networks of one input.
    for letter, name in (("F", "image"), ("M", "image"), ("G", "features")):
        if PARTS[letter] in networks:
            programs[letter] = (run_network, (networks[PARTS[letter]], x[name]))
    if "warping" in networks:
        warping = networks["warping"]
        # Once a source, so not within the timed program.
        compressed = warping.dense_motion.compress_volume(x["volume"])
        source = (x["volume"], x["source"], x["driving"], compressed)
        programs["W"] = (warp, (warping, *source))
        if "generator" in networks:
            generator = networks["generator"]
            programs["W+G"] = (draw_frames, (warping, generator, *source))
    return programs


def run_network(network: Any, value: Any) -> Any:
    return network(value)


def warp(warping: Any, *source: Any) -> Any:
    return warping(*source).features


def draw_frames(warping: Any, generator: Any, *source: Any) -> Any:
    return generator(warp(warping, *source))


def draw_inputs(batch_size: int) -> dict[str, np.ndarray]:
    """Draw inputs of every network in the original's layout.

    One source serves every frame.
    """
    rng = np.random.default_rng(0)

    def draw(*shape: int, scale: float) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    # Published sizes: 21 keypoints, volumes of 16 x 64 x 64 with 32 channels.
    source = draw(1, 21, 3, scale=0.3)
    return {
        "image": rng.uniform(size=(batch_size, 3, 256, 256)).astype(np.float32),
        "volume": draw(1, 32, 16, 64, 64, scale=0.7),
        "source": source,
        "driving": source + draw(batch_size, 21, 3, scale=0.08),
        "features": draw(batch_size, 256, 64, 64, scale=0.4),
    }
