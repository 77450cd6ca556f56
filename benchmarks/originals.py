"""The renderer's networks on the golden recipe's weights, ours and PyTorch's: the same function on both sides.

The original is imported from a checkout that the user names; no line of it is part of this project.
"""

import copy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.convert import convert
from convert_weights.keymaps import IGNORED, TABLES
from convert_weights.recipe import MODULES, Recipe
from jaxportrait.checkpoint import leaf_shapes, open_checkpoint, save_checkpoint
from jaxportrait.models.config import PortraitConfig
from jaxportrait.models.parts import abstract

StateDicts = dict[str, dict[str, np.ndarray]]
"""Part -> the tensors of its published file."""

PARTS = {"F": "appearance", "M": "motion", "W": "warping", "G": "generator"}
CLASSES = {
    "F": ("appearance_feature_extractor", "AppearanceFeatureExtractor"),
    "M": ("motion_extractor", "MotionExtractor"),
    "W": ("warping_network", "WarpingNetwork"),
    "G": ("spade_generator", "SPADEDecoder"),
}
"""Letter -> module and class of the original."""


def recipe_weights(golden: Path, letters: Sequence[str]) -> StateDicts:
    """The full-size weights of the golden recipe, in the published layout."""
    recipe = Recipe(golden)
    return {PARTS[letter]: recipe.state_dict(f"full/{MODULES[PARTS[letter]]}") for letter in letters}


def our_networks(states: StateDicts, dtype: str) -> dict[str, Any]:
    """Part -> our network in its inference form."""
    full = PortraitConfig.full()
    configs = {part: getattr(full, part) for part in states}
    params = {
        part: convert(state, TABLES[part], leaf_shapes(abstract(part, configs[part])), IGNORED.get(part, ())).leaves
        for part, state in states.items()
    }
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "renderer", PortraitConfig(**configs), params)
        checkpoint = open_checkpoint(Path(folder) / "renderer")
        return {part: checkpoint.network(part, dtype=jnp.dtype(dtype)) for part in states}


def our_programs(networks: dict[str, Any], inputs: dict[str, np.ndarray]) -> dict[str, tuple[Callable, tuple]]:
    """Letter -> a program and its arguments, as rendering runs it: what a source needs once is made beforehand."""
    x = {name: jnp.asarray(np.moveaxis(value, 1, -1) if value.ndim > 3 else value) for name, value in inputs.items()}
    programs: dict[str, tuple[Callable, tuple]] = {}
    for letter, name in (("F", "image"), ("M", "image"), ("G", "features")):
        if PARTS[letter] in networks:
            programs[letter] = (lambda network, value: network(value), (networks[PARTS[letter]], x[name]))
    if "warping" in networks:
        warping = networks["warping"]
        source = (x["volume"], x["source"], x["driving"], warping.dense_motion.compress_volume(x["volume"]))
        programs["W"] = (lambda warping, *source: warping(*source).features, (warping, *source))
        if "generator" in networks:
            programs["W+G"] = (
                lambda warping, generator, *source: generator(warping(*source).features),
                (warping, networks["generator"], *source),
            )
    return programs


def original_networks(checkout: Path, states: StateDicts) -> dict[str, Any]:
    """Letter -> the original's network with the same weights, on a GPU if PyTorch has one."""
    import torch
    import yaml

    if not (checkout / "src" / "modules").is_dir():
        raise FileNotFoundError(f"{checkout} holds no src/modules: name a checkout of LivePortrait with --against")
    sys.path.insert(0, str(checkout))
    sizes = yaml.safe_load((checkout / "src" / "config" / "models.yaml").read_text())["model_params"]
    networks = {}
    for letter, part in PARTS.items():
        if part not in states:
            continue
        module, name = CLASSES[letter]
        imported = __import__(f"src.modules.{module}", fromlist=[name])
        network = getattr(imported, name)(**sizes[f"{MODULES[part]}_params"])
        network.load_state_dict({key: torch.as_tensor(value) for key, value in states[part].items()})
        networks[letter] = network.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    return networks


def original_forms() -> tuple[str, ...]:
    """How the original is run: in float32, eagerly; on a GPU also in float16, compiled."""
    import torch

    return ("original float32",) + (("original float16, compiled",) if torch.cuda.is_available() else ())


def original_programs(networks: dict[str, Any], inputs: dict[str, np.ndarray], form: str) -> dict[str, Callable]:
    """Letter -> a call of the original in a form of `original_forms`."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    compiled = form.endswith("compiled")
    x = {
        name: torch.from_numpy(value).to(device, torch.float16 if compiled else None) for name, value in inputs.items()
    }
    if compiled:
        networks = {
            letter: torch.compile(copy.deepcopy(network).half(), mode="max-autotune")
            for letter, network in networks.items()
        }
    frames = len(inputs["driving"])
    volume, source = (x[name].expand(frames, *x[name].shape[1:]) for name in ("volume", "source"))
    calls: dict[str, Callable] = {
        "F": lambda: networks["F"](x["image"]),
        "M": lambda: networks["M"](x["image"]),
        "W": lambda: networks["W"](volume, kp_driving=x["driving"], kp_source=source)["out"],
        "G": lambda: networks["G"](x["features"]),
        "W+G": lambda: networks["G"](calls["W"]()),
    }

    def run(call: Callable) -> Any:
        with torch.inference_mode():
            result = call()
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    return {name: partial(run, call) for name, call in calls.items()}
