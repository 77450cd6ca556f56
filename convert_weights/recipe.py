"""The golden recipe's checkpoints, as real files: the published names, shapes and
nesting, with weights from a seed.

The recipe is described in `tests/golden/README.md`; real weights cannot be shipped, and
these stand in for them.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from convert_weights.sources import (
    BASE_FILES,
    BASE_FOLDERS,
    STITCHING_FILE,
    WHISPER_FILE,
    parts_of,
)
from jaxportrait.motion.space import LIP_KEYPOINTS

TRANSFORMER_FILE = "checkpoints/checkpoint_30000/model.safetensors"
STATISTICS_FILE = "statistic.pt"
POWER_ITERATIONS = 3

GAINS = {
    "dense_motion_network.mask.weight": 8,
    "dense_motion_network.occlusion.weight": 8,
    "detector.fc_kp.weight": 0.3,
    "detector.fc_kp.bias": 0.3,
    "detector.fc_exp.weight": 0.02,
    "detector.fc_exp.bias": 0.2,
    "detector.fc_t.weight": 0.1,
    "detector.fc_scale.weight": 0.05,
}
"""Factor of a tensor, so that random networks still move and hide something."""

MODULES = {part: Path(file).stem for part, file in BASE_FILES.items()}
"""Part -> component of the recipe, named as the published file."""
STITCHING = "stitching_retargeting"


def stitching_component(part: str) -> str:
    """Return the component of the recipe that is a part of the stitching file."""
    return f"stitching_retargeting_module/{part.removesuffix('_retargeting')}"


@dataclass(frozen=True)
class Recipe:
    """A folder of golden figures: its seed, and the tensors of every component."""

    folder: Path

    @property
    def manifest(self) -> dict:
        return json.loads((self.folder / "manifest.json").read_text())

    @property
    def seed(self) -> int:
        return self.manifest["seed"]

    def rng(self, component: str, key: str) -> np.random.Generator:
        # A generator for each tensor: no value depends on another tensor.
        digest = hashlib.sha256(f"{self.seed}/{component}/{key}".encode()).digest()
        return np.random.Generator(
            np.random.PCG64(int.from_bytes(digest[:8], "little"))
        )

    def input(
        self, name: str, shape: tuple[int, ...], scale: float = 1.0, shift: float = 0.0
    ) -> np.ndarray:
        """Return a random input of the networks, float32, in PyTorch's layout."""
        return (self.rng("input", name).standard_normal(shape) * scale + shift).astype(
            np.float32
        )

    def statistics(self) -> dict[str, np.ndarray]:
        """Return the content of `statistic.pt`: mean and deviation of 21 keypoints."""
        mean_noise = self.rng("input", "statistic/mean").standard_normal((63,))
        std_noise = self.rng("input", "statistic/std").standard_normal((63,))
        # Expressions of LivePortrait are of this order; a deviation is positive.
        mean = (0.02 * mean_noise).astype(np.float32)
        std = (0.01 * std_noise).astype(np.float32)
        return {"mean": mean, "std": np.abs(std) + np.float32(0.005)}

    def state_dict(self, component: str) -> dict[str, np.ndarray]:
        """Return the tensors of a component, such as `full/spade_generator`."""
        shapes = {
            key: tuple(shape)
            for key, shape in self.manifest["components"][component]["tensors"].items()
        }
        state = {
            key: self._draw(component, key, shape) for key, shape in shapes.items()
        }
        # Drawn first, since the estimate reads the kernel.
        for key in shapes:
            if key.endswith("weight_orig"):
                _estimate_spectral_norm(state, key.removesuffix("weight_orig"))
        # The transformer stores the lips' part of the statistics.
        if component.endswith("animate_net"):
            for name, value in self.statistics().items():
                state[f"latent_{name}"] = value.reshape(-1, 3)[
                    list(LIP_KEYPOINTS)
                ].reshape(1, 1, -1)
        return state

    def whisper(self, component: str) -> dict:
        """Return a Whisper file's content: dimensions and state dict, in float32."""
        entry = json.loads((self.folder / "manifest_whisper.json").read_text())[
            component
        ]
        state = {
            key: self._draw(component, key, tuple(shape))
            for key, shape in entry["tensors"].items()
        }
        length, width = state["encoder.positional_embedding"].shape
        # Not random: the real table, as the network reads positions from it.
        state["encoder.positional_embedding"] = _sinusoids(length, width)
        return {"dims": entry["dims"], "model_state_dict": state}

    def _draw(self, component: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
        last = key.rpartition(".")[2]
        if last == "num_batches_tracked":
            return np.zeros((), np.int64)
        # A face of scale 0 would have no keypoints.
        if key == "detector.fc_scale.bias":
            return np.full(shape, 1.2, np.float32)
        return (
            _distribution(last, shape)(self.rng(component, key)) * GAINS.get(key, 1)
        ).astype(np.float32)


def write_checkpoints(recipe: Recipe, size: str, folder: Path) -> dict[str, Path]:
    """Write every component of a size ("small" or "full") in the published layout; part
    -> file.

    A size without a motion extractor or stitching networks of its own has none.
    """
    components = recipe.manifest["components"]
    files: dict[str, Path] = {}
    # The parts of the renderer, a file each.
    for part, module in MODULES.items():
        if f"{size}/{module}" in components:
            files[part] = folder / BASE_FOLDERS[False][0] / BASE_FILES[part]
            _save(recipe.state_dict(f"{size}/{module}"), files[part])
    if f"{size}/{stitching_component('stitching')}" in components:
        files[STITCHING] = write_stitching(recipe, size, folder)
    # The audio-driven LivePortrait's own formats: safetensors, and its statistics.
    files["flow_transformer"] = folder / TRANSFORMER_FILE
    files["flow_transformer"].parent.mkdir(parents=True)
    transformer = recipe.state_dict(f"{size}/animate_net")
    save_file(
        {key: torch.from_numpy(value) for key, value in transformer.items()},
        files["flow_transformer"],
    )
    files["whisper"] = folder / WHISPER_FILE
    _save(
        recipe.whisper("tiny/whisper" if size == "full" else "small/whisper"),
        files["whisper"],
    )
    _save(recipe.statistics(), folder / STATISTICS_FILE)
    return files


def write_stitching(recipe: Recipe, size: str, folder: Path) -> Path:
    """Write the file of S and R in the published layout, and return its path."""
    file = folder / STITCHING_FILE
    _save(stitching_entries(recipe, size), file)
    return file


def stitching_entries(recipe: Recipe, size: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the content of the stitching file: entry -> tensors."""
    entries = {}
    for part, place in parts_of(STITCHING).items():
        component = f"{size}/{stitching_component(part)}"
        entries[place.entry] = recipe.state_dict(component)
    return entries


def _distribution(
    last: str, shape: tuple[int, ...]
) -> Callable[[np.random.Generator], np.ndarray]:
    """Return how a tensor is drawn, by the last part of its name."""
    if last == "running_var":
        return lambda rng: rng.uniform(0.5, 1.5, shape)
    if last in ("weight_u", "weight_v"):
        return lambda rng: rng.standard_normal(shape)
    if last in ("running_mean", "gamma", "beta") or (last == "bias" and len(shape) < 2):
        return lambda rng: 0.1 * rng.standard_normal(shape)
    if len(shape) >= 2:
        gain = 2 if last == "weight_orig" else 1
        return lambda rng: (
            gain * (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))
        )
    return lambda rng: 1 + 0.1 * rng.standard_normal(shape)


def _estimate_spectral_norm(state: dict[str, np.ndarray], prefix: str) -> None:
    """Replace the drawn u and v by three power iterations, on purpose too few to
    converge."""
    weight = (
        state[f"{prefix}weight_orig"]
        .astype(np.float64)
        .reshape(state[f"{prefix}weight_orig"].shape[0], -1)
    )
    # u and v from the drawn u, in float64.
    u = state[f"{prefix}weight_u"].astype(np.float64)
    u /= np.linalg.norm(u)
    v = np.empty(0)
    for _ in range(POWER_ITERATIONS):
        v = weight.T @ u
        v /= np.linalg.norm(v)
        u = weight @ v
        u /= np.linalg.norm(u)
    state[f"{prefix}weight_u"] = u.astype(np.float32)
    state[f"{prefix}weight_v"] = v.astype(np.float32)


def _sinusoids(length: int, width: int) -> np.ndarray:
    """Return Whisper's table of positions, in PyTorch's float32 arithmetic."""
    rates = torch.exp(-np.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1).numpy()


def _save(content: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_tensors(content), path)


def _tensors(content: dict) -> dict:
    """Return the content with tensors in place of arrays, also in nested dicts."""
    tensors = {}
    for key, value in content.items():
        if isinstance(value, dict):
            value = _tensors(value)
        elif isinstance(value, np.ndarray):
            value = torch.as_tensor(value)
        tensors[key] = value
    return tensors
