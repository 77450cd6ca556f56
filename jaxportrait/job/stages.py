"""Stages of a job, timed, with the seconds of compilation apart."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import jax

from jaxportrait.job.events import Notify, StageEnded, StageStarted

COMPILE_EVENTS = (
    "/jax/core/compile/backend_compile_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
)
"""Events by which JAX reports the seconds of a compilation."""

Stage = Callable[..., AbstractContextManager[None]]


@contextmanager
def time_stages(notify: Notify) -> Iterator[Stage]:
    """Yield a function `stage(name, frames=0)` that times the block under it.

    Events report its start and its end, with the seconds of compilation apart.
    """
    with count_compile_seconds() as compile_seconds:

        @contextmanager
        def stage(name: str, frames: int = 0) -> Iterator[None]:
            notify(StageStarted(name, frames))
            start = time.perf_counter()
            compiled = compile_seconds()
            yield
            # Not reached after an error: the stage has not ended.
            seconds = time.perf_counter() - start
            notify(StageEnded(name, seconds, compile_seconds() - compiled, frames))

        yield stage


@contextmanager
def count_compile_seconds() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the seconds JAX has spent compiling so far."""
    total = 0.0

    def count(event: str, duration_secs: float, **_: str | int) -> None:
        nonlocal total
        if event in COMPILE_EVENTS:
            total += duration_secs

    # Listeners are global, so every one must be removed.
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield lambda: total
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
