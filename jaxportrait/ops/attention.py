"""Multi-head attention, as all of the transformers here compute it."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxportrait.ops.dropout import KEEP, Keep


def attend(
    query: Float[Array, "n t heads dim"],
    key: Float[Array, "n s heads dim"],
    value: Float[Array, "n s heads dim"],
    drop: Keep = KEEP,
) -> Float[Array, "n t heads*dim"]:
    """Return the attention of every query to all keys, with its heads joined.

    The softmax is computed in float32 whatever the dtype of its inputs. `drop` leaves
    weights out in training.

    Source: Vaswani et al., "Attention is all you need", 2017.
    """
    # (n, t, heads, dim) -> (n, heads, t, dim): each head is a matrix of its own.
    query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    query = query * query.shape[-1] ** -0.5
    scores = jnp.einsum(
        "nhtd,nhsd->nhts", query, key, preferred_element_type=jnp.float32
    )
    # The largest cancels out, so that it needs no gradient.
    largest = lax.stop_gradient(scores.max(axis=-1, keepdims=True))
    shares = jnp.exp(scores - largest)
    total = shares.sum(axis=-1, keepdims=True)
    mixture = jnp.einsum(
        "nhts,nhsd->nhtd",
        drop(shares.astype(value.dtype)),
        value,
        preferred_element_type=jnp.float32,
    )
    # Divided last: a head has fewer values than it has scores.
    heads = (mixture / total).astype(value.dtype)
    # (n, heads, t, dim) -> (n, t, heads * dim)
    return jnp.swapaxes(heads, 1, 2).reshape(heads.shape[0], heads.shape[2], -1)
