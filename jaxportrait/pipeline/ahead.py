"""Batches that devices work on while the host uses earlier ones."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import jax

AHEAD = 2
"""Batches that may wait for the devices. They hold their inputs, so that only a few
may."""


def run_ahead(batches: Iterable[tuple[Any, int]]) -> Iterator[Any]:
    """Yield batches in order and on the host, without the rows that fill them up.

    The devices have their next batches before one is waited for.

    Args:
      batches: arrays that a device may not have finished, and how many of their rows
        count.
    """
    running = deque[tuple[Any, int]]()
    for batch in batches:
        running.append(batch)
        if len(running) > AHEAD:
            yield _fetch(*running.popleft())
    while running:
        yield _fetch(*running.popleft())


def _fetch(arrays: Any, count: int) -> Any:
    return jax.tree.map(lambda array: array[:count], jax.device_get(arrays))
