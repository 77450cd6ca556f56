"""Every network: its published size, its dtypes, and its state under jit and vmap."""

import json
import math
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from convert_weights.networks import KEY_MAPS
from jaxportrait.checkpoint import Contents
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.inference import for_inference
from jaxportrait.models.parts import abstract, build, kind_of
from jaxportrait.ops.grid import coordinate_grid
from tests.closeness import assert_close
from tests.models.layers import rngs
from tests.models.networks import (
    COMPONENTS,
    HALF_BOUNDS,
    SMALL_BOUND,
    call,
    inputs_of,
    outputs_of,
    statistics_of,
    tiny,
)

HALF_PRECISION = [
    *((part, "bfloat16") for part in COMPONENTS if "retargeting" not in part),
    ("warping", "float16"),
    ("generator", "float16"),
]


@pytest.fixture
def lenient_promotion():
    """Flax's norms have JAX promote bfloat16, which the strict rules forbid."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def parameters(network: nnx.Module) -> int:
    leaves = jax.tree.leaves(nnx.state(network))
    return sum(leaf.size for leaf in leaves)


def apply(network: nnx.Module, inputs: list[jax.Array]) -> Any:
    return network(*inputs)


@pytest.mark.parametrize("part", COMPONENTS)
def test_full_networks_have_the_published_parameters(part, golden):
    components = json.loads((golden / "manifest.json").read_text())["components"]
    components |= json.loads((golden / "manifest_whisper.json").read_text())
    config = Contents.full().parts[part]
    patterns = [pattern for pattern, _ in KEY_MAPS[kind_of(config)].ignored]
    if part == "flow_transformer":
        patterns += ["latent_mean", "latent_std"]  # statistics, not parameters
    published = 0
    for key, shape in components[COMPONENTS[part]]["tensors"].items():
        if not any(fnmatchcase(key, pattern) for pattern in patterns):
            published += math.prod(shape)
    network = abstract(config)
    assert parameters(network) == published


@pytest.mark.parametrize(
    "part", ["appearance", "motion", "warping", "generator", "flow_transformer"]
)
def test_the_inference_form_is_the_same_function(part):
    form = for_inference(tiny(part))
    outputs = call(form, inputs_of(part))
    for ours, reference in zip(outputs, outputs_of(part), strict=True):
        assert_close(ours, reference, SMALL_BOUND)
    # The residual blocks of F have a norm before their convolutions.
    assert not statistics_of(form) or part == "appearance"
    for leaf in jax.tree.leaves(nnx.state(form)):
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize("part", ["appearance", "warping"])
def test_training_uses_the_statistics_of_the_batch_and_remembers_them(part):
    network = nnx.clone(tiny(part))
    before = statistics_of(network)
    network.train()
    outputs = nnx.jit(apply)(network, inputs_of(part))
    differences = []
    for ours, other in zip(jax.tree.leaves(outputs), outputs_of(part), strict=True):
        differences.append(float(jnp.abs(ours - other).max()))
    assert max(differences) > 1e-2
    for new, old in zip(statistics_of(network), before, strict=True):
        assert np.any(new != old)


@pytest.mark.usefixtures("lenient_promotion")
@pytest.mark.parametrize(("part", "dtype"), HALF_PRECISION)
def test_half_precision_keeps_its_weights_and_meets_float32(part, dtype):
    network = nnx.merge(nnx.graphdef(tiny(part, dtype)), nnx.state(tiny(part)))
    outputs = call(network, inputs_of(part))
    for ours, reference in zip(outputs, outputs_of(part), strict=True):
        assert_close(ours.astype(jnp.float32), reference, HALF_BOUNDS[dtype])
    leaves = jax.tree.leaves(nnx.state(network))
    assert {leaf.dtype.name for leaf in leaves} == {"float32"}


@pytest.mark.usefixtures("lenient_promotion")
@pytest.mark.parametrize(
    ("part", "dtypes"),
    [
        ("appearance", ["bfloat16"]),
        ("motion", ["float32"] * 6),
        ("warping", ["bfloat16", "float32", "float32", "float32"]),
        ("generator", ["float32"]),
        ("stitching", ["bfloat16"]),
        ("whisper", ["bfloat16"]),
        ("flow_transformer", ["float32"]),
    ],
)
def test_outputs_that_must_be_exact_are_float32_in_half_precision_too(part, dtypes):
    network = abstract(Contents.tiny().parts[part], dtype=jnp.bfloat16)
    outputs = nnx.eval_shape(apply, network, inputs_of(part))
    leaves = jax.tree.leaves(outputs)
    assert [leaf.dtype.name for leaf in leaves] == dtypes


@pytest.mark.parametrize("part", ["appearance", "stitching", "flow_transformer"])
def test_a_vmapped_network_is_a_batched_one(part):
    graph, state = nnx.split(tiny(part))

    @jax.jit
    def one_by_one(state, inputs):
        def single(*sample):
            batch_of_one = [leaf[None] for leaf in sample]
            return nnx.merge(graph, state)(*batch_of_one)

        return jax.vmap(single)(*inputs)

    inputs = inputs_of(part)
    outputs = jax.tree.leaves(one_by_one(state, inputs))
    for ours, reference in zip(outputs, call(tiny(part), inputs), strict=True):
        assert_close(ours[:, 0], reference, SMALL_BOUND)


def test_a_source_compressed_once_serves_every_frame():
    network = tiny("warping")
    volume, source, driving = inputs_of("warping")
    volume = volume[:1]
    source = source[:1]
    compressed = network.dense_motion.compress_volume(volume)
    shared = call(network, [volume, source, driving, compressed])
    # A copy of the source for each of the two frames.
    copies = [jnp.repeat(x, 2, axis=0) for x in (volume, source)]
    references = call(network, [*copies, driving])
    for ours, reference in zip(shared, references, strict=True):
        assert_close(ours, reference, SMALL_BOUND)


def test_places_without_mobility_stay_where_the_source_has_them():
    network = tiny("warping")
    volume, source, driving = inputs_of("warping")
    compressed = network.dense_motion.compress_volume(volume)
    height, width = volume.shape[2:4]
    half = height // 2
    # The upper half does not move.
    mobility = jnp.ones((1, height, width)).at[:, :half].set(0)
    free = network.dense_motion(compressed, source, driving).deformation
    bound = network.dense_motion(compressed, source, driving, mobility).deformation
    identity = coordinate_grid(*volume.shape[1:4])
    np.testing.assert_array_equal(bound[:, :, half:], free[:, :, half:])
    np.testing.assert_array_equal(bound[0, :, :half], identity[:, :half])
    assert np.abs(free - identity[None]).max() > 0.01


def test_the_velocity_of_a_fresh_flow_transformer_is_zero():
    network = build(FlowTransformerConfig.tiny(), rngs=rngs())
    (velocity,) = call(network, inputs_of("flow_transformer"))
    np.testing.assert_array_equal(velocity, 0)


def test_a_dropped_condition_is_the_null_vector_in_place_of_all_audio():
    network = tiny("flow_transformer")
    motion, time, audio = inputs_of("flow_transformer")
    # The null condition is of batch 1, the inputs are of batch 2.
    condition = jax.tree.map(
        lambda leaf: jnp.repeat(leaf, 2, axis=0), network.encode_null()
    )
    ours = network.velocity(motion, time, condition)
    null_audio = network.null_audio[...][None, None]
    null = jnp.broadcast_to(null_audio, audio.shape)
    assert_close(ours, network(motion, time, null), SMALL_BOUND)
