"""Low-rank adapters and held parameters of a flow transformer: their start, their
updates, a resumed run, and the checkpoint that they become."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxportrait.checkpoint import open_checkpoint
from tests.train.flow.worlds import CONFIG, FlowWorld, first_loss
from tests.train.runs import weights_of
from train.data.batches import Rows
from train.engine.adapters import (
    choose_targets,
    draw_adapters,
    merge_adapters,
    scale_adapters,
)
from train.engine.checkpoints import Checkpoints
from train.engine.config import ConfigError, LoraConfig, OptimizerConfig
from train.engine.mesh import make_mesh
from train.engine.state import TrainState
from train.export.write import Options, export
from train.flow.config import FlowConfig
from train.flow.stage import ADAPTED, PART, FlowStage, flow_program
from train.flow.step import build, validation_loss

pytestmark = pytest.mark.usefixtures("optax_promotion")
LORA = replace(CONFIG, lora=LoraConfig(rank=2, alpha=4.0))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> FlowWorld:
    return FlowWorld.make(tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def run(world: FlowWorld) -> Path:
    """A run of two updates of adapters."""
    return world.train("whole", world.open(config=LORA))


def saved_state(run: Path, stage: FlowStage) -> TrainState:
    checkpoints = Checkpoints(run)
    try:
        like = stage.program.on(make_mesh(1)).state
        return checkpoints.restore(checkpoints.steps[-1], like)[0]
    finally:
        checkpoints.close()


def start_leaves(world: FlowWorld) -> dict[str, np.ndarray]:
    return open_checkpoint(world.root / "start").leaves(PART)


def check_equal(leaves, expected) -> None:
    assert leaves.keys() == expected.keys()
    for name, leaf in expected.items():
        np.testing.assert_array_equal(leaves[name], leaf, err_msg=name)


def moments_of(state: TrainState) -> set[str]:
    mean = optax.tree.get(state.optimizer, "mu")
    square = optax.tree.get(state.optimizer, "nu")
    assert mean.keys() == square.keys()
    return set(mean)


def test_adapters_change_nothing_before_the_first_update(world: FlowWorld):
    stage = world.open(config=LORA)
    state = stage.program.on(make_mesh(1)).initial_state(stage.initial)
    (batch,) = stage.held_out(Rows(LORA.batch_size))
    error = jax.jit(validation_loss, static_argnums=(0, 1))
    batch = jax.tree.map(jnp.asarray, dict(batch))
    plain = error(LORA, stage.transformer, state.fixed, batch)
    # Attached, as in an update, and merged, as in a validation.
    attached = scale_adapters(state.params | state.fixed, LORA.lora)
    loss = error(LORA, stage.transformer, attached, batch)
    # Zeros are added: what is left is the rounding of another program.
    np.testing.assert_allclose(loss, plain, rtol=2e-7)
    assert first_loss(stage) == float(plain)


def test_only_adapters_are_trained(world: FlowWorld, run: Path):
    state = saved_state(run, world.open(config=LORA))
    check_equal(state.fixed, start_leaves(world))
    # The motion half of a joint block, its audio half, and a fused block; two stems.
    kernels = {name.rpartition(".lora_")[0] for name in state.params}
    assert kernels == {
        "audio_stem.mlp.w1.kernel",
        "audio_stem.mlp.w2.kernel",
        "audio_stem.mlp.w3.kernel",
        "fused_blocks.0.mlp.w1.kernel",
        "fused_blocks.0.mlp.w2.kernel",
        "fused_blocks.0.mlp.w3.kernel",
        "fused_blocks.0.out.kernel",
        "fused_blocks.0.qkv.kernel",
        "joint_blocks.0.audio.qkv.kernel",
        "joint_blocks.0.motion.mlp.w1.kernel",
        "joint_blocks.0.motion.mlp.w2.kernel",
        "joint_blocks.0.motion.mlp.w3.kernel",
        "joint_blocks.0.motion.out.kernel",
        "joint_blocks.0.motion.qkv.kernel",
        "motion_stem.mlp.w1.kernel",
        "motion_stem.mlp.w2.kernel",
        "motion_stem.mlp.w3.kernel",
    }
    assert len(state.params) == 2 * len(kernels)
    assert state.average.keys() == moments_of(state) == state.params.keys()
    for name, leaf in state.params.items():
        assert np.any(leaf), name


def test_a_run_of_adapters_in_two_parts_is_the_run_as_a_whole(
    world: FlowWorld, run: Path
):
    for steps in (1, 2):
        config = replace(LORA, loop=replace(LORA.loop, steps=steps))
        parts = world.train("parts", world.open(config=config))
    for kind in ("ema", "raw"):
        check_equal(weights_of(parts, kind)[0], weights_of(run, kind)[0])


def test_an_export_has_the_adapters_merged(world: FlowWorld, run: Path):
    path = world.root / "merged"
    export(Options(run, path, weights="raw", checkpoint=world.root / "start"))
    leaves = open_checkpoint(path).leaves(PART)
    weights, _ = weights_of(run, "raw")
    check_equal(leaves, merge_adapters(weights, LORA.lora))
    assert leaves.keys() == start_leaves(world).keys()
    # alpha / rank is 2; the product is of the taps and channels of a convolution.
    name = "fused_blocks.0.out.kernel"
    down, up = weights[f"{name}.lora_a"], weights[f"{name}.lora_b"]
    assert (down.shape, up.shape) == ((3 * 16, 2), (2, 16))
    change = 2 * (down @ up).reshape(3, 16, 16)
    np.testing.assert_allclose(leaves[name], weights[name] + change, atol=1e-6)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("bfloat16", 0.05)])
def test_merged_adapters_compute_what_attached_ones_do(
    world: FlowWorld, dtype: str, bound: float
):
    # Adapters that change the velocity by about its own size.
    start, sizes = start_leaves(world), world.open().transformer
    lora = choose_targets(LORA.lora, ADAPTED)
    drawn = draw_adapters(start, lora, jax.random.key(0))
    whole = {**start, **{name: leaf + 0.1 for name, leaf in drawn.items()}}
    rng = np.random.default_rng(0)
    motion = jnp.float32(rng.standard_normal((2, 30, sizes.motion_width)))
    audio = jnp.float32(rng.standard_normal((2, 50, sizes.audio_width)))

    @jax.jit
    def velocity(weights):
        return build(sizes, weights, dtype)(motion, jnp.array([0.2, 0.7]), audio)

    plain = velocity(start)
    attached = velocity(scale_adapters(whole, lora))
    merged = velocity(merge_adapters(whole, lora))
    size = np.abs(attached).max()
    np.testing.assert_allclose(merged, attached, rtol=0, atol=bound * size)
    assert np.abs(attached - plain).max() > 0.3 * size


def test_an_update_of_adapters_has_no_gradient_of_fixed_weights(world: FlowWorld):
    def flops(config: FlowConfig) -> float:
        program = flow_program(config, world.open().transformer).on(make_mesh(1))
        analysis = program.lower_update(config.batch_size).cost_analysis()
        assert analysis is not None
        return analysis["flops"]

    # A product, its input's gradient and its kernel's, of which the last is left out.
    assert flops(LORA) < 0.85 * flops(CONFIG)


def test_held_parameters_stay_and_the_rest_learns(world: FlowWorld):
    hold = ("audio_stem", "joint_blocks.*.mlp.*")
    optimizer = replace(CONFIG.optimizer, hold=hold, weight_decay=0.1)
    loop = replace(CONFIG.loop, steps=1)
    stage = world.open(config=replace(CONFIG, optimizer=optimizer, loop=loop))
    run = world.train("held", stage)
    state = saved_state(run, stage)
    start = start_leaves(world)
    held = {
        name
        for name in start
        if name.startswith("audio_stem.")
        or (name.startswith("joint_blocks.") and ".mlp." in name)
    }
    assert state.fixed.keys() == held
    assert state.average.keys() == moments_of(state) == start.keys() - held
    learnt, _ = weights_of(run, "raw")
    for name, leaf in start.items():
        assert np.array_equal(learnt[name], leaf) == (name in held), name


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"targets": ("*.bias",)}, r"names \*.bias, which matches no kernel"),
        ({"targets": ("*.atention.*",)}, r"lora.targets names \*.atention.\*, which"),
    ],
)
def test_targets_that_cannot_be_adapted_are_refused(lora, message, world: FlowWorld):
    config = replace(LORA, lora=LoraConfig(2, **lora))
    program = flow_program(config, world.open().transformer)
    with pytest.raises(ConfigError, match=message):
        program.on(make_mesh(1))


def test_a_pattern_of_a_whole_network_means_its_kernels():
    layers = {"a.first": (3, 4), "a.second": (4, 3, 2, 5), "b": (5, 2)}
    params = {f"{name}.kernel": jnp.ones(shape) for name, shape in layers.items()}
    biases = {f"{name}.bias": jnp.ones(shape[-1]) for name, shape in layers.items()}
    lora = LoraConfig(2, targets=("a",))
    adapters = draw_adapters(params | biases, lora, jax.random.key(0))
    assert {name: leaf.shape for name, leaf in adapters.items()} == {
        "a.first.kernel.lora_a": (3, 2),
        "a.first.kernel.lora_b": (2, 4),
        "a.second.kernel.lora_a": (4, 2),
        "a.second.kernel.lora_b": (2, 30),
    }


def test_adapters_that_cannot_be_meant_are_refused(world: FlowWorld):
    with pytest.raises(ConfigError, match=r"lora.rank is 0, which has no adapters"):
        LoraConfig(alpha=3.0)
    held = OptimizerConfig(hold=("audio_stem",))
    with pytest.raises(ConfigError, match=r"hold names audio_stem, and with lora.rank"):
        replace(LORA, optimizer=held)
    with pytest.raises(ConfigError, match=r"lora.rank is 2, and --init is missing"):
        world.open_fresh(LORA)
