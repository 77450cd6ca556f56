"""One update of the flow transformer, and the optimizer's rules on figures known by
hand."""

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
from train.flow.config import FlowConfig, TransformerSize
from train.flow.stage import flow_program
from train.flow.step import (
    Draws,
    build,
    draw,
    flow_loss,
    train_step,
    validation_loss,
)

pytestmark = pytest.mark.usefixtures("optax_promotion")
TRANSFORMER = TransformerSize(16, 2, 1, 1).config("lip", 8)
CONFIG = FlowConfig(
    accumulation=1, optimizer=OptimizerConfig(warmup_steps=0, drop_steps=())
)
SAMPLES = 8
Batch = dict[str, jax.Array]


@pytest.fixture(scope="module")
def fresh() -> TrainState:
    return flow_program(CONFIG, TRANSFORMER).on(make_mesh(1)).initial_state()


@pytest.fixture(scope="module")
def state(fresh: TrainState) -> TrainState:
    """The state of a transformer none of whose weights is zero."""
    rng = np.random.default_rng(0)
    # The published initialisation starts with an output of 0.
    params = {
        name: leaf + jnp.float32(0.1 * rng.standard_normal(leaf.shape))
        for name, leaf in fresh.params.items()
    }
    return begin(params, CONFIG.optimizer)


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(1)
    motion = rng.standard_normal((SAMPLES, 30, 18))
    features = rng.standard_normal((SAMPLES, 50, 8))
    return {
        "motion": jnp.float32(motion),
        "features": jnp.float16(features),
        "row": jnp.arange(SAMPLES),
    }


def test_initial_weights_are_as_published(fresh: TrainState):
    params = fresh.params
    zeros = (
        "null_audio",
        "final_conv.kernel",
        "final_conv.bias",
        "final_modulation.linear.kernel",
    )
    for name in zeros:
        assert not np.any(params[name]), name
    assert np.std(params["time.expand.kernel"]) == pytest.approx(0.02, rel=0.2)

    def largest(name: str) -> float:
        return float(np.abs(params[name]).max())

    # Xavier's uniform distribution of 16 inputs and 48 outputs.
    bound = np.sqrt(6 / (16 + 48))
    assert 0.9 * bound < largest("fused_blocks.0.qkv.kernel") <= bound
    # PyTorch's default of a convolution: 7 taps of 18 channels.
    bound = 1 / np.sqrt(7 * 18)
    assert 0.9 * bound < largest("motion_stem.conv.kernel") <= bound
    assert 0.5 * bound < largest("motion_stem.conv.bias") <= bound


def test_parts_of_a_batch_give_the_gradients_of_the_whole(
    state: TrainState, batch: Batch
):
    draws = draw(jax.random.key(0), batch["row"], (30, 18), 0.5)

    def loss(params, part):
        return flow_loss(build(TRANSFORMER, params), *part)

    def gradients(microbatches: int):
        compute = jax.jit(partial(mean_gradients, loss, microbatches=microbatches))
        return compute(state.params, (batch, draws))

    whole_loss, whole = gradients(1)
    parts_loss, parts = gradients(2)
    np.testing.assert_allclose(parts_loss, whole_loss, rtol=1e-6)
    for name, leaf in whole.items():
        bound = 2e-6 * np.abs(leaf).max()
        np.testing.assert_allclose(parts[name], leaf, atol=bound, err_msg=name)


def test_draws_belong_to_rows_and_not_to_places():
    key, rows = jax.random.key(0), jnp.arange(6)
    together = draw(key, rows, (4, 2), 0.3)
    apart = draw(key, rows[::-2], (4, 2), 0.3)
    for name in ("noise", "time", "dropped"):
        whole, part = getattr(together, name), getattr(apart, name)
        np.testing.assert_array_equal(whole[::-2], part, err_msg=name)


def test_draws_have_their_distributions():
    many = draw(jax.random.key(0), jnp.arange(4000), (1, 1), 0.1)
    assert many.dropped.mean() == pytest.approx(0.1, abs=0.02)
    # Times are sigmoids of N(0, 1).
    logits = np.log(many.time / (1 - many.time))
    assert logits.mean() == pytest.approx(0, abs=0.05)
    assert logits.std() == pytest.approx(1, abs=0.05)
    assert many.noise.std() == pytest.approx(1, abs=0.05)


