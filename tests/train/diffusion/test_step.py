"""One update of the denoiser: losses by hand, draws by row, and what learns."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from numpy.testing import assert_allclose

from tests.train.diffusion.worlds import (
    CONFIG,
    CONSTANT,
    encoder_leaves,
    make_batch,
    state_of,
    step_config,
)
from train.diffusion.config import DENOISER, ENCODER, DenoiserSize, DiffusionLosses
from train.diffusion.losses import Half, half_terms, transition_term, weigh
from train.diffusion.networks import build
from train.diffusion.stage import diffusion_program
from train.diffusion.step import draw, predict, total_loss, train_step
from train.engine.config import ConfigError
from train.engine.mesh import make_mesh

pytestmark = pytest.mark.usefixtures("optax_promotion")
EXPRESSION = np.arange(4) < 3


def half(predicted: np.ndarray, real: list[list[int]]) -> Half:
    values = jnp.asarray(predicted, jnp.float32)
    truth = jnp.zeros_like(values)
    return Half(truth, values, jnp.asarray(real, jnp.float32))


def test_losses_are_means_over_real_frames():
    """One value of expression moves by 2 a frame, the head by 1 after a rest."""
    predicted = np.zeros((1, 4, 4))
    # The last frame is not real.
    predicted[0, :, 0] = [0, 2, 4, 6]
    predicted[0, :, 3] = [0, 0, 1, 1]
    window = half(predicted, [[1, 1, 1, 0]])
    terms = half_terms(window, window.rows, EXPRESSION)
    # Squares over real frames and their values.
    expected = {
        "simple": 21 / 12,
        "expression": 20 / 9,
        "expression_velocity": 8 / 6,
        "expression_smooth": 0,
        "head": 1 / 3,
        "head_velocity": 1 / 2,
        "head_smooth": 1,
    }
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value), name


def test_windows_without_real_frames_have_no_loss():
    empty = half(np.ones((2, 4, 4)), [[0] * 4] * 2)
    terms = half_terms(empty, empty.rows, EXPRESSION)
    for name, term in terms.items():
        assert term == 0, name


def test_the_head_is_continued_where_windows_meet():
    """Earlier poses rest at 0, and the window's begin at 1: a bend of 1, then back."""
    predicted = np.zeros((1, 8, 4))
    predicted[0, 4:, 3] = 1
    whole = half(predicted, [[1] * 8])
    # Velocities 0 0 1 0 0, bends 0 1 -1 0, of which two count; jerks 1 -2 1.
    expected = (1 + 1) / 2 + (1 + 4 + 1) / 3
    term = transition_term(whole, whole.rows, 4, EXPRESSION)
    assert term == pytest.approx(expected)
    # With one real frame there is no pair of bends.
    rows = [[1, 1, 1, 1, 1, 0, 0, 0]]
    short = half(predicted, rows)
    assert transition_term(short, short.rows, 4, EXPRESSION) == 0


def test_the_losses_as_published_count_the_second_half_of_the_expression():
    zero = jnp.asarray(0.0)
    # No motion has no other loss.
    motionless = np.zeros((1, 4, 4))
    still = half(motionless, [[1] * 4])
    none = half_terms(still, still.rows, EXPRESSION)
    first = none | {"expression": jnp.asarray(2.0)}
    second = none | {"expression": jnp.asarray(4.0)}
    meant = weigh((first, second), zero, DiffusionLosses())
    published = weigh((first, second), zero, DiffusionLosses(as_published=True))
    assert meant == pytest.approx(0.1 * (2 + 4) / 2)
    assert published == pytest.approx(0.1 * 1.5 * 4)


def test_draws_belong_to_rows():
    step = step_config()
    key = random.key(0)
    whole = draw(step, key, jnp.arange(2000))
    part = draw(step, key, jnp.arange(5, 9))
    rows = jax.tree.map(lambda leaf: leaf[5:9], whole)
    # Keys among them are no numbers.
    ours = jax.tree.leaves(part)
    theirs = jax.tree.leaves(rows)
    for one, other in zip(ours, theirs, strict=True):
        assert jnp.all(one == other)
    # Every step of the diffusion is drawn.
    steps = np.unique(whole.step)
    np.testing.assert_array_equal(steps, np.arange(1, 11))
    is_early = np.asarray(whole.end) < 20
    early = is_early.mean(axis=0)
    assert_allclose(early, [0.3, 0.4], atol=0.04)
    # A tenth of the audio is left out.
    dropped = np.asarray(whole.dropped)
    share = dropped.mean()
    assert share == pytest.approx(0.1, abs=0.03)


