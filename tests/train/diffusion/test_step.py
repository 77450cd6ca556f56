"""One update of the denoiser: losses by hand, draws by row, and what learns."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import leaves_of
from jaxportrait.models.parts import build as build_network
from tests.train.diffusion.worlds import CONFIG, make_batch, step_config
from train.diffusion.config import DenoiserSize, DiffusionLosses
from train.diffusion.losses import Half, half_terms, transition_term, weigh
from train.diffusion.stage import diffusion_program, hold_convolutions
from train.diffusion.step import (
    DENOISER,
    ENCODER,
    build,
    draw,
    predict,
    total_loss,
    train_step,
)
from train.engine.config import ConfigError
from train.engine.initial import by_path
from train.engine.mesh import make_mesh
from train.engine.state import TrainState, mean_gradients

pytestmark = pytest.mark.usefixtures("optax_promotion")
EXPRESSION = np.arange(4) < 3


def state_of(step, frozen=None) -> TrainState:
    program = diffusion_program(step, frozen or {})
    return program.on(make_mesh(1)).initial_state()


def encoder_leaves(step) -> dict[str, np.ndarray]:
    network = build_network(step.sizes[ENCODER], rngs=nnx.Rngs(0))
    return by_path({ENCODER: leaves_of(network)})


def half(predicted: np.ndarray, real: list[list[int]]) -> Half:
    values = jnp.asarray(predicted, jnp.float32)
    return Half(jnp.zeros_like(values), values, jnp.asarray(real, jnp.float32))


def test_losses_are_means_over_real_frames():
    """One value of expression moves by 2 a frame, the head by 1 after a rest."""
    predicted = np.zeros((1, 4, 4))
    predicted[0, :, 0] = [0, 2, 4, 6]
    predicted[0, :, 3] = [0, 0, 1, 1]
    terms = half_terms(half(predicted, [[1, 1, 1, 0]]), EXPRESSION)
    assert terms["simple"] == pytest.approx((4 + 16 + 1) / 12)
    assert terms["expression"] == pytest.approx((4 + 16) / 9)
    assert terms["expression_velocity"] == pytest.approx(8 / 6)
    assert terms["expression_smooth"] == pytest.approx(0)
    assert terms["head"] == pytest.approx(1 / 3)
    assert terms["head_velocity"] == pytest.approx(1 / 2)
    assert terms["head_smooth"] == pytest.approx(1)


def test_windows_without_real_frames_have_no_loss():
    terms = half_terms(half(np.ones((2, 4, 4)), [[0] * 4] * 2), EXPRESSION)
    assert all(float(term) == 0 for term in terms.values())


def test_the_head_is_continued_where_windows_meet():
    """Earlier poses rest at 0, and the window's begin at 1: a bend of 1, then back."""
    predicted = np.zeros((1, 8, 4))
    predicted[0, 4:, 3] = 1
    real = [[1] * 8]
    # Velocities 0 0 1 0 0, bends 0 1 -1 0, of which two count; jerks 1 -2 1.
    expected = (1 + 1) / 2 + (1 + 4 + 1) / 3
    assert transition_term(half(predicted, real), 4, EXPRESSION) == pytest.approx(
        expected
    )
    # With one real frame there is no pair of bends.
    short = half(predicted, [[1, 1, 1, 1, 1, 0, 0, 0]])
    assert transition_term(short, 4, EXPRESSION) == 0


def test_the_losses_as_published_count_the_second_half_of_the_expression():
    names = [
        "simple",
        "expression",
        "expression_velocity",
        "expression_smooth",
        "head",
        "head_velocity",
        "head_smooth",
    ]
    first = dict.fromkeys(names, jnp.asarray(0.0)) | {"expression": jnp.asarray(2.0)}
    second = dict.fromkeys(names, jnp.asarray(0.0)) | {"expression": jnp.asarray(4.0)}
    zero = jnp.asarray(0.0)
    meant = weigh((first, second), zero, DiffusionLosses())
    published = weigh((first, second), zero, DiffusionLosses(as_published=True))
    assert meant == pytest.approx(0.1 * (2 + 4) / 2)
    assert published == pytest.approx(0.1 * 1.5 * 4)


