"""The programs that are read for a GPU, without its compiler."""

import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from benchmarks.cards import TARGETS
from benchmarks.hlo import Kernel
from benchmarks.kernels import rows_of
from benchmarks.programs import (
    frames_program,
    loss_program,
    motion_program,
    on_device,
    update_program,
)


@pytest.fixture
def place():
    return partial(on_device, SingleDeviceSharding(jax.devices()[0]))


@pytest.fixture
def lenient_promotion():
    """Flax's norms and optax promote dtypes, which the strict rules forbid."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.usefixtures("lenient_promotion")
def test_frames_are_of_the_published_size(place):
    frames = frames_program(2, "float16", place).out_info
    assert (frames.shape, frames.dtype) == ((2, 512, 512, 3), jnp.uint8)


@pytest.mark.usefixtures("lenient_promotion")
def test_motion_is_of_the_published_size(place):
    motion = motion_program(2.0, 25, place).out_info
    assert (motion.shape[1], motion.dtype) == (18, jnp.float32)


@pytest.mark.usefixtures("lenient_promotion")
def test_updates_are_of_the_published_size():
    state, metrics = update_program(8, jax.devices()[:1]).out_info
    assert sum(leaf.size for leaf in state.params.values()) > 5e8
    assert metrics["loss"].shape == ()


@pytest.mark.usefixtures("lenient_promotion")
def test_a_loss_has_a_gradient_of_every_weight(place):
    loss, gradients = loss_program(8, place, gradients=True).out_info
    assert loss.shape == ()
    assert sum(leaf.size for leaf in gradients.values()) > 5e8


def test_collectives_go_over_the_links_of_a_card():
    target = TARGETS["h200"]
    # A second over the links, and two seconds of memory.
    kernels = [
        Kernel("a", "collective", 0, target.link, 1),
        Kernel("b", "copy", 0, target.card.bandwidth, 2),
    ]
    milliseconds = [row[-1] for row in rows_of("x", kernels, target)]
    assert milliseconds == ["1000.00", "2000.00", "3000.00"]


@pytest.mark.skipif(
    find_spec("jax_plugins") is not None, reason="the compiler is installed"
)
def test_without_the_compiler_one_line_says_what_to_install():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == (
        "error: no compiler for NVIDIA GPUs (topology not implemented for cuda): "
        "pip install -e '.[cuda12]'\n"
    )
