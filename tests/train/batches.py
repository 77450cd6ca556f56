"""Checks of batches that hold whatever a data set's records are."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

Batches = Iterator[Mapping[str, np.ndarray]]


def check_rounds(clips: np.ndarray, count: int, rounds: int) -> None:
    """Check that every one of `count` clips comes once in each round, in an order that
    changes."""
    orders = clips.reshape(rounds, count)
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(count))
    # Some rounds have another order than the first.
    assert np.any(orders != orders[0])


def check_shares(whole: Batches, processes: Sequence[Batches], count: int) -> None:
    """Check that processes together read the batches that one process reads."""
    for _ in range(count):
        expected = next(whole)
        shares = [next(process) for process in processes]
        # Processes lay rows out in another order.
        rows = np.concatenate([share["row"] for share in shares])
        order = np.argsort(rows)
        for name, values in expected.items():
            together = np.concatenate([share[name] for share in shares])
            np.testing.assert_array_equal(together[order], values, err_msg=name)