def test_a_dropped_condition_is_the_learned_vector(state: TrainState, batch: Batch):
    kept_audio = draw(jax.random.key(0), batch["row"], (30, 18), 0.0)
    dropped = Draws(kept_audio.noise, kept_audio.time, jnp.ones(SAMPLES, bool))
    features = batch["features"].astype(jnp.float32)
    null = state.params["null_audio"][None, None]
    null = jnp.broadcast_to(null, features.shape)
    network = build(TRANSFORMER, state.params)

    @jax.jit
    def loss(audio, draws):
        windows = {"motion": batch["motion"], "features": audio}
        return flow_loss(network, windows, draws)

    without_audio = float(loss(features, dropped))
    assert without_audio == pytest.approx(float(loss(null, kept_audio)), rel=1e-6)
    assert without_audio != pytest.approx(float(loss(features, kept_audio)), rel=1e-6)


def test_steps_learn_average_and_count(state: TrainState, batch: Batch):
    optimizer = replace(CONFIG.optimizer, learning_rate=3e-3)
    config = replace(CONFIG, optimizer=optimizer, condition_dropout=0.0)
    step = jax.jit(partial(train_step, config, TRANSFORMER))
    losses = []
    for _ in range(30):
        before = state
        state, metrics = step(jax.random.key(0), state, batch)
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert int(state.step) == 30
    assert float(metrics["learning_rate"]) == pytest.approx(3e-3)
    decay = 30 / 39  # (1 + n) / (10 + n) after n = 29 updates
    for name, leaf in state.average.items():
        expected = decay * before.average[name] + (1 - decay) * state.params[name]
        np.testing.assert_allclose(leaf, expected, rtol=1e-5, atol=1e-7)


def test_half_precision_is_close(state: TrainState, batch: Batch):
    def loss(dtype: str) -> float:
        config = replace(CONFIG, dtype=dtype)
        evaluate = jax.jit(partial(validation_loss, config, TRANSFORMER))
        return float(evaluate(state.params, batch))

    # Computed in half precision, and not merely stored.
    half, full = loss("bfloat16"), loss("float32")
    assert half == pytest.approx(full, rel=3e-2)
    assert half != full


def test_validation_keeps_the_audio_and_depends_only_on_rows(
    state: TrainState, batch: Batch
):
    evaluate = jax.jit(partial(validation_loss, CONFIG, TRANSFORMER))
    loss = evaluate(state.params, batch)
    # The same rows in another order.
    reverse = {name: leaf[::-1] for name, leaf in batch.items()}
    reverse_loss = evaluate(state.params, reverse)
    np.testing.assert_allclose(reverse_loss, loss, rtol=1e-6)
    # Other rows have other noise and times.
    others = batch | {"row": batch["row"] + SAMPLES}
    assert evaluate(state.params, others) != loss


def test_the_rate_rises_and_drops():
    config = OptimizerConfig(
        learning_rate=1.0, warmup_steps=4, drop_steps=(10, 12), drop_factor=0.1
    )
    rate = learning_rate(config)
    rise = [rate(step) for step in (0, 1, 3, 4, 9)]
    np.testing.assert_allclose(rise, [0.2, 0.4, 0.8, 1.0, 1.0], rtol=1e-6)
    drops = [rate(step) for step in (10, 11, 12, 50)]
    np.testing.assert_allclose(drops, [0.1, 0.1, 0.01, 0.01], rtol=1e-6)


def test_the_average_forgets_its_start():
    decays = [average_decay(jnp.asarray(n), 0.9999) for n in (0, 8, 10**6)]
    np.testing.assert_allclose(decays, [0.1, 0.5, 0.9999])


def test_the_clip_bounds_the_gradient():
    config = OptimizerConfig(warmup_steps=0, clip_norm=1.0)
    state = begin({"w": jnp.zeros(2)}, config)
    gradients = {"w": jnp.array([30.0, 40.0])}
    state, norm = update(state, gradients, config)
    assert float(norm) == pytest.approx(50)
    # A tenth of the clipped gradient.
    mean = jax.tree.leaves(state.optimizer)[1]
    np.testing.assert_allclose(mean, [0.06, 0.08], rtol=1e-5)


def test_a_batch_must_be_shared_out_equally():
    mesh = make_mesh(1)
    check_batch(8, 4, mesh)
    with pytest.raises(ConfigError, match="choose accumulation 1"):
        check_batch(7, 4, mesh)
    with pytest.raises(ConfigError, match="choose accumulation 3"):
        check_batch(6, 4, mesh)
    with pytest.raises(ConfigError, match="fsdp 3 does not divide"):
        make_mesh(3)
