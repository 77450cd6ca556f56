from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.engine.config import ConfigError, OptimizerConfig
from train.engine.mesh import check_batch, make_mesh
from train.engine.state import (
    TrainState,
    average_decay,
    begin,
    learning_rate,
    mean_gradients,
    update,
)
from train.flow.config import TransformerSize
from train.flow.stage import flow_program
from train.flow.step import (
    Draws,
    StepConfig,
    build,
    draw,
    flow_loss,
    train_step,
    validation_loss,
)

pytestmark = pytest.mark.usefixtures("optax_promotion")
CONFIG = StepConfig(
    TransformerSize(16, 2, 1, 1).config("lip", 8),
    OptimizerConfig(warmup_steps=0, drop_steps=()),
)
SAMPLES = 8


@pytest.fixture(scope="module")
def fresh() -> TrainState:
    return flow_program(CONFIG, 0).initial_state(make_mesh(1))


@pytest.fixture(scope="module")
def state(fresh: TrainState) -> TrainState:
    """Of a transformer none of whose weights is zero."""
    rng = np.random.default_rng(0)
    params = {
        name: leaf + jnp.float32(0.1 * rng.standard_normal(leaf.shape))
        for name, leaf in fresh.params.items()
    }
    return begin(params, CONFIG.optimizer)


@pytest.fixture(scope="module")
def batch() -> dict[str, jax.Array]:
    rng = np.random.default_rng(1)
    motion, features = (
        rng.standard_normal((SAMPLES, 30, 18)),
        rng.standard_normal((SAMPLES, 50, 8)),
    )
    return {
        "motion": jnp.float32(motion),
        "features": jnp.float16(features),
        "row": jnp.arange(SAMPLES),
    }


def test_initial_weights_are_as_published(fresh: TrainState):
    params = fresh.params
    zero = {name for name, leaf in params.items() if not np.any(leaf)}
    assert {
        "null_audio",
        "final_conv.kernel",
        "final_conv.bias",
        "final_modulation.linear.kernel",
    } <= zero
    assert np.std(params["time.expand.kernel"]) == pytest.approx(0.02, rel=0.2)
    bound = np.sqrt(6 / (16 + 48))
    assert 0.9 * bound < np.abs(params["fused_blocks.0.qkv.kernel"]).max() <= bound
    stem = 1 / np.sqrt(7 * 18)
    assert 0.9 * stem < np.abs(params["motion_stem.conv.kernel"]).max() <= stem
    assert 0.5 * stem < np.abs(params["motion_stem.conv.bias"]).max() <= stem


def test_parts_of_a_batch_give_the_gradients_of_the_whole(
    state: TrainState, batch: dict[str, jax.Array]
):
    drawn = draw(jax.random.key(0), batch["row"], (30, 18), 0.5)
    loss = lambda params, part: flow_loss(build(CONFIG, params), *part)  # noqa: E731
    take = [jax.jit(partial(mean_gradients, loss, accumulation=n)) for n in (1, 2)]
    whole, parts = (gradients(state.params, (batch, drawn)) for gradients in take)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-6)
    for name, leaf in whole[1].items():
        np.testing.assert_allclose(
            parts[1][name], leaf, atol=2e-6 * np.abs(leaf).max(), err_msg=name
        )


def test_draws_belong_to_rows_and_not_to_places():
    key, rows = jax.random.key(0), jnp.arange(6)
    together, apart = draw(key, rows, (4, 2), 0.3), draw(key, rows[::-2], (4, 2), 0.3)
    jax.tree.map(
        lambda whole, part: np.testing.assert_array_equal(whole[::-2], part),
        together,
        apart,
    )
    many = draw(key, jnp.arange(4000), (1, 1), 0.1)
    assert many.dropped.mean() == pytest.approx(0.1, abs=0.02)
    logits = np.log(many.time / (1 - many.time))
    assert (logits.mean(), logits.std()) == (
        pytest.approx(0, abs=0.05),
        pytest.approx(1, abs=0.05),
    )
    assert many.noise.std() == pytest.approx(1, abs=0.05)


def test_a_dropped_condition_is_the_learned_vector(
    state: TrainState, batch: dict[str, jax.Array]
):
    drawn = draw(jax.random.key(0), batch["row"], (30, 18), 0.0)
    null = jnp.broadcast_to(
        state.params["null_audio"][None, None], batch["features"].shape
    )
    dropped = Draws(drawn.noise, drawn.time, jnp.ones(SAMPLES, bool))
    motion, network = {"motion": batch["motion"]}, build(CONFIG, state.params)
    loss = jax.jit(
        lambda features, draws: flow_loss(
            network, motion | {"features": features}, draws
        )
    )
    features = batch["features"].astype(jnp.float32)
    assert float(loss(features, dropped)) == pytest.approx(
        float(loss(null, drawn)), rel=1e-6
    )
    assert float(loss(features, dropped)) != pytest.approx(
        float(loss(features, drawn)), rel=1e-6
    )