def test_frames_after_an_early_end_change_nothing():
    step = step_config()
    params = state_of(step).params
    batch = make_batch(step)
    # The same draws for every change.
    key = random.key(0)
    draws = draw(step, key, batch["row"])
    # Both windows end at frame 7.
    end = jnp.full_like(draws.end, 7)
    draws = replace(draws, end=end)

    @jax.jit
    def loss(motion, features):
        changed = {**batch, "motion": motion, "features": features}
        networks = build(step, params)
        halves = predict(networks, changed, draws)
        return total_loss(step, halves, [half.rows for half in halves])

    reference = loss(batch["motion"], batch["features"])
    # The end of the second window is seen by nothing.
    motion = batch["motion"].at[:, 1, 7:].add(1.0)
    features = batch["features"].at[:, 1, 14:].add(1.0)
    assert loss(motion, features) == reference
    # The last frame before the end counts.
    motion = batch["motion"].at[:, 1, 6].add(1.0)
    assert loss(motion, batch["features"]) != reference


def test_parts_of_a_batch_train_as_the_whole():
    """Early ends and short clips leave other numbers of real frames in each part."""
    batch = make_batch(step_config())
    # Three clips end within one of their windows.
    ends = [[20, 20]] * 5 + [[9, 0], [20, 2], [20, 1]]
    batch["real"] = jnp.asarray(ends, jnp.int32)

    config = replace(CONFIG, denoiser=replace(CONFIG.denoiser, blocks=1))

    def losses_and_norms(accumulation: int) -> np.ndarray:
        step = step_config(replace(config, accumulation=accumulation))
        update = jax.jit(partial(train_step, step, {}))
        state = state_of(step)
        figures = []
        for seed in range(3):
            _, metrics = update(random.key(seed), state, batch)
            figures.append([metrics["loss"], metrics["gradient_norm"]])
        return np.array(figures)

    whole = losses_and_norms(1)
    parts = losses_and_norms(4)
    assert_allclose(parts, whole, rtol=2e-6)


def test_training_learns_a_batch():
    fast = replace(CONSTANT, learning_rate=1e-2)
    step = step_config(replace(CONFIG, optimizer=fast))
    state = state_of(step)
    # Every value of every frame is 1, which is soon known.
    batch = make_batch(step)
    batch["motion"] = jnp.ones_like(batch["motion"])
    update = jax.jit(partial(train_step, step, {}))
    key = random.key(0)
    losses = []
    for _ in range(60):
        state, metrics = update(key, state, batch)
        losses.append(float(metrics["loss"]))
    # Steps of the diffusion differ, so that single losses say little.
    start = np.mean(losses[:10])
    end = np.mean(losses[-10:])
    assert end < 0.5 * start
    assert {"gradient_norm", "learning_rate"} < metrics.keys()


@pytest.mark.parametrize("encoder", ["frozen", "trained"])
def test_hubert_is_frozen_or_learns_without_its_convolutions(encoder):
    config = replace(CONFIG, encoder=encoder, batch_size=2)
    step = step_config(config)
    weights = encoder_leaves(step)
    frozen = weights if encoder == "frozen" else {}
    initial = {} if encoder == "frozen" else weights
    program = diffusion_program(step, frozen)
    state = program.on(make_mesh(1)).initial_state(initial)
    before = jax.tree.map(np.asarray, state.params)
    batch = make_batch(step)
    update = jax.jit(partial(train_step, step))
    state, metrics = update(frozen, random.key(0), state, batch)
    assert np.isfinite(metrics["loss"])
    changed = []
    for name, leaf in before.items():
        if np.any(state.params[name] != leaf):
            changed.append(name)
    assert f"{DENOISER}.motion_in.kernel" in changed
    # Its blocks learn, and its convolutions do not.
    learns = f"{ENCODER}.blocks.0.expand.kernel" in changed
    assert learns == (encoder == "trained")
    assert not any("convs" in name for name in changed)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="at most half"):
        DenoiserSize(frames=20, earlier_frames=11)
    with pytest.raises(ValueError, match="must divide the width"):
        DenoiserSize(width=10, heads=3)


def test_convolutions_that_do_not_learn_do_not_decay():
    decaying = replace(CONSTANT, weight_decay=0.1)
    with pytest.raises(ConfigError, match=r"weight_decay is 0\.1"):
        replace(CONFIG, encoder="trained", optimizer=decaying)
