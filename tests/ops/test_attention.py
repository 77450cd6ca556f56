"""`attend` is multi-head attention, as PyTorch computes it."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jaxportrait.ops.attention import attend
from tests.arrays import draw
from tests.closeness import assert_close

QUERY = draw(2, 7, 3, 4)
KEY = draw(2, 5, 3, 4)
VALUE = draw(2, 5, 3, 4)


def torch_attend(
    query: np.ndarray, key: np.ndarray, value: np.ndarray
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return PyTorch's attention, and the gradients of its sum of squares."""
    leaves = [torch.tensor(x, requires_grad=True) for x in (query, key, value)]
    # (n, t, heads, dim) -> (n, heads, t, dim)
    heads = [leaf.transpose(1, 2) for leaf in leaves]
    mixture = torch.nn.functional.scaled_dot_product_attention(*heads)
    result = mixture.transpose(1, 2).flatten(2)
    result.square().sum().backward()
    return result, [leaf.grad for leaf in leaves]


def test_attention_and_its_gradients_equal_those_of_torch():
    theirs, their_gradients = torch_attend(QUERY, KEY, VALUE)
    assert_close(attend(QUERY, KEY, VALUE), theirs.detach().numpy(), 1e-6)

    def energy(*arrays):
        return jnp.square(attend(*arrays)).sum()

    gradients = jax.grad(energy, argnums=(0, 1, 2))(QUERY, KEY, VALUE)
    for ours, other in zip(gradients, their_gradients, strict=True):
        assert_close(ours, other.numpy(), 1e-5)


def test_large_scores_do_not_overflow():
    strong = attend(100 * QUERY, 100 * KEY, VALUE)
    assert np.isfinite(strong).all()


def test_half_precision_keeps_its_dtype_and_is_close():
    half = [jnp.asarray(x, jnp.bfloat16) for x in (QUERY, KEY, VALUE)]
    ours = attend(*half)
    assert ours.dtype == jnp.bfloat16
    assert_close(ours.astype(jnp.float32), attend(QUERY, KEY, VALUE), 2e-2)
