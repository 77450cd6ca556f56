"""The losses and gradients of JoyVASA's training on golden figures; part of
`python -m train.verify`."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from convert_weights.bundle import convert_files
from convert_weights.joyvasa.recipe import JoyVASARecipe, write_joyvasa
from convert_weights.networks.motion_diffusion import LAYERS
from convert_weights.parity import (
    Comparison,
    compare,
    compare_relative,
    forgotten,
    is_figure,
)
from jaxportrait.models.motion_diffusion import (
    MotionDiffusion,
    MotionDiffusionConfig,
)
from jaxportrait.models.parts import abstract
from jaxportrait.motion.space import MOTION_SPACES
from jaxportrait.ops.diffusion import add_noise, cosine_schedule
from train.diffusion.losses import Half, Terms, half_terms, transition_term
from train.engine.state import Params, network_of

SIZE = "small"
DENOISER = "motion_diffusion"
SAMPLES = 3
DROPOUT = 0.1
STEPS = (1, 5, 10)
REAL = (20, 7, 13)
"""Frames of the second window that count, of each sample."""
LOSS_BOUND = 2e-5
NORM_BOUND = 1e-4
NORMS = "train/gradient_norms"
NAMES = {
    "noise": "simple",
    "exp": "expression",
    "exp_vel": "expression_velocity",
    "exp_smooth": "expression_smooth",
    "head_angle": "head",
    "head_vel": "head_velocity",
    "head_smooth": "head_smooth",
}
"""JoyVASA's loss -> ours."""
ENDS = {"weight": ("kernel", "scale"), "bias": ("bias",)}
"""End of a tensor's name -> ends of a leaf's."""

Figures = dict[str, np.ndarray]
Predictions = tuple[Array, ...]
"""The denoiser's motion of each window, and of the frames before it."""


def verify_diffusion(golden: Path) -> list[Comparison]:
    """Compare losses, predictions and gradient norms of the recipe's small denoiser."""
    recipe = JoyVASARecipe(golden)
    figures = dict(np.load(golden / "train.npz"))
    with tempfile.TemporaryDirectory() as folder:
        files = write_joyvasa(recipe, SIZE, Path(folder), positions="sequence")
        converted = convert_files({}, joyvasa=files)
    leaves = converted.params[DENOISER]
    config = converted.configs[DENOISER]
    params = {name: jnp.asarray(leaf) for name, leaf in leaves.items()}
    template = abstract(config)

    def predict(params: Params) -> Predictions:
        network = network_of(template, params)
        return tuple(denoise(recipe, network, window) for window in range(2))

    # The figures are gradients of the simple losses.
    def simple_loss(params: Params) -> Array:
        first, second = golden_halves(recipe, config, predict(params))
        errors = half_terms(first, first.rows, expression())["simple"]
        errors += half_terms(second, second.rows, expression())["simple"]
        return errors / 2

    predictions = jax.jit(predict)(params)
    halves = golden_halves(recipe, config, predictions)
    rows = list(compare_losses(figures, halves, config.earlier_frames))
    for window, predicted in enumerate(predictions):
        name = f"train/target/{window}"
        rows.append(compare(figures, name, predicted, LOSS_BOUND))
    gradients = jax.jit(jax.grad(simple_loss))(params)
    manifest = json.loads((golden / "manifest.json").read_text())
    names = manifest["gradient_norms"]
    rows += compare_norms(names, figures[NORMS], gradients)
    # A figure that nothing is compared with is a failure.
    names = [name for name in figures if is_figure(name) and name != NORMS]
    return rows + forgotten(names, rows)


def compare_norms(
    names: Sequence[str], norms: Float[np.ndarray, " n"], gradients: Params
) -> Iterator[Comparison]:
    """Compare the norm of each tensor's gradient.

    Args:
      names: tensors of the original.
      norms: golden norms of their gradients.
      gradients: gradients of our leaves.
    """
    for name, norm in zip(names, norms, strict=True):
        gradient = np.ravel(gradients[leaf_of(name, gradients)])
        length = np.linalg.norm(gradient)
        yield compare_relative(f"{NORMS} {name}", length, norm, NORM_BOUND)