def test_steps_learn_average_and_count(state: TrainState, batch: dict[str, jax.Array]):
    fast = replace(
        CONFIG,
        optimizer=replace(CONFIG.optimizer, learning_rate=3e-3),
        condition_dropout=0.0,
    )
    step, losses, now = jax.jit(partial(train_step, fast)), [], state
    for _ in range(30):
        before = now
        now, metrics = step(jax.random.key(0), now, batch)
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert (int(now.step), float(metrics["learning_rate"])) == (30, pytest.approx(3e-3))
    decay = 30 / 39  # (1 + n) / (10 + n) after n = 29 updates
    for name, leaf in now.average.items():
        expected = decay * before.average[name] + (1 - decay) * now.params[name]
        np.testing.assert_allclose(leaf, expected, rtol=1e-5, atol=1e-7)


def test_half_precision_is_close(state: TrainState, batch: dict[str, jax.Array]):
    half, full = (
        float(
            jax.jit(partial(validation_loss, replace(CONFIG, dtype=dtype)))(
                state.params, batch
            )
        )
        for dtype in ("bfloat16", "float32")
    )
    assert half == pytest.approx(full, rel=3e-2)
    assert half != full


def test_validation_keeps_the_audio_and_depends_on_rows_alone(
    state: TrainState, batch: dict[str, jax.Array]
):
    evaluate = jax.jit(partial(validation_loss, CONFIG))
    loss = evaluate(state.params, batch)
    turned = jax.tree.map(lambda leaf: leaf[::-1], batch)
    np.testing.assert_allclose(evaluate(state.params, turned), loss, rtol=1e-6)
    assert evaluate(state.params, batch | {"row": batch["row"] + SAMPLES}) != loss


def test_the_rate_rises_and_drops():
    rate = learning_rate(
        OptimizerConfig(
            learning_rate=1.0, warmup_steps=4, drop_steps=(10, 12), drop_factor=0.1
        )
    )
    np.testing.assert_allclose(
        [rate(n) for n in (0, 1, 3, 4, 9)], [0.2, 0.4, 0.8, 1.0, 1.0], rtol=1e-6
    )
    np.testing.assert_allclose(
        [rate(n) for n in (10, 11, 12, 50)], [0.1, 0.1, 0.01, 0.01], rtol=1e-6
    )


def test_the_average_forgets_its_start():
    np.testing.assert_allclose(
        [average_decay(jnp.asarray(n), 0.9999) for n in (0, 8, 10**6)],
        [0.1, 0.5, 0.9999],
    )


def test_the_clip_bounds_the_gradient():
    config = OptimizerConfig(warmup_steps=0, clip_norm=1.0)
    state, norm = update(
        begin({"w": jnp.zeros(2)}, config), {"w": jnp.array([30.0, 40.0])}, config
    )
    assert float(norm) == pytest.approx(50)
    mean = jax.tree.leaves(state.optimizer)[1]
    np.testing.assert_allclose(mean, [0.06, 0.08], rtol=1e-5)


def test_what_is_held_stays_and_the_rest_learns():
    params = {"still.kernel": jnp.ones(3), "moving.kernel": jnp.ones(3)}
    config = OptimizerConfig(
        learning_rate=0.1,
        warmup_steps=0,
        drop_steps=(),
        weight_decay=0.1,
        hold=("still",),
    )
    state, _ = update(
        begin(params, config), jax.tree.map(jnp.ones_like, params), config
    )
    np.testing.assert_array_equal(state.params["still.kernel"], 1.0)
    assert (state.params["moving.kernel"] < 0.95).all()
    with pytest.raises(ConfigError, match="hold names other; there are moving, still"):
        begin(params, replace(config, hold=("other",)))


def test_a_batch_must_be_shared_out_equally():
    mesh = make_mesh(1)
    check_batch(8, 4, mesh)
    with pytest.raises(ConfigError, match="choose accumulation 1"):
        check_batch(7, 4, mesh)
    with pytest.raises(ConfigError, match="choose accumulation 3"):
        check_batch(6, 4, mesh)
    with pytest.raises(ConfigError, match="fsdp 3 does not divide"):
        make_mesh(3)
