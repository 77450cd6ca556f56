"""The golden recipe's LMDM, as a real file: the published names, shapes and nesting,
with weights from a seed.

The recipe is described in `tests/golden/ditto/README.md`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from convert_weights.networks import KEY_MAPS
from convert_weights.networks.base import TensorShapes
from convert_weights.recipe import Recipe
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.ops.rope import rotary_frequencies

MODEL_FILE = "ditto_pytorch/models/lmdm_v0.4_hubert.pth"
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
