"""Random keys of a run: a root for each purpose, so that no two purposes share a
draw."""

from enum import IntEnum

import jax
from jaxtyping import PRNGKeyArray


# Numbers are part of a run's draws: they never change.
class Purpose(IntEnum):
    """Use of a root key."""

    WEIGHTS = 0
    UPDATES = 1
    VALIDATION = 2
    PLOTS = 3


def root_key(seed: int, purpose: Purpose) -> PRNGKeyArray:
    """Return the key from which all draws of a purpose are derived."""
    return jax.random.fold_in(jax.random.key(seed), purpose)
