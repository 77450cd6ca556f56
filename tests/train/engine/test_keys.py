"""Random keys of a run."""

import jax
import numpy as np

from train.engine.keys import Purpose, root_key


def data(seed: int, purpose: Purpose = Purpose.WEIGHTS) -> list[int]:
    return np.asarray(jax.random.key_data(root_key(seed, purpose))).tolist()


def test_every_bit_of_a_seed_counts():
    seeds = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    assert len({tuple(data(seed)) for seed in seeds}) == len(seeds)


def test_a_seed_of_32_bits_is_a_key_of_jax():
    key = jax.random.fold_in(jax.random.key(7), Purpose.UPDATES)
    assert data(7, Purpose.UPDATES) == np.asarray(jax.random.key_data(key)).tolist()
