"""What is read of a compiled program's text."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from benchmarks.hlo import Kernel, read_kernels

PROGRAM = (Path(__file__).parent / "gpu_program.txt").read_text(encoding="utf-8")
"""As XLA writes a program for an NVIDIA GPU: a copy, a convolution, products in a loop,
and a fusion that slices."""


def test_kernels_of_a_program_for_a_gpu():
    kernels = {kernel.name: kernel for kernel in read_kernels(PROGRAM)}
    kernel, maps, result = 3 * 3 * 64 * 32, 8 * 20 * 20 * 64, 8 * 20 * 20 * 32
    assert kernels == {
        "wrapped_transpose": Kernel("wrapped_transpose", "copy", 0, 2 * 2 * kernel, 1),
        "cudnn-conv.1": Kernel(
            "cudnn-conv.1",
            "convolution",
            2 * result * 3 * 3 * 64,
            2 * (kernel + maps + result),
            1,
        ),
        "custom-call.3": Kernel(
            "custom-call.3",
            "matrix product",
            2 * 16 * 128 * 128,
            2 * (2 * 16 * 128 + 128 * 128),
            25,
        ),
        "add_fusion": Kernel("add_fusion", "other", 0, 2 * (2 * 8 * 100 + 8), 1),
    }


def test_the_least_time_is_that_of_what_takes_longer():
    kernel = Kernel("", "other", flops=6e9, moved=2e9, calls=3)
    assert kernel.least_time(1e9, 1e9) == 18
    assert kernel.least_time(1e12, 1e9) == 6


def test_a_loop_without_a_known_length_is_refused():
    with pytest.raises(
        ValueError, match=r"the loop while\.1 runs until its condition says so"
    ):
        read_kernels(PROGRAM.replace("known_trip_count", "other"))


def test_the_text_of_this_version_of_jax_is_read():
    """Of a program for a CPU, whose products, loops and fusions are written in the same
    words."""

    def program(x: jax.Array, weights: jax.Array) -> jax.Array:
        x = lax.fori_loop(0, 7, lambda _, x: jnp.tanh(x @ weights), x)
        return jnp.take(x, jnp.array([3, 1, 2]), axis=0)

    compiled = (
        jax.jit(program).lower(jnp.ones((200, 300)), jnp.ones((300, 300))).compile()
    )
    kernels = read_kernels(compiled.as_text())
    assert (
        sum(kernel.flops * kernel.calls for kernel in kernels)
        == 7 * 2 * 200 * 300 * 300
    )
    assert sum(kernel.moved * kernel.calls for kernel in kernels) > 7 * 4 * (
        2 * 200 * 300 + 300 * 300
    )
