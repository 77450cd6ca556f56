"""Random keys of a run."""

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from train.engine.keys import Purpose, root_key


def numbers(key: PRNGKeyArray) -> tuple[int, ...]:
    """Return the numbers that a key is made of."""
    data = jax.random.key_data(key)
    return tuple(np.asarray(data).tolist())


def test_every_bit_of_a_seed_counts():
    seeds = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    keys = set()
    for seed in seeds:
        keys.add(numbers(root_key(seed, Purpose.WEIGHTS)))
    assert len(keys) == len(seeds)


def test_a_seed_of_32_bits_is_a_key_of_jax():
    key = root_key(7, Purpose.UPDATES)
    expected = jax.random.fold_in(jax.random.key(7), Purpose.UPDATES)
    assert numbers(key) == numbers(expected)
