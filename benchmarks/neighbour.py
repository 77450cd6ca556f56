"""A contestant in a process of its own, whose allocator and threads do not affect
ours."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import Any, NamedTuple, Self

import jax


class Timing(NamedTuple):
    """Duration of a call.

    Attributes:
      seconds: by the clock.
      cpu: seconds of processor time, of all threads of its process, which other
        programs hardly change; threads that wait in a loop count as if they worked.
    """

    seconds: float
    cpu: float


def timed(run: Callable[[], Any]) -> Timing:
    """Time one call, including the work it dispatched."""
    start = time.perf_counter()
    cpu = time.process_time()
    # JAX returns before its work is done.
    jax.block_until_ready(run())
    return Timing(time.perf_counter() - start, time.process_time() - cpu)


def time_in_turn(
    runs: dict[str, Callable[[], Timing]], repeats: int
) -> dict[str, list[Timing]]:
    """Return the timings of each run, which are repeated in turn."""
    for run in runs.values():
        # The first call compiles.
        run()
    timings: dict[str, list[Timing]] = {name: [] for name in runs}
    for _ in range(repeats):
        # In turn, so that what else the machine does falls on all of them.
        for name, run in runs.items():
            timings[name].append(run())
    return timings


class Host:
    """The other process's side: makes the contestant, and calls and times it."""

    def __init__(self):
        self._contestant: Any = None
        self._calls: list[Callable[[], Any]] = []

    def make(self, factory: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._contestant = factory(*arguments)

    def ask(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._contestant, method)(*arguments)

    def prepare(self, method: str, arguments: tuple[Any, ...]) -> int:
        """Keep the function that a method returns, under a number."""
        self._calls.append(self.ask(method, arguments))
        return len(self._calls) - 1

    def time(self, number: int) -> Timing:
        return timed(self._calls[number])


class HostManager(BaseManager):
    """Runs a `Host` in another process."""

    start_host: Callable[[], Any]


HostManager.register("start_host", Host)


@dataclass(frozen=True)
class Prepared:
    """A call that a neighbour has prepared."""

    neighbour: "Neighbour"
    number: int

    def time(self) -> Timing:
        return self.neighbour.request("time", self.number)


class Neighbour:
    """An object that lives in a process of its own.

    Errors of the object are raised here.
    """

    def __init__(self, factory: Callable[..., Any], *arguments: Any):
        """
        Args:
          factory: a function or class that can be pickled; called there, with
            `arguments`.

        Raises:
          FileNotFoundError: a package that it imports is not installed.
        """
        # A fresh interpreter: a fork would share the allocator and threads.
        self._manager = HostManager(ctx=get_context("spawn"))
        self._manager.start()
        self._host = self._manager.start_host()
        try:
            self.request("make", factory, arguments)
        except ModuleNotFoundError as error:
            self.close()
            raise FileNotFoundError(
                f"{error}: what is compared with needs it, so install it as well"
            ) from error
        except BaseException:
            self.close()
            raise

    @classmethod
    def beside(
        cls, rival: Any, factory: Callable[..., Any], *arguments: Any
    ) -> AbstractContextManager["Neighbour | None"]:
        """Return a neighbour made from `rival` and `arguments`; none if it is None."""
        return nullcontext() if rival is None else cls(factory, rival, *arguments)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Return the result of a method of the object."""
        return self.request("ask", method, arguments)

    def prepare(self, method: str, *arguments: Any) -> Prepared:
        """Return the function that a method of the object returns, to be timed there."""
        return Prepared(self, self.request("prepare", method, arguments))

    def request(self, name: str, *arguments: Any) -> Any:
        """Call a method of the `Host`.

        Raises:
          RuntimeError: the process has ended.
        """
        try:
            return getattr(self._host, name)(*arguments)
        except (EOFError, ConnectionError):
            # the manager does not say why its process ended
            process = self._manager._process  # pyright: ignore[reportAttributeAccessIssue]
            process.join()
            raise RuntimeError(
                f"the neighbour ended by itself, with status {process.exitcode}"
            ) from None

    def close(self) -> None:
        """End the process."""
        self._manager.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
