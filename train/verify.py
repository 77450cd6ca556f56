"""`python -m train.verify --golden DIR`: prove five updates on golden figures of the
published code.

The recipe's small flow transformer passes the real converter, and then the real update,
at the noise, times and dropped condition of the figures. In a folder of JoyVASA's
figures, its small denoiser passes losses and gradients instead. The exit status is 1 if
any figure misses its bound.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Array

from convert_weights.bundle import convert_files, convert_network
from convert_weights.joyvasa.verify import is_joyvasa
from convert_weights.parity import (
    Comparison,
    compare_relative,
    conclude,
    forgotten,
)
from convert_weights.recipe import Recipe, write_checkpoints
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics, normalize
from train.engine.config import OptimizerConfig
from train.engine.state import Params, TrainState, begin, mean_gradients, update
from train.flow.step import Batch, Draws, build, flow_loss
from train.verify_diffusion import verify_diffusion

STEPS = 5
SAMPLES = 4
DROPPED = 1
"""Sample whose condition is dropped."""
COMPONENT = "small/animate_net"
OPTIMIZER = OptimizerConfig(warmup_steps=0, drop_steps=())
LOSS_BOUND = 1e-4
"""Relative to the loss."""
NORM_BOUND = 1e-3
"""Relative to a gradient's norm."""
WEIGHT_BOUND = 2e-5
"""Absolute: Adam amplifies the rounding of gradients near zero."""

Figures = dict[str, np.ndarray]


@dataclass(frozen=True)
class Options:
    """Compare five updates with golden figures of the published code.

    Attributes:
      golden: folder of golden figures of any seed.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]


SUMMARY = """Prove that training computes what the published code computes.

Five updates of the recipe's small flow transformer, or in a folder of JoyVASA's figures
the losses and gradients of its small denoiser, are compared with golden figures. The
exit status is 1 if any figure misses its bound."""
EXAMPLE = "--golden tests/golden"


def main() -> None:
    options = parse_options(Options, "train.verify", summary=SUMMARY, example=EXAMPLE)
    # Accelerators round products by more than the bounds.
    jax.config.update("jax_default_matmul_precision", "highest")
    with exit_on_error():
        prove = verify_diffusion if is_joyvasa(options.golden) else verify
        rows = prove(options.golden)
        conclude(rows, "figure")


def verify(golden: Path) -> list[Comparison]:
    """Write and convert the recipe's small transformer, train it for five updates, and
    compare every figure."""
    recipe = Recipe(golden)
    figures = dict(np.load(golden / "train.npz"))
    with tempfile.TemporaryDirectory() as folder:
        files = write_checkpoints(recipe, "small", Path(folder))
        converted = convert_files({"flow_transformer": files["flow_transformer"]})
    transformer: FlowTransformerConfig = converted.configs["flow_transformer"]
    assert converted.statistics is not None
    batch, draws = golden_batch(recipe, transformer, converted.statistics)
    leaves = converted.params["flow_transformer"]
    params = {name: jnp.asarray(leaf) for name, leaf in leaves.items()}
    # Figures are named and ordered as the original's tensors.
    layout = TorchLayout.of(recipe, transformer)
    rows = [compare_relative("t", draws.time, figures["t"], WEIGHT_BOUND)]
    rows += train(transformer, params, batch, draws, layout, figures)
    return rows + forgotten(figures, rows)


def golden_batch(
    recipe: Recipe, transformer: FlowTransformerConfig, statistics: MotionStatistics
) -> tuple[Batch, Draws]:
    """Return the recipe's four windows, and its random draws for them."""
    frames, width = transformer.motion_frames, transformer.motion_width
    # Inputs are drawn by name, as the recipe draws them for the original.
    expression = recipe.input("train/exp63", (SAMPLES, frames, 63), 0.02)
    columns = list(MOTION_SPACES["lip"].columns)
    motion = normalize(expression[..., columns], statistics)
    audio_shape = (SAMPLES, transformer.audio_frames, transformer.audio_width)
    features = recipe.input("train/audio", audio_shape, 1)
    noise = recipe.input("train/noise", (SAMPLES, frames, width), 1)
    logits = recipe.input("train/logit_t", (SAMPLES,), 1)
    time = jax.nn.sigmoid(jnp.asarray(logits))
    batch = {"motion": jnp.asarray(motion), "features": jnp.asarray(features)}
    return batch, Draws(jnp.asarray(noise), time, jnp.arange(SAMPLES) == DROPPED)


