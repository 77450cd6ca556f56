"""Every network: its published size, its inference form, its dtypes, and its state
under jit, vmap and sharding."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from convert_weights.networks import KEY_MAPS
from jaxportrait.checkpoint import Contents, fill, leaf_shapes
from jaxportrait.models.blocks import SpectralConv, fold
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.parts import abstract, build, kind_of
from jaxportrait.ops.grid import coordinate_grid
from tests.closeness import assert_close
from tests.models.test_blocks import draw, rngs

SMALL_BOUND = 3e-5
HALF_BOUNDS = {
    "bfloat16": 6e-2,
    "float16": 1e-2,
}  # of 8 and 11 bits, and a network rounds at every layer
COMPONENTS = {
    "appearance": "full/appearance_feature_extractor",
    "motion": "full/motion_extractor",
    "warping": "full/warping_module",
    "generator": "full/spade_generator",
    "stitching": "full/stitching_retargeting_module/stitching",
    "lip_retargeting": "full/stitching_retargeting_module/lip",
    "eye_retargeting": "full/stitching_retargeting_module/eye",
    "whisper": "tiny/whisper",
    "flow_transformer": "full/animate_net",
}
"""Part -> its name in the golden manifests."""

INPUTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "appearance": ((64, 64, 3),),
    "motion": ((64, 64, 3),),
    "warping": ((8, 16, 16, 4), (21, 3), (21, 3)),
    "generator": ((16, 16, 32),),
    "stitching": ((126,),),
    "lip_retargeting": ((65,),),
    "eye_retargeting": ((66,),),
    "whisper": ((60, 80),),
    "flow_transformer": ((30, 18), (), (50, 32)),
}
"""Part -> shapes of what its tiny network reads, without the batch."""


POWER_ITERATIONS = 5


@cache
def tiny(part: str, dtype: str = "float32") -> Any:
    """A tiny network of `drawn` weights; shared, so never changed."""
    return drawn(part, Contents.tiny().parts[part], dtype)


def drawn(part: str, config: Any, dtype: str = "float32") -> Any:
    """A network with every leaf drawn (fresh ones hold zeros).

    Its spectral norms are near the truth, as in any network: a drawn pair of vectors
    would divide by next to nothing.
    """
    network = abstract(config, dtype=jnp.dtype(dtype))
    fill(
        network,
        {
            name: draw_leaf(name, leaf.shape)
            for name, leaf in leaf_shapes(network).items()
        },
    )
    nnx.update(network, jax.tree.map(jnp.asarray, nnx.state(network)))
    for _, module in nnx.iter_graph(network):
        if isinstance(module, SpectralConv):
            for _ in range(POWER_ITERATIONS):
                module._iterate()
    network.eval()
    return network


def draw_leaf(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels that keep the size of what they meet; scales and variances about one; the
    rest about zero."""
    rng = np.random.default_rng(list(name.encode()))
    if name.endswith(("kernel", ".u", ".v")):
        return rng.standard_normal(shape, np.float32) / np.sqrt(
            np.float32(np.prod(shape[:-1]))
        )
    if name.endswith((".scale", ".var")) or name == "scale.bias":  # a head's scale, too
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return 0.1 * rng.standard_normal(shape, np.float32)


def inputs_of(part: str, batch: int = 2) -> list[jax.Array]:
    return [
        jnp.asarray(0.3 * draw(batch, *shape, seed=i))
        for i, shape in enumerate(INPUTS[part])
    ]


@jax.jit
def program(network: Callable, inputs: list[jax.Array]) -> Any:
    return network(*inputs)


def call(network: Callable, inputs: list[jax.Array]) -> list[jax.Array]:
    """The leaves of a network's output, from one jitted program of which the network is
    an argument."""
    return jax.tree.leaves(program(network, inputs))


@cache
def outputs_of(part: str) -> list[jax.Array]:
    """What a tiny network makes of those inputs."""
    return call(tiny(part), inputs_of(part))