def compare_losses(
    figures: Figures, halves: tuple[Half, Half], earlier: int
) -> Iterator[Comparison]:
    """Compare the losses of both windows.

    Args:
      earlier: frames before the second window.
    """
    for index, half in enumerate(halves):
        terms: Terms = half_terms(half, half.rows, expression())
        for theirs, ours in NAMES.items():
            name = f"train/loss/{index}/{theirs}"
            yield compare_relative(name, terms[ours], figures[name], LOSS_BOUND)
    name = "train/loss/1/head_trans"
    second = halves[1]
    transition = transition_term(second, second.rows, earlier, expression())
    yield compare_relative(name, transition, figures[name], LOSS_BOUND)


def expression() -> Any:
    """Return the mask of the values that belong to the expression."""
    return MOTION_SPACES["joyvasa"].expression


def golden_halves(
    recipe: JoyVASARecipe, config: MotionDiffusionConfig, predictions: Predictions
) -> tuple[Half, Half]:
    """Return both windows beside the truth; the second one with the frames before it."""
    count = config.motion_frames
    earlier = config.earlier_frames
    motion, _ = golden_clip(recipe, config)
    whole = jnp.ones((SAMPLES, count))
    first = Half(motion[:, :count], predictions[0][:, earlier:], whole)
    frames = np.arange(-earlier, count)[None]
    # Frames before the window have negative numbers: all are real.
    real = jnp.asarray(frames < np.array(REAL)[:, None], jnp.float32)
    second = Half(motion[:, count - earlier :], predictions[1], real)
    return first, second


def golden_clip(
    recipe: JoyVASARecipe, config: MotionDiffusionConfig
) -> tuple[Array, Array]:
    """Return the recipe's motion and frames of audio."""
    frames = 2 * config.motion_frames
    motion_shape = (SAMPLES, frames, config.motion_width)
    motion = recipe.input("train/motion", motion_shape, 1)
    audio = recipe.input("train/audio", (SAMPLES, frames, config.width), 1)
    return jnp.asarray(motion), jnp.asarray(audio)


def denoise(recipe: JoyVASARecipe, network: MotionDiffusion, window: int) -> Array:
    """Return what the denoiser makes of a window at the recipe's noise and steps."""
    config = network.config
    motion, audio = golden_clip(recipe, config)
    earlier_motion, earlier_audio = network.start(SAMPLES)
    if window:
        end = config.motion_frames
        before = slice(end - config.earlier_frames, end)
        earlier_motion = motion[:, before]
        earlier_audio = audio[:, before]
    place = slice(window * config.motion_frames, (window + 1) * config.motion_frames)
    shape = (SAMPLES, config.motion_frames, config.motion_width)
    noise = recipe.input(f"train/noise/{window}", shape, 1)
    step = jnp.array(STEPS)
    schedule = cosine_schedule(config.steps)
    noisy = add_noise(motion[:, place], jnp.asarray(noise), step, schedule)
    draws = recipe.rng("input", f"train/drop/{window}").uniform(size=(SAMPLES,))
    dropped = jnp.asarray(draws < DROPOUT)[:, None, None]
    audio = jnp.where(dropped, network.encode_null(), audio[:, place])
    terms = network.audio_terms(earlier_audio, audio)
    return network.denoise(noisy, earlier_motion, step, terms)


def leaf_of(name: str, leaves: Mapping[str, Any]) -> str:
    """Return the leaf of one of JoyVASA's tensors.

    Of a cross attention only the values have a leaf, and a gradient.
    """
    # First, since the next rule matches its end, too.
    name = name.replace("multihead_attn.in_proj_", "multihead_attn.value.")
    name = name.replace("in_proj_", "in_proj.")
    number = re.search(r"layers\.(\d+)\.", name)
    index = number[1] if number else ""
    for prefix, path, _ in LAYERS:
        tensor = prefix.replace("{i}", index)
        leaf = path.replace("{i}", index)
        if name == tensor:
            return leaf
        for end in ENDS.get(name.removeprefix(f"{tensor}."), ()):
            if f"{leaf}.{end}" in leaves:
                return f"{leaf}.{end}"
    raise KeyError(name)
