"""Parity of training: `python -m train.verify --golden DIR` proves five updates on
figures of the published code.

The recipe's small flow transformer goes through the real converter, and then through
the real update, at the noise, times and dropped condition of the figures. The exit
status is 1 if any figure misses its bound.
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
from jax.typing import ArrayLike
from jaxtyping import Array

from convert_weights.bundle import convert_files, convert_network
from convert_weights.parity import Comparison, conclude, forgotten
from convert_weights.recipe import Recipe, write_checkpoints
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics, normalize
from train.engine.config import OptimizerConfig
from train.engine.state import Params, TrainState, begin, mean_gradients, update
from train.flow.step import Batch, Draws, StepConfig, build, flow_loss

STEPS, SAMPLES, DROPPED = 5, 4, 1
COMPONENT = "small/animate_net"
OPTIMIZER = OptimizerConfig(warmup_steps=0, drop_steps=())
LOSS_BOUND, NORM_BOUND, WEIGHT_BOUND = 1e-4, 1e-3, 2e-5
"""Relative, relative, and absolute: Adam amplifies the rounding of gradients near
zero."""


Figures = dict[str, np.ndarray]


@dataclass(frozen=True)
class Options:
    """Compare five updates with golden figures of the published code.

    Attributes:
      golden: folder of golden figures, of any seed.
    """

    golden: Annotated[Path, tyro.conf.arg(metavar="DIR")]


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    jax.config.update("jax_default_matmul_precision", "highest")
    conclude(verify(options.golden), "figure")


def verify(golden: Path) -> list[Comparison]:
    """Write and convert the recipe's small transformer, train it for five updates, and
    compare every figure."""
    recipe, figures = Recipe(golden), dict(np.load(golden / "train.npz"))
    with tempfile.TemporaryDirectory() as folder:
        files = write_checkpoints(recipe, "small", Path(folder))
        converted = convert_files({"flow_transformer": files["flow_transformer"]})
    transformer: FlowTransformerConfig = converted.configs["flow_transformer"]
    assert converted.statistics is not None
    batch, draws = golden_batch(recipe, transformer, converted.statistics)
    params = {
        name: jnp.asarray(leaf)
        for name, leaf in converted.params["flow_transformer"].items()
    }
    layout = TorchLayout.of(recipe, transformer)
    rows = [compare("t", draws.time, figures["t"], WEIGHT_BOUND)]
    rows += train(
        StepConfig(transformer, OPTIMIZER), params, batch, draws, layout, figures
    )
    return rows + forgotten(figures, rows)


def golden_batch(
    recipe: Recipe, transformer: FlowTransformerConfig, statistics: MotionStatistics
) -> tuple[Batch, Draws]:
    """The recipe's four windows, and what chance is said to have decided about them."""
    frames, width = transformer.motion_frames, transformer.motion_width
    expression = recipe.input("train/exp63", (SAMPLES, frames, 63), 0.02)
    motion = normalize(
        expression[..., list(MOTION_SPACES["lip"].columns)],
        statistics,
    )
    features = recipe.input(
        "train/audio", (SAMPLES, transformer.audio_frames, transformer.audio_width), 1
    )
    noise = recipe.input("train/noise", (SAMPLES, frames, width), 1)
    time = jax.nn.sigmoid(jnp.asarray(recipe.input("train/logit_t", (SAMPLES,), 1)))
    batch = {"motion": jnp.asarray(motion), "features": jnp.asarray(features)}
    return batch, Draws(jnp.asarray(noise), time, jnp.arange(SAMPLES) == DROPPED)


def train(
    config: StepConfig,
    params: Params,
    batch: Batch,
    draws: Draws,
    layout: "TorchLayout",
    figures: Figures,
) -> Iterator[Comparison]:
    """Five updates; their losses, the first one's gradient norms and the last one's
    weights against the figures."""

    @jax.jit
    def step(state: TrainState) -> tuple[TrainState, Array, Array, Params]:
        def loss(params: Params, part: tuple[Batch, Draws]) -> Array:
            return flow_loss(build(config, params), *part)

        value, gradients = mean_gradients(
            loss, state.params, (batch, draws), config.accumulation
        )
        following, norm = update(state, gradients, config.optimizer)
        scale = jnp.minimum(1.0, config.optimizer.clip_norm / norm)
        return (
            following,
            value,
            norm,
            jax.tree.map(lambda leaf: jnp.linalg.norm(leaf) * scale, gradients),
        )

    state, losses = begin(params, config.optimizer), []
    for number in range(STEPS):
        state, value, norm, clipped = step(state)
        losses.append(value)
        if number == 0:
            yield compare("grad_norm", norm, figures["grad_norm"], NORM_BOUND)
            named = {
                f"clipped_grad_norm/{layout.keys[name]}": leaf
                for name, leaf in clipped.items()
            }
            yield from (
                compare(figure, leaf, figures[figure], NORM_BOUND)
                for figure, leaf in named.items()
            )
    yield compare("losses", np.array(losses), figures["losses"], LOSS_BOUND)
    for name, leaf in state.params.items():
        if (figure := f"after5/{layout.keys[name]}") in figures:
            ours = layout.flat(name, np.asarray(leaf))[: figures[figure].size]
            yield Comparison(
                figure, float(np.abs(ours - figures[figure]).max()), WEIGHT_BOUND
            )


@dataclass(frozen=True)
class TorchLayout:
    """The original's names and order of values, found by sending both through the
    strict engine.

    Attributes:
      keys: leaf -> the original's tensor.
      positions: leaf -> where each of its values lies in that tensor, flat.
    """

    keys: dict[str, str]
    positions: dict[str, np.ndarray]

    @classmethod
    def of(cls, recipe: Recipe, transformer: FlowTransformerConfig) -> Self:
        tensors = recipe.manifest["components"][COMPONENT]["tensors"]

        def laid_out(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return convert_network(content, transformer).leaves

        numbers = laid_out(
            {
                key: np.full(shape, i, np.float32)
                for i, (key, shape) in enumerate(tensors.items())
            }
        )
        places = laid_out(
            {
                key: np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
                for key, shape in tensors.items()
            }
        )
        keys = list(tensors)
        return cls(
            {name: keys[int(leaf.flat[0])] for name, leaf in numbers.items()},
            {name: leaf.astype(np.int64) for name, leaf in places.items()},
        )

    def flat(self, name: str, leaf: np.ndarray) -> np.ndarray:
        """A leaf's values in the original's order."""
        values = np.empty(leaf.size, leaf.dtype)
        values[self.positions[name].ravel()] = leaf.ravel()
        return values


def compare(
    name: str, value: ArrayLike, figure: np.ndarray, bound: float
) -> Comparison:
    """The largest difference of any value, relative to its figure; a figure of 0 must
    be met exactly."""
    difference = np.abs(np.asarray(value, np.float64) - figure)
    relative = np.where(
        difference == 0,
        0.0,
        difference / np.maximum(np.abs(figure), np.finfo(np.float64).tiny),
    )
    return Comparison(name, float(relative.max()), bound)


if __name__ == "__main__":
    main()