@pytest.fixture
def lenient_promotion():
    """Flax's norms ask JAX to promote bfloat16 to float32, which the strict rules
    forbid."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def statistics_of(network: nnx.Module) -> list[np.ndarray]:
    return [
        np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(network, nnx.BatchStat))
    ]


@pytest.mark.parametrize("part", COMPONENTS)
def test_full_networks_have_the_published_parameters(part, golden):
    components = json.loads((golden / "manifest.json").read_text())["components"]
    components |= json.loads((golden / "manifest_whisper.json").read_text())
    config = Contents.full().parts[part]
    patterns = [pattern for pattern, _ in KEY_MAPS[kind_of(config)].ignored]
    if part == "flow_transformer":
        patterns += ["latent_mean", "latent_std"]  # statistics, not parameters
    published = sum(
        math.prod(shape)
        for key, shape in components[COMPONENTS[part]]["tensors"].items()
        if not any(fnmatchcase(key, pattern) for pattern in patterns)
    )
    network = abstract(config)
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network))) == published


@pytest.mark.parametrize(
    "part", ["appearance", "motion", "warping", "generator", "flow_transformer"]
)
def test_the_inference_form_is_the_same_function(part):
    folded = nnx.clone(tiny(part))
    fold(folded)
    for ours, reference in zip(
        call(folded, inputs_of(part)), outputs_of(part), strict=True
    ):
        assert_close(ours, reference, SMALL_BOUND)
    assert (
        not statistics_of(folded) or part == "appearance"
    )  # whose residual blocks norm before they convolve
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(nnx.state(folded)))


@pytest.mark.parametrize("part", ["appearance", "warping"])
def test_training_uses_the_statistics_of_the_batch_and_remembers_them(part):
    network, inputs = nnx.clone(tiny(part)), inputs_of(part)
    evaluated, stored = outputs_of(part), statistics_of(network)
    network.train()
    trained = jax.tree.leaves(
        nnx.jit(lambda network, inputs: network(*inputs))(network, inputs)
    )
    assert (
        max(
            float(jnp.abs(a - b).max()) for a, b in zip(trained, evaluated, strict=True)
        )
        > 1e-2
    )
    assert all(
        np.any(new != old)
        for new, old in zip(statistics_of(network), stored, strict=True)
    )


@pytest.mark.usefixtures("lenient_promotion")
@pytest.mark.parametrize(
    ("part", "dtype"),
    [(part, "bfloat16") for part in COMPONENTS if "retargeting" not in part]
    + [(part, "float16") for part in ("warping", "generator")],
)
def test_half_precision_keeps_its_weights_and_meets_float32(part, dtype):
    network = nnx.merge(nnx.graphdef(tiny(part, dtype)), nnx.state(tiny(part)))
    half, wide = call(network, inputs_of(part)), outputs_of(part)
    for ours, reference in zip(half, wide, strict=True):
        assert_close(ours.astype(jnp.float32), reference, HALF_BOUNDS[dtype])
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(network))} == {
        jnp.dtype(jnp.float32)
    }


@pytest.mark.usefixtures("lenient_promotion")
@pytest.mark.parametrize(
    ("part", "dtypes"),
    [
        ("appearance", ["bfloat16"]),
        ("motion", ["float32"] * 5),
        ("warping", ["bfloat16", "float32", "float32", "float32"]),
        ("generator", ["float32"]),
        ("stitching", ["bfloat16"]),
        ("whisper", ["bfloat16"]),
        ("flow_transformer", ["float32"]),
    ],
)
def test_what_must_be_exact_is_float32_in_half_precision_too(part, dtypes):
    network = abstract(Contents.tiny().parts[part], dtype=jnp.bfloat16)
    outputs = nnx.eval_shape(
        lambda network, inputs: network(*inputs), network, inputs_of(part)
    )
    assert [leaf.dtype.name for leaf in jax.tree.leaves(outputs)] == dtypes


@pytest.mark.parametrize("part", ["appearance", "stitching", "flow_transformer"])
def test_a_vmapped_network_is_a_batched_one(part):
    graph, state = nnx.split(tiny(part))

    @jax.jit
    def one_by_one(state, inputs):
        return jax.vmap(
            lambda *x: nnx.merge(graph, state)(*(leaf[None] for leaf in x))
        )(*inputs)

    inputs = inputs_of(part)
    outputs = jax.tree.leaves(one_by_one(state, inputs))
    for ours, reference in zip(outputs, call(tiny(part), inputs), strict=True):
        assert_close(ours[:, 0], reference, SMALL_BOUND)


def compare_sharded():
    """Every network with its weights split over 4 devices and its batch over 2, against
    one device."""
    mesh = jax.make_mesh(
        (2, 4), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2
    )

    def split_weights(leaf: jax.Array) -> jax.Array:
        whole = leaf.ndim == 0 or leaf.shape[-1] % mesh.shape["model"]
        spec = P() if whole else P(*(None,) * (leaf.ndim - 1), "model")
        return jax.device_put(leaf, NamedSharding(mesh, spec))

    for part in ("appearance", "flow_transformer"):
        graph, state = nnx.split(tiny(part))
        sharded = nnx.merge(graph, jax.tree.map(split_weights, state))
        inputs = [
            jax.device_put(x, NamedSharding(mesh, P("data"))) for x in inputs_of(part)
        ]
        assert (
            len(
                {
                    shard.device
                    for leaf in jax.tree.leaves(nnx.state(sharded))
                    for shard in leaf.addressable_shards
                }
            )
            == 8
        )
        for ours, reference in zip(
            call(sharded, inputs), outputs_of(part), strict=True
        ):
            assert_close(ours, reference, SMALL_BOUND)


def test_sharded_networks_equal_those_on_one_device():
    command = "import tests.conftest; from tests.models.test_networks import compare_sharded; compare_sharded()"
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", command],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_one_source_compressed_beforehand_serves_every_frame():
    network, (volume, source, driving) = tiny("warping"), inputs_of("warping")
    one = [volume[:1], source[:1]]
    shared = call(
        network, [*one, driving, network.dense_motion.compress_volume(one[0])]
    )
    repeated = [jnp.repeat(x, 2, axis=0) for x in one]
    for ours, reference in zip(
        shared, call(network, [*repeated, driving]), strict=True
    ):
        assert_close(ours, reference, SMALL_BOUND)


def test_what_is_not_mobile_stays_where_the_source_has_it():
    network, (volume, source, driving) = tiny("warping"), inputs_of("warping")
    compressed = network.dense_motion.compress_volume(volume)
    height, width = volume.shape[2:4]
    mobility = jnp.ones((1, height, width)).at[:, : height // 2].set(0)
    free, held = (
        network.dense_motion(compressed, source, driving, own)
        for own in (None, mobility)
    )
    own_places = coordinate_grid(*volume.shape[1:4])
    np.testing.assert_array_equal(
        held.deformation[:, :, height // 2 :], free.deformation[:, :, height // 2 :]
    )
    np.testing.assert_array_equal(
        held.deformation[0, :, : height // 2], own_places[:, : height // 2]
    )
    assert np.abs(free.deformation - own_places[None]).max() > 0.01


def test_a_fresh_flow_transformer_stands_still():
    network = build(FlowTransformerConfig.tiny(), rngs=rngs())
    np.testing.assert_array_equal(call(network, inputs_of("flow_transformer"))[0], 0)


def test_a_dropped_condition_is_the_null_vector_in_place_of_all_audio():
    network, (motion, time, audio) = (
        tiny("flow_transformer"),
        inputs_of("flow_transformer"),
    )
    null = jnp.broadcast_to(network.null_audio[...][None, None], audio.shape)
    condition = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (2, *leaf.shape[1:])), network.encode_null()
    )
    assert_close(
        network.velocity(motion, time, condition),
        network(motion, time, null),
        SMALL_BOUND,
    )
