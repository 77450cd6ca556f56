"""The programs that are read for a GPU, as far as a machine without its compiler
goes."""

import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import SingleDeviceSharding

from benchmarks.hlo import Kernel
from benchmarks.kernels import (
    CARDS,
    Options,
    frames_program,
    motion_program,
    on_device,
    rows_of,
    update_program,
)

OPTIONS = Options(batch_size=2, seconds=2.0, windows=8)


def test_programs_are_of_the_published_size():
    place = partial(on_device, SingleDeviceSharding(jax.devices()[0]))
    with jax.numpy_dtype_promotion("standard"):  # Flax's norms and optax count on it
        frames, motion = (
            frames_program(OPTIONS, place).out_info,
            motion_program(OPTIONS, place).out_info,
        )
        state, metrics = update_program(OPTIONS, jax.devices()[:1]).out_info
    assert (frames.shape, frames.dtype) == ((2, 512, 512, 3), jnp.uint8)
    assert (motion.shape[1], motion.dtype) == (18, jnp.float32)
    assert sum(leaf.size for leaf in state.params.values()) > 5e8
    assert metrics["loss"].shape == ()


def test_collectives_go_over_the_links_of_a_card():
    card = CARDS["h200"]
    kernels = [
        Kernel("a", "collective", 0, card.link, 1),
        Kernel("b", "copy", 0, card.bandwidth, 2),
    ]
    assert [row[-1] for row in rows_of("x", kernels, card)] == [
        "1000.00",
        "2000.00",
        "3000.00",
    ]


@pytest.mark.skipif(
    find_spec("jax_plugins") is not None, reason="the compiler is installed"
)
def test_without_the_compiler_one_line_says_what_to_install():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kernels"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: no compiler for NVIDIA GPUs (topology not implemented for cuda): pip install -e '.[cuda12]'\n"
    )
