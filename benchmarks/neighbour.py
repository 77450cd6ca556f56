"""A contestant in a process of its own, whose allocator and threads leave ours
alone."""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

import jax


class Timing(NamedTuple):
    """What a call took.

    Attributes:
      seconds: by the clock.
      cpu: seconds of processor time, of all threads of its process, which other
        programs hardly change; threads that wait in a loop count as if they worked.
    """

    seconds: float
    cpu: float


def timed(run: Callable[[], Any]) -> Timing:
    """One call, what it dispatched included."""
    start, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(run())
    return Timing(time.perf_counter() - start, time.process_time() - cpu)


@dataclass(frozen=True)
class Prepared:
    """A call that a neighbour has prepared."""

    neighbour: "Neighbour"
    number: int

    def time(self) -> Timing:
        return self.neighbour._request("time", self.number)


class Neighbour:
    """An object that is made and asked in a process of its own.

    Errors of the object are raised here.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any):
        """
        Args:
          make: a function or class that can be pickled; called there, with `arguments`.

        Raises:
          FileNotFoundError: a package that it imports is not installed.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            self._answer()
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
        cls, what: Any, make: Callable[..., Any], *arguments: Any
    ) -> AbstractContextManager["Neighbour | None"]:
        """A neighbour made of `what` and `arguments`; none where `what` is None."""
        return nullcontext() if what is None else cls(make, what, *arguments)

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the object returns."""
        return self._request("ask", method, *arguments)

    def prepare(self, method: str, *arguments: Any) -> Prepared:
        """The function that a method of the object returns, to be timed there."""
        return Prepared(self, self._request("prepare", method, *arguments))

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, *request: Any) -> Any:
        self._pipe.send(request)
        return self._answer()

    def _answer(self) -> Any:
        try:
            done, value = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"the neighbour ended by itself, with status {self._process.exitcode}"
            ) from None
        if not done:
            raise value
        return value


def _serve(
    pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Make the object and answer requests, until the other end is closed."""
    prepared: list[Callable[[], Any]] = []
    made: Any = None

    def answer(kind: str, first: Any = None, *rest: Any) -> Any:
        nonlocal made
        if kind == "make":
            made = make(*arguments)
        elif kind == "ask":
            return getattr(made, first)(*rest)
        elif kind == "prepare":
            prepared.append(getattr(made, first)(*rest))
            return len(prepared) - 1
        elif kind == "time":
            return timed(prepared[first])
        return None

    request: tuple[Any, ...] = ("make",)
    while True:
        try:
            result = True, answer(*request)
        except Exception as error:
            result = False, error
        try:
            pipe.send(result)
            request = pipe.recv()
        except (EOFError, BrokenPipeError):
            return
