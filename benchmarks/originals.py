"""The networks that benchmarks compare, ours and PyTorch's.

The originals are imported from checkouts that the user names; no line of them is part of this project.
"""

import copy
import itertools
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import jax.numpy as jnp
import numpy as np

from convert_weights.convert import convert
from convert_weights.keymaps import IGNORED, TABLES
from convert_weights.recipe import MODULES, Recipe
from jaxportrait.checkpoint import leaf_shapes, open_checkpoint, save_checkpoint
from jaxportrait.models.config import MOTION_SPACES, PortraitConfig
from jaxportrait.models.parts import abstract
from train.config import TransformerSize
from train.data import WINDOW_FEATURES
from train.records import WINDOW_FRAMES

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


def original_transformer(checkout: Path, size: TransformerSize, audio_width: int) -> Any:
    """The flow transformer of a checkout of the audio-driven original, with fresh weights, on a GPU if there is one."""
    import torch

    if not (checkout / "src" / "modules" / "animate_network.py").is_file():
        raise FileNotFoundError(
            f"{checkout} holds no src/modules/animate_network.py: name a checkout of LivePortrait_AudioDriven"
        )
    sys.path.insert(0, str(checkout))
    from src.modules.animate_network import AnimateNet  # pyright: ignore[reportMissingImports]

    with NamedTemporaryFile(suffix=".pt") as statistics:
        torch.save({"mean": torch.zeros(63), "std": torch.ones(63)}, statistics.name)
        network = AnimateNet(
            input_dim=MOTION_SPACES["lip"].width,
            aud_cond_dim=audio_width,
            hidden_dim=size.width,
            num_heads=size.heads,
            depth=size.joint_blocks + size.fused_blocks,
            fused_depth=size.fused_blocks,
            ctx_len=WINDOW_FRAMES,
            convert_len_multiplier=WINDOW_FEATURES / WINDOW_FRAMES,
            v2=True,
            statistic_path=statistics.name,
        )
    return network.to("cuda" if torch.cuda.is_available() else "cpu")


def original_sampler(network: Any, features: np.ndarray, steps: int, guidance: float) -> Callable[[], Any]:
    """A call of the original's sampling: all windows of a clip in one batch, Euler steps, with guidance.

    Args:
      features: of every window, (windows, audio frames, width).
    """
    import torch

    heard = torch.from_numpy(features).to(network.device)
    times = torch.linspace(0, 1, steps + 1)

    def run() -> Any:
        with torch.inference_mode():
            motion = torch.randn(len(heard), network.latent_seq_len, network.latent_dim, device=heard.device)
            conditions = network.preprocess_conditions(heard), network.get_empty_conditions(len(heard))
            for time, following in itertools.pairwise(times):
                motion = motion + (following - time) * network.ode_wrapper(time, motion, *conditions, guidance)
            motion = network.unnormalize(motion)
        if heard.is_cuda:
            torch.cuda.synchronize()
        return motion.cpu().numpy()

    return run
