"""An update of the renderer in parts, and with values that are computed again."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.models.warping import WarpingConfig
from train.engine.config import ConfigError, OptimizerConfig
from train.engine.state import TrainState, begin
from train.engine.trainable import split
from train.renderer.config import (
    DiscriminatorConfig,
    LossWeights,
    Remat,
    RendererConfig,
)
from train.renderer.stage import fresh_leaves
from train.renderer.step import train_step

SIDE = 32
LANDMARKS = 4
SAMPLES = 4
QUICK: dict[str, str | bool] = {"xla_backend_optimization_level": 0}
# With an epsilon this large, weights move in proportion to their gradients.
GENTLE = OptimizerConfig(
    learning_rate=1.0, warmup_steps=0, drop_steps=(), epsilon=1.0, weight_decay=0.0
)
CONFIG = RendererConfig(
    image_size=SIDE,
    batch_size=SAMPLES,
    scales=2,
    guided=((0, 1), (3, 2)),
    gaps=((0, 3),),
    focused=(1,),
    remat="none",
    appearance=AppearanceConfig(4, 8, 2, 4, 4, 1),
    motion=MotionConfig((1,), (8,)),
    warping=WarpingConfig(21, 4, 4, 8, 1, 4, 8, 1, 3),
    generator=GeneratorConfig(8, 4, 8, 1, 1),
    discriminator=DiscriminatorConfig(4, 8, 1),
    losses=LossWeights(focus=5.0, gaps=1.0, correspondence=1.0),
    optimizer=GENTLE,
)
WARPING = replace(
    CONFIG,
    losses=LossWeights(
        0.0,
        focus=5.0,
        adversarial=0.0,
        feature_matching=0.0,
        equivariance=0.0,
        gaps=1.0,
        correspondence=1.0,
    ),
)
"""A run without pictures, which compiles sooner."""


def hold(config: RendererConfig) -> RendererConfig:
    """Return a run whose batch norms keep their statistics."""
    optimizer = replace(GENTLE, hold=("appearance", "warping"))
    return replace(config, optimizer=optimizer)


pytestmark = pytest.mark.usefixtures("optax_promotion")


@pytest.fixture(scope="module", name="batch")
def fixed_batch() -> dict[str, jax.Array]:
    return pairs()


@cache
def pairs() -> dict[str, jax.Array]:
    """Pairs of which different things are known."""
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {"row": np.arange(SAMPLES, dtype=np.int32)}
    for role in ("source", "driving"):
        pictures = rng.integers(0, 256, (SAMPLES, SIDE, SIDE, 3), np.uint8)
        landmarks = rng.uniform(-0.8, 0.8, (SAMPLES, LANDMARKS, 2))
        pose = rng.normal(size=(SAMPLES, 3))
        landmarks[0] = np.nan
        landmarks[2 if role == "source" else 3, 1:] = np.nan
        pose[1] = np.nan
        values |= {
            role: pictures,
            f"{role}_landmarks": landmarks.astype(np.float32),
            f"{role}_pose": pose.astype(np.float32),
        }
    return jax.tree.map(jnp.asarray, values)


@cache
def fresh(config: RendererConfig) -> tuple[Any, Any]:
    """Return weights and batch statistics of the networks, which options leave as they
    are."""
    return jax.jit(partial(fresh_leaves, config))()


@cache
def compiled(config: RendererConfig, samples: int) -> Any:
    """Return the update of so many samples, as a compiled function."""
    rows = jax.tree.map(lambda leaf: leaf[:samples], pairs())
    step = jax.jit(partial(train_step, config, None))
    lowered = step.lower(jax.random.key(0), first_state(config), rows)
    return lowered.compile(QUICK)


def first_state(config: RendererConfig) -> TrainState:
    params, measured = fresh(replace(config, remat="none", accumulation=1))
    trained, fixed = split(params, config.optimizer.hold)
    return begin(trained, config.optimizer, measured, fixed)


def update(config: RendererConfig, batch: Any) -> tuple[TrainState, dict[str, float]]:
    """Return the state after the first update, and its metrics."""
    step = compiled(config, len(batch["row"]))
    return step(jax.random.key(0), first_state(config), batch)


def check_equal(actual: Any, expected: Any, bound: float = 2e-5) -> None:
    """Check that trees are equal, relative to the largest value of each array."""
    assert actual.keys() == expected.keys()
    for name, leaf in expected.items():
        scale = np.abs(leaf).max() + 1e-6
        difference = np.abs(actual[name] - leaf).max()
        assert difference < bound * scale, name


def moves(config: RendererConfig, state: TrainState) -> dict[str, np.ndarray]:
    """Return how far each network's weights moved, as one vector a network."""
    first = first_state(config).params
    networks: dict[str, list[np.ndarray]] = {}
    for name, leaf in state.params.items():
        move = np.ravel(leaf - first[name])
        networks.setdefault(name.split(".")[0], []).append(move)
    return {name: np.concatenate(vectors) for name, vectors in networks.items()}


def half_of(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return the first half of the batch."""
    return {name: values[: SAMPLES // 2] for name, values in batch.items()}


# With pictures, compiling takes half a minute.
@pytest.mark.parametrize(
    ("config", "names"),
    [
        (hold(WARPING), {"pose", "landmarks", "gaps", "correspondence"}),
        pytest.param(
            hold(CONFIG),
            {"reconstruction", "hinge", "adversarial", "equivariance"},
            marks=pytest.mark.full,
        ),
    ],
)
def test_parts_of_a_batch_give_its_losses_and_its_update(batch, config, names):
    whole, terms = update(config, batch)
    parts, part_terms = update(replace(config, accumulation=2), batch)
    assert names <= terms.keys()
    check_equal(part_terms, terms)
    check_equal(parts.batch_statistics, whole.batch_statistics)
    check_equal(moves(config, parts), moves(config, whole), 1e-3)


def test_batch_norms_measure_each_part(batch):
    parts, _ = update(replace(WARPING, accumulation=2), batch)
    # Part i has every second sample from i on.
    measured = []
    for part in range(2):
        half = {name: values[part::2] for name, values in batch.items()}
        state, _ = update(WARPING, half)
        measured.append(state.batch_statistics)
    mean = {}
    for name, leaf in measured[0].items():
        mean[name] = (leaf + measured[1][name]) / 2
    check_equal(parts.batch_statistics, mean)
    # The halves differ, so that the mean is that of neither.
    name = "warping.flatten.norm.var"
    assert not np.allclose(measured[0][name], measured[1][name], rtol=1e-4)


@pytest.mark.full
@pytest.mark.parametrize("choice", ["blocks", "networks"])
def test_values_that_are_computed_again_are_the_same(batch, choice: Remat):
    plain, terms = update(CONFIG, batch)
    again, later_terms = update(replace(CONFIG, remat=choice), batch)
    check_equal(later_terms, terms)
    check_equal(again.batch_statistics, plain.batch_statistics)
    check_equal(moves(CONFIG, again), moves(CONFIG, plain), 1e-3)


def test_motion_and_warping_learn_the_same_from_values_that_are_computed_again(batch):
    plain, terms = update(WARPING, half_of(batch))
    again, later_terms = update(replace(WARPING, remat="blocks"), half_of(batch))
    check_equal(later_terms, terms)
    check_equal(again.batch_statistics, plain.batch_statistics)
    check_equal(moves(WARPING, again), moves(WARPING, plain), 1e-3)


def test_a_batch_that_cannot_be_cut_evenly_is_refused():
    with pytest.raises(ConfigError, match="batch_size 4 cannot be cut into 3 equal"):
        replace(CONFIG, accumulation=3)
