"""The random keys of a run: a root for each purpose, so that no draw of one is a draw
of another."""

from enum import IntEnum

import jax
from jaxtyping import PRNGKeyArray


class Purpose(IntEnum):
    """What a root key is for."""

    WEIGHTS = 0
    UPDATES = 1
    VALIDATION = 2
    PLOTS = 3


def root_key(seed: int, purpose: Purpose) -> PRNGKeyArray:
    """The key from which all draws of a purpose are derived."""
    return jax.random.fold_in(jax.random.key(seed), purpose)
