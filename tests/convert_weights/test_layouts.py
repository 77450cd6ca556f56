"""Each layout against the PyTorch operation whose tensor it turns."""

import numpy as np
import pytest
import torch

from convert_weights.layouts import (
    KINDS,
    interleaved_heads,
    outputs_last,
    singular_vector,
    without_leading_ones,
)

RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, np.float32)


@pytest.mark.parametrize("taps", [(), (3,), (3, 5), (3, 5, 7)])
def test_outputs_and_inputs_go_last(taps):
    weight = draw(4, 2, *taps)
    laid_out = outputs_last(weight, (*taps, 2, 4))
    assert laid_out.shape == (*taps, 2, 4)
    # Input 1 of output 3, at every tap.
    taps_of_one = laid_out[(..., 1, 3)]
    np.testing.assert_array_equal(taps_of_one, weight[3, 1])


def test_singular_vectors_meet_the_kernel_they_belong_to():
    weight = draw(4, 2, 3, 5)
    u = draw(4)
    v = draw(2 * 3 * 5)
    kernel = outputs_last(weight, (3, 5, 2, 4))
    vector = singular_vector(v, (3, 5, 2))
    # u W v is the same number in either layout.
    expected = u @ weight.reshape(4, -1) @ v
    ours = np.einsum("o,hwio,hwi->", u, kernel, vector)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_queries_keys_and_values_are_unpacked_innermost():
    heads = 2
    dim = 4
    inputs = 6
    weight = draw(3 * heads * dim, inputs)
    bias = draw(3 * heads * dim)
    x = draw(5, inputs)
    # PyTorch projects, and unpacks (tokens, heads, dim, {q, k, v}).
    tensors = map(torch.from_numpy, (x, weight, bias))
    projected = torch.nn.functional.linear(*tensors)
    unpacked = projected.reshape(5, heads, dim, 3)
    expected = unpacked.permute(3, 0, 1, 2).numpy()
    kernel = interleaved_heads(weight, (inputs, 3, heads, dim))
    offset = interleaved_heads(bias, (3, heads, dim))
    ours = np.einsum("tc,cphd->pthd", x, kernel) + offset[:, None]
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1, 1, 3)])
def test_leading_ones_go(shape):
    assert without_leading_ones(draw(*shape), (3,)).shape == (3,)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (7, 3), (2, 3, 4, 5, 6)])
def test_a_shape_that_does_not_fit_is_left_to_the_engine(kind, shape):
    tensor = draw(*shape)
    for rule in KINDS[kind]:
        leaf = (3, 2, 9)
        # These have taps before inputs and outputs.
        if rule.leaf_name in ("v", "kernel"):
            leaf = (3, 3, 2, 9)
        laid_out = rule.layout(tensor, leaf)
        assert laid_out.shape != leaf