def test_draws_belong_to_rows():
    step = step_config()
    key = jax.random.key(0)
    whole = draw(step, key, jnp.arange(2000))
    part = draw(step, key, jnp.arange(5, 9))
    for ours, theirs in zip(jax.tree.leaves(part), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs[5:9])
    steps = np.asarray(whole.step)
    assert (steps.min(), steps.max()) == (1, 10)
    early = (np.asarray(whole.end) < 20).mean(axis=0)
    np.testing.assert_allclose(early, [0.3, 0.4], atol=0.04)
    assert np.asarray(whole.dropped).mean() == pytest.approx(0.1, abs=0.03)


def test_frames_after_an_early_end_change_nothing():
    step = step_config()
    params = state_of(step).params
    batch = make_batch(step)
    draws = draw(step, jax.random.key(0), batch["row"])
    draws = replace(draws, end=jnp.full_like(draws.end, 7))

    def loss(motion, features) -> np.ndarray:
        changed = {**batch, "motion": motion, "features": features}
        return total_loss(step, predict(build(step, params), changed, draws))

    reference = loss(batch["motion"], batch["features"])
    # The end of the second window is seen by nothing.
    motion = batch["motion"].at[:, 1, 7:].add(1.0)
    features = batch["features"].at[:, 1, 14:].add(1.0)
    assert loss(motion, features) == reference
    assert loss(batch["motion"].at[:, 1, 6].add(1.0), batch["features"]) != reference


def test_parts_of_a_batch_give_nearly_the_gradients_of_the_whole():
    """All frames are real, so that the means of parts weigh alike."""
    step = step_config(replace(CONFIG, truncation=(0.0, 0.0)))
    params = state_of(step).params
    batch = make_batch(step)
    draws = draw(step, jax.random.key(0), batch["row"])

    def loss(params, part):
        return total_loss(step, predict(build(step, params), *part))

    whole, parts = (
        mean_gradients(loss, params, (batch, draws), count) for count in (1, 4)
    )
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5)
    for name, leaf in whole[1].items():
        np.testing.assert_allclose(parts[1][name], leaf, atol=1e-6, err_msg=name)


def test_training_learns_a_batch():
    step = step_config()
    state = state_of(step)
    batch = make_batch(step)
    update = jax.jit(partial(train_step, step, {}))
    losses = []
    for _ in range(60):
        state, metrics = update(jax.random.key(0), state, batch)
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    assert {"gradient_norm", "learning_rate"} < metrics.keys()


@pytest.mark.parametrize("encoder", ["frozen", "trained"])
def test_hubert_is_frozen_or_learns_without_its_convolutions(encoder):
    config = hold_convolutions(replace(CONFIG, encoder=encoder, batch_size=2))
    step = step_config(config)
    weights = encoder_leaves(step)
    frozen = weights if encoder == "frozen" else {}
    initial = {} if encoder == "frozen" else weights
    program = diffusion_program(step, frozen)
    state = program.on(make_mesh(1)).initial_state(initial)
    before = jax.tree.map(np.asarray, state.params)
    batch = make_batch(step)
    state, metrics = jax.jit(partial(train_step, step))(
        frozen, jax.random.key(0), state, batch
    )
    assert np.isfinite(metrics["loss"])
    changed = {name for name in before if np.any(state.params[name] != before[name])}
    learnt = {name for name in changed if name.startswith(ENCODER)}
    assert any(name.startswith(DENOISER) for name in changed)
    assert not any("convs" in name for name in learnt)
    assert bool(learnt) == (encoder == "trained")


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="at most half"):
        DenoiserSize(frames=20, earlier_frames=11)
    with pytest.raises(ValueError, match="must divide the width"):
        DenoiserSize(width=10, heads=3)