def train(
    transformer: FlowTransformerConfig,
    params: Params,
    batch: Batch,
    draws: Draws,
    layout: "TorchLayout",
    figures: Figures,
) -> Iterator[Comparison]:
    """Train for five updates; compare losses, gradient norms of the first update and
    weights after the last one."""

    @jax.jit
    def step(state: TrainState) -> tuple[TrainState, Array, Array, Params]:
        def loss(params: Params, part: tuple[Batch, Draws]) -> Array:
            return flow_loss(build(transformer, params), *part)

        value, gradients = mean_gradients(loss, state.params, (batch, draws), 1)
        following, norm = update(state, gradients, OPTIMIZER)
        # The figures hold norms after the clip.
        scale = jnp.minimum(1.0, OPTIMIZER.clip_norm / norm)
        clipped = jax.tree.map(lambda leaf: jnp.linalg.norm(leaf) * scale, gradients)
        return following, value, norm, clipped

    state = begin(params, OPTIMIZER)
    # Gradients are compared in the first update, before weights differ.
    losses = []
    for number in range(STEPS):
        state, value, norm, clipped = step(state)
        losses.append(value)
        if number == 0:
            yield compare_relative("grad_norm", norm, figures["grad_norm"], NORM_BOUND)
            for name, leaf in clipped.items():
                figure = f"clipped_grad_norm/{layout.keys[name]}"
                yield compare_relative(figure, leaf, figures[figure], NORM_BOUND)
    yield compare_relative("losses", np.array(losses), figures["losses"], LOSS_BOUND)
    for name, leaf in state.params.items():
        figure = f"after5/{layout.keys[name]}"
        if figure in figures:
            # Figures hold the first values of a tensor, in the original's order.
            expected = figures[figure]
            weights = layout.flat(name, np.asarray(leaf))[: expected.size]
            difference = float(np.abs(weights - expected).max())
            yield Comparison(figure, difference, WEIGHT_BOUND)


@dataclass(frozen=True)
class TorchLayout:
    """The original's names and order of values, found by sending numbers through the
    strict converter.

    Attributes:
      keys: leaf -> name of the original's tensor.
      positions: leaf -> place of each of its values in that tensor, flat.
    """

    keys: dict[str, str]
    positions: dict[str, np.ndarray]

    @classmethod
    def of(cls, recipe: Recipe, transformer: FlowTransformerConfig) -> Self:
        """Return the layout of the recipe's small transformer."""
        tensors = recipe.manifest["components"][COMPONENT]["tensors"]
        # Every value is the number of its tensor, and then its place in the tensor.
        numbers, places = {}, {}
        for number, (key, shape) in enumerate(tensors.items()):
            numbers[key] = np.full(shape, number, np.float32)
            # float32 counts exactly up to 16.8 million.
            places[key] = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        number_leaves = convert_network(numbers, transformer).leaves
        place_leaves = convert_network(places, transformer).leaves
        keys = list(tensors)
        return cls(
            # A leaf comes from one tensor, so any of its values will do.
            {name: keys[int(leaf.flat[0])] for name, leaf in number_leaves.items()},
            {name: leaf.astype(np.int64) for name, leaf in place_leaves.items()},
        )

    def flat(self, name: str, leaf: np.ndarray) -> np.ndarray:
        """Return a leaf's values in the original's order."""
        values = np.empty(leaf.size, leaf.dtype)
        values[self.positions[name].ravel()] = leaf.ravel()
        return values


if __name__ == "__main__":
    main()
