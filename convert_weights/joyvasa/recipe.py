"""JoyVASA's files by the golden recipe: the published names, shapes and nesting, with
weights from a seed.

The recipe is described in `tests/golden/joyvasa/README.md`.
"""

import pickle
from argparse import Namespace
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PosixPath
from typing import Literal

import numpy as np
import torch

from convert_weights.joyvasa.files import (
    DENOISER,
    MODEL_ENTRY,
    POSITION_CONV,
    SCHEDULE,
    WEIGHT_NORMS,
    Heads,
    JoyVASAFiles,
)
from convert_weights.recipe import Recipe, stitching_component
from convert_weights.sources import JOYVASA_FOLDER, JOYVASA_MODEL, JOYVASA_TEMPLATE
from jaxportrait.checkpoint.fit import STITCHING
from jaxportrait.models.motion_diffusion import Positions, sinusoids
from jaxportrait.ops.diffusion import cosine_schedule

TOKENS = ("start_motion_feat", "start_audio_feat", "null_audio_feat", "weight_v")
BIASES = ("bias", "in_proj_bias")
LENGTH_GAIN = 24
"""Factor of a tap's length, so that positions matter."""

Spelling = Literal["old", "new"]
"""Names of weight norm: `weight_g`, or those of parametrizations."""


@dataclass(frozen=True)
class JoyVASARecipe(Recipe):
    """A folder of JoyVASA's golden figures: its seed, sizes and template."""

    @cached_property
    def components(self) -> dict:
        return self.manifest["components"]

    def config(self, size: str) -> dict:
        """Return the options of a size of the denoiser."""
        return self.components[f"joyvasa/{size}"]["config"]

    def heads(self, size: str) -> Heads:
        """Return the attention heads of a size, which no tensor shows."""
        encoder = self.components[f"joyvasa/{size}"]["hubert"]["num_attention_heads"]
        return Heads(encoder, self.config(size)["n_heads"])

    def state_dict(self, component: str) -> dict[str, np.ndarray]:
        """Return the tensors of a component, such as `joyvasa/small`."""
        state = {}
        for key, shape in self.components[component]["tensors"].items():
            state[key] = self._draw(component, key, tuple(shape))
        # Tables are no draws: the real ones take their places.
        schedule = cosine_schedule(len(state["diffusion_sched.betas"]) - 1)
        for theirs, ours in SCHEDULE.items():
            state[f"diffusion_sched.{theirs}"] = getattr(schedule, ours)
        for table in ("TE.pe", "PE.pe"):
            key = DENOISER + table
            state[key] = sinusoids(*state[key].shape[1:])[None]
        frames = len(state[DENOISER + "alignment_mask"])
        state[DENOISER + "alignment_mask"] = ~np.eye(frames, dtype=bool)
        return state

    def template(self) -> dict[str, np.ndarray]:
        """Return the motion template."""
        with np.load(self.folder / "sequence.npz") as figures:
            names = [name for name in figures if name.startswith("template/")]
            return {name.removeprefix("template/"): figures[name] for name in names}

    def _draw(self, component: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
        last = key.rpartition(".")[2]
        # Every tensor has its generator, so that the order does not matter.
        values = self.rng(component, key).standard_normal(shape)
        if last in BIASES:
            values = 0.1 * values
        elif last not in TOKENS and len(shape) >= 2:
            gain = LENGTH_GAIN if last == "weight_g" else 1
            values = gain * values / np.sqrt(np.prod(shape[1:]))
        elif last not in TOKENS:
            values = 1 + 0.1 * values
        return values.astype(np.float32)


@dataclass(frozen=True)
class CorrectionRecipe(Recipe):
    """The networks that correct keypoints by the seed of a folder of JoyVASA's figures,
    which does not list their tensors."""

    @property
    def manifest(self) -> dict:
        components = {}
        for part, config in STITCHING.items():
            widths = [config.inputs, *config.hidden, config.outputs]
            tensors = {}
            for layer, (inputs, outputs) in enumerate(pairwise(widths)):
                # A ReLU stands between two layers, so their numbers are even.
                tensors[f"mlp.{2 * layer}.weight"] = [outputs, inputs]
                tensors[f"mlp.{2 * layer}.bias"] = [outputs]
            name = f"full/{stitching_component(part)}"
            components[name] = {"tensors": tensors}
        return {**super().manifest, "components": components}


def write_joyvasa(
    recipe: JoyVASARecipe,
    size: str,
    folder: Path,
    *,
    spelling: Spelling = "old",
    positions: Positions = "constant",
) -> JoyVASAFiles:
    """Write the model of a size and the template in the published layout."""
    place = folder / JOYVASA_FOLDER
    files = JoyVASAFiles(
        place / JOYVASA_MODEL,
        place / JOYVASA_TEMPLATE,
        positions,
        recipe.heads(size),
    )
    for path in (files.model, files.template):
        path.parent.mkdir(parents=True, exist_ok=True)
    state = recipe.state_dict(f"joyvasa/{size}")
    tensors = {
        spelled(key, spelling): torch.from_numpy(value) for key, value in state.items()
    }
    # The published options: some of them are not those of the tensors.
    # A path is the one object of a file that is neither number nor text.
    options = Namespace(
        n_layers=6, n_heads=8, use_indicator=True, data_root=PosixPath("data")
    )
    torch.save({"args": options, MODEL_ENTRY: tensors, "iter": 20_000}, files.model)
    files.template.write_bytes(pickle.dumps(recipe.template(), protocol=4))
    return files


def spelled(key: str, spelling: Spelling) -> str:
    """Return the name of a tensor in a spelling of weight norm."""
    old, new = WEIGHT_NORMS
    prefix, conv, name = key.rpartition(POSITION_CONV)
    if spelling == "old" or name not in old:
        return key
    return prefix + conv + new[old.index(name)]
