"""Random keys of a run: a root for each purpose, so that no two purposes share a
draw."""

from enum import IntEnum

import jax
import numpy as np
from jaxtyping import PRNGKeyArray


# Numbers are part of a run's draws: they never change.
class Purpose(IntEnum):
    """Use of a root key."""

    WEIGHTS = 0
    UPDATES = 1
    VALIDATION = 2
    PLOTS = 3
    ADAPTERS = 4


def root_key(seed: int, purpose: Purpose) -> PRNGKeyArray:
    """Return the key from which all draws of a purpose are derived.

    Args:
      seed: up to 64 bits.
    """
    # JAX makes a key of 32 bits, and ignores higher ones.
    key = jax.random.key(seed % 2**32)
    if seed >= 2**32:
        key = jax.random.fold_in(key, np.uint32(seed >> 32))
    return jax.random.fold_in(key, purpose)
