"""The golden recipe's LMDM, as a real file: the published names, shapes and nesting,
with weights from a seed.

The recipe is described in `tests/golden/ditto/README.md`.
"""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from convert_weights.ditto.files import (
    FOLDER,
    HUBERT_FILE,
    MODEL_FILE,
    OPTIONS_FILE,
    DittoFiles,
)
from convert_weights.ditto.stub import write_stub
from convert_weights.networks import KEY_MAPS
from convert_weights.networks.base import TensorShapes
from convert_weights.recipe import Recipe
from jaxportrait.features.chunks import Cutting
from jaxportrait.media.faces.eyeballs import (
    MESH_POINTS,
    eye_openness,
    eyeball_offsets,
)
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.motion.binned import BINNED_WIDTH, BINS
from jaxportrait.ops.rope import rotary_frequencies

ANGLES = ("pitch", "yaw", "roll")
LAST_LAYER_GAIN = 0.1
"""Factor of the last layer's weights, so that motion is of the size of real motion."""


class DittoRecipe(Recipe):
    """A folder of Ditto's golden figures."""

    def component(self, size: str) -> dict[str, Any]:
        """Return the config and the tensors of a size, "small" or "full"."""
        return self.manifest["components"][f"ditto/{size}"]

    def config(self, size: str) -> LMDMConfig:
        """Return the sizes of the network.

        They are read off its tensors, apart from its heads.
        """
        component = self.component(size)
        shapes = {key: tuple(shape) for key, shape in component["tensors"].items()}
        config = KEY_MAPS["lmdm"].size(TensorShapes(shapes, f"ditto/{size}"), {})
        return replace(config, heads=component["config"]["heads"])

    def guidance(self, size: str) -> jax.Array:
        """Return the scale of guidance that the figures were made with."""
        return jnp.asarray(self.component(size)["config"]["guidance"], jnp.float32)

    def fresh_noise(self, size: str, steps: int) -> jax.Array:
        """Return the noise of every step of a window, which all windows share."""
        config = self.config(size)
        shape = (1, config.frames, config.motion_width)
        rows = [self.input(f"{size}/z/{i}", shape)[0] for i in range(steps)]
        return jnp.asarray(np.stack(rows))

    def _draw(self, component: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
        last = key.rpartition(".")[2]
        if last == "freqs":
            return rotary_frequencies(2 * shape[0])
        values = self.rng(component, key).standard_normal(shape)
        return (_gain(key, last, shape) * values + _shift(last, shape)).astype(
            np.float32
        )


def _gain(key: str, last: str, shape: tuple[int, ...]) -> float:
    if last in ("null_cond_embed", "null_cond_hidden"):
        return 1.0
    # Biases, and the weights of norms.
    if last in ("bias", "in_proj_bias") or len(shape) < 2:
        return 0.1
    gain = LAST_LAYER_GAIN if key == "final_layer.weight" else 1.0
    return gain / np.sqrt(np.prod(shape[1:]))


def _shift(last: str, shape: tuple[int, ...]) -> float:
    # The weights of norms are about one.
    is_norm = len(shape) == 1 and last not in ("bias", "in_proj_bias")
    return 1.0 if is_norm else 0.0


def write_lmdm(recipe: DittoRecipe, size: str, folder: Path) -> Path:
    """Write the LMDM of a size in the published layout, and return its path."""
    file = folder / MODEL_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    state = recipe.state_dict(f"ditto/{size}")
    tensors = {key: torch.from_numpy(value) for key, value in state.items()}
    torch.save({"model_state_dict": tensors}, file)
    return file


def write_ditto(recipe: DittoRecipe, size: str, folder: Path) -> DittoFiles:
    """Write Ditto's files in the published layout within a folder of published weights:
    random weights, a stand-in for HuBERT and a random character."""
    # The layout of the repository, within a folder of its own.
    place = folder / FOLDER
    options = place / OPTIONS_FILE
    options.parent.mkdir(parents=True)
    options.write_bytes(pickle.dumps(published_options(recipe)))
    hubert = write_stub(place / HUBERT_FILE, Cutting().length)
    return DittoFiles(write_lmdm(recipe, size, place), options, hubert)


def published_options(recipe: DittoRecipe) -> dict[str, Any]:
    """Return options as the published file for live sound has them."""
    mesh = recipe.input("conditions/landmarks", (1, MESH_POINTS, 3), 0.1, 0.5)
    character = {
        name: values[0] for name, values in read_video(recipe, "character", 1).items()
    }
    limits = np.repeat(np.array([[-2.0], [2.0], [0.0], [1.0]]), BINNED_WIDTH, axis=1)
    # Logits of angles are larger than the rest.
    limits[:2, 1:199] *= 10
    # Keys that conversion does not read are there too, as in the real file.
    return {
        "base_cfg": {"hubert_cfg": {"model_path": HUBERT_FILE, "device": "cuda"}},
        "audio2motion_cfg": {"model_path": MODEL_FILE, "seq_frames": 80},
        "default_kwargs": {
            "online_mode": True,
            "emo": np.tile(np.eye(8, dtype=np.float32)[4], (600, 1)),
            "ch_info": {
                "x_s_info_lst": [character],
                "sc": character["kp"][0],
                "eye_open_lst": [eye_openness(mesh)],
                "eye_ball_lst": [eyeball_offsets(mesh)],
            },
            "overlap_v2": 70,
            "fix_kp_cond": 1,
            "fix_kp_cond_dim": [0, 202],
            "sampling_timesteps": 10,
            "v_min_max_for_clip": limits,
            "delta_eye_arr": recipe.input("stitch/blink", (15, 63), 0.02),
            "fade_type": "d0",
            "overall_ctrl_info": {"delta_pitch": 2},
        },
    }


def read_video(recipe: DittoRecipe, name: str, count: int) -> dict[str, np.ndarray]:
    """Return the motion of a picture or video of the recipe by its published names."""
    video = {
        "scale": recipe.input(f"{name}/scale", (count, 1, 1), 0.05, 1.3),
        "t": recipe.input(f"{name}/t", (count, 1, 3), 0.05),
        "exp": recipe.input(f"{name}/exp", (count, 1, 63), 0.02),
        "kp": recipe.input(f"{name}/kp", (count, 1, 63), 0.3),
    }
    for angle in ANGLES:
        video[angle] = recipe.input(f"{name}/{angle}", (count, 1, BINS), 1.5)
    # The character's head is smaller.
    if name == "character":
        video["scale"] = video["scale"] * np.float32(0.8)
    return video
