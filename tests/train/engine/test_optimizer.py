"""An optimizer step beside optax's own chain, and the memory that it moves."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from benchmarks.hlo import read_kernels
from train.engine.config import OptimizerConfig
from train.engine.state import Params, average_decay, begin, learning_rate, update

pytestmark = pytest.mark.usefixtures("optax_promotion")
CONFIG = OptimizerConfig(learning_rate=1e-2, warmup_steps=2, drop_steps=(3,))
SHAPES = {
    "a.kernel": (3, 64, 128),
    "a.bias": (128,),
    "b.kernel": (64, 48),
}
PASSES = 14
"""The norm reads gradients. A CPU has a kernel for each result: three arrays pass
through that of either moment and of the average, four through that of the weights."""


def draw(seed: int, size: float) -> Params:
    """Return normal values of a deviation."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in SHAPES.items():
        values = size * rng.standard_normal(shape)
        arrays[name] = jnp.float32(values)
    return arrays


@pytest.mark.parametrize("size", [1e-4, 1.0])
def test_an_update_is_that_of_optax(size: float):
    state = begin(draw(0, 1.0), CONFIG)
    params = state.params
    average = state.params
    chain = optax.chain(
        optax.clip_by_global_norm(CONFIG.clip_norm),
        optax.adamw(learning_rate(CONFIG), b2=CONFIG.beta2, weight_decay=1e-6),
    )
    moments = chain.init(params)
    step = jax.jit(partial(update, config=CONFIG))
    for seed in range(1, 6):
        gradients = draw(seed, size)
        rate = 1 - average_decay(state.step, CONFIG.ema_decay)
        state, norm = step(state, gradients)
        # The same by optax, operation after operation.
        changes, moments = chain.update(gradients, moments, params)
        params = optax.apply_updates(params, changes)
        average = approach(average, params, rate)
    assert float(norm) == pytest.approx(float(optax.tree.norm(gradients)))
    # Gradients are clipped in one of the two cases only.
    assert (norm > CONFIG.clip_norm) == (size == 1.0)
    compare(state.params, params)
    compare(state.average, average)
    # Checkpoints keep their layout.
    layout = jax.tree.structure(moments)
    assert jax.tree.structure(state.optimizer) == layout


def approach(average: Params, params: Params, rate: jax.Array) -> Params:
    """Return the average after one more update."""
    changes = jax.tree.map(jnp.subtract, params, average)
    # A change is small beside what it is added to.
    return jax.tree.map(lambda leaf, change: leaf + rate * change, average, changes)


def compare(ours: Params, theirs: Params) -> None:
    """Compare arrays at 1e-7 of their largest value."""
    for name, leaf in ours.items():
        largest = np.abs(theirs[name]).max()
        bound = 1e-7 * largest
        np.testing.assert_allclose(leaf, theirs[name], rtol=0, atol=bound)


def test_an_update_moves_each_array_no_oftener_than_it_must():
    shapes = jax.eval_shape(lambda: begin(draw(0, 1.0), CONFIG))
    step = jax.jit(partial(update, config=CONFIG), donate_argnums=0)
    compiled = step.lower(shapes, shapes.params).compile()
    text = compiled.as_text() or ""
    moved = sum(kernel.moved for kernel in read_kernels(text))
    size = 4 * sum(leaf.size for leaf in shapes.params.values())
    # Factors and the norm add little.
    assert moved / size < PASSES + 0.5
