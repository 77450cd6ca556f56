"""Networks whose weights and batch are spread over devices."""

import os
import subprocess
import sys
from pathlib import Path

import jax
from flax import nnx
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from tests.closeness import assert_close
from tests.models.networks import SMALL_BOUND, call, inputs_of, outputs_of, tiny

ROOT = Path(__file__).parents[2]


def compare_sharded():
    """Compare networks over 8 devices with those on one.

    Their weights are split over 4 devices and their batch over 2.
    """
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
        devices = set()
        for leaf in jax.tree.leaves(nnx.state(sharded)):
            devices |= {shard.device for shard in leaf.addressable_shards}
        assert len(devices) == 8

        by_sample = NamedSharding(mesh, P("data"))
        inputs = [jax.device_put(x, by_sample) for x in inputs_of(part)]
        pairs = zip(call(sharded, inputs), outputs_of(part), strict=True)
        for ours, reference in pairs:
            assert_close(ours, reference, SMALL_BOUND)


def test_sharded_networks_equal_those_on_one_device():
    # The number of a CPU's devices is fixed when a process starts.
    command = (
        "import tests.conftest\n"
        "from tests.models.test_sharding import compare_sharded\n"
        "compare_sharded()"
    )
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    run = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
