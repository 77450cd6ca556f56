"""Kernels are read from a compiled program's text."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from benchmarks.hlo import Kernel, read_kernels

PROGRAM = (Path(__file__).parent / "gpu_program.txt").read_text(encoding="utf-8")
"""A program for an NVIDIA GPU as XLA writes it.

It has a copy, a convolution, products in a loop, and a fusion that slices.
"""


def test_the_kernels_of_a_program_for_a_gpu():
    kernels = {kernel.name: kernel for kernel in read_kernels(PROGRAM)}
    weights = 3 * 3 * 64 * 32
    maps = 8 * 20 * 20 * 64
    result = 8 * 20 * 20 * 32
    factors = 2 * 16 * 128 + 128 * 128
    half = 2  # bytes of a number
    assert list(kernels.values()) == [
        Kernel("wrapped_transpose", "copy", 0, half * 2 * weights, 1),
        Kernel(
            "cudnn-conv.1",
            "convolution",
            2 * result * 3 * 3 * 64,
            half * (weights + maps + result),
            1,
        ),
        Kernel(
            "custom-call.3", "matrix product", 2 * 16 * 128 * 128, half * factors, 25
        ),
        Kernel("add_fusion", "other", 0, half * (2 * 8 * 100 + 8), 1),
    ]


def test_the_least_time_is_that_of_the_slower_of_operations_and_bytes():
    kernel = Kernel("", "other", flops=6e9, moved=2e9, calls=3)
    assert kernel.least_time(1e9, 1e9) == 18
    assert kernel.least_time(1e12, 1e9) == 6


def test_a_loop_without_a_known_length_is_refused():
    text = PROGRAM.replace("known_trip_count", "other")
    with pytest.raises(ValueError, match=r"the length of loop while\.1 is not known"):
        read_kernels(text)


def test_the_text_of_this_version_of_jax_is_read():
    # Products, loops and fusions of a CPU's program are written in the same words.
    @jax.jit
    def program(x: jax.Array, weights: jax.Array) -> jax.Array:
        x = lax.fori_loop(0, 7, lambda _, x: jnp.tanh(x @ weights), x)
        return jnp.take(x, jnp.array([3, 1, 2]), axis=0)

    compiled = program.lower(jnp.ones((200, 300)), jnp.ones((300, 300))).compile()
    kernels = read_kernels(compiled.as_text())
    flops = sum(kernel.flops * kernel.calls for kernel in kernels)
    moved = sum(kernel.moved * kernel.calls for kernel in kernels)
    assert flops == 7 * 2 * 200 * 300 * 300
    assert moved > 7 * 4 * (2 * 200 * 300 + 300 * 300)
