"""The work on this machine: in this process, or in several."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from train.data.clips import Clip
from train.prepare.recipe import (
    ExtractorError,
    Outcome,
    Recipe,
    failure,
    load_extractor,
)

LAST_BREATH = 5.0  # seconds in which a process that has hung up ends by itself


def extract_locally(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    A clip whose worker is killed, as by a decoder's fault or a lack of memory, is left
    out, and the worker replaced.

    Raises:
      ExtractorError: no worker can be made ready.
    """
    if workers > 1:
        yield from _share_out(recipe, clips, workers)
        return
    extractor = load_extractor(recipe)
    for clip in clips:
        yield clip, extractor.extract(clip)


class Worker:
    """A process that works on one clip at a time; it ends with its parent, however that
    ends."""

    def __init__(self, recipe: Recipe):
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, recipe), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait_until_ready(self) -> None:
        """Return when the extractor is loaded; raise an ExtractorError if that
        fails."""
        try:
            problem = self.connection.recv()
        except (EOFError, ConnectionResetError):
            problem = ExtractorError(
                f"no clip can be worked on: a worker ended while it loaded (exit status {self.status()}); "
                "if memory is short, take fewer --workers"
            )
        if problem is not None:
            raise problem

    def begin(self, clip: Clip) -> None:
        self._clip = clip
        with suppress(
            ConnectionError
        ):  # it has died since its last clip, which `finish` finds
            self.connection.send(clip)

    def finish(self) -> tuple[Clip, Outcome | None]:
        """The clip and what became of it; None if the process has died of it."""
        try:
            return self._clip, self.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._clip, None

    def status(self) -> int | None:
        """Exit status of the process, negative for a signal, when it has hung up."""
        self._process.join(LAST_BREATH)
        self.stop()
        return self._process.exitcode

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._process.terminate()
        self._process.join()
        self.connection.close()


def _share_out(
    recipe: Recipe, clips: Sequence[Clip], count: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Give each worker a clip, and the next one when it is done."""
    waiting, workers = (
        deque(clips),
        [Worker(recipe) for _ in range(min(count, len(clips)))],
    )
    busy: dict[Connection, Worker] = {}

    def begin(worker: Worker) -> None:
        worker.begin(waiting.popleft())
        busy[worker.connection] = worker

    def replace(worker: Worker) -> Worker:
        workers.remove(worker)
        workers.append(Worker(recipe))
        workers[-1].wait_until_ready()
        return workers[-1]

    try:
        for worker in workers:
            worker.wait_until_ready()
        for worker in workers:
            begin(worker)
        while busy:
            for connection in wait(list(busy)):
                worker = busy.pop(connection)  # pyright: ignore[reportArgumentType]
                clip, outcome = worker.finish()
                died = outcome is None
                if outcome is None:
                    outcome = failure(
                        clip,
                        ChildProcessError(
                            f"its worker was killed (exit status {worker.status()})"
                        ),
                    )
                if waiting:
                    begin(replace(worker) if died else worker)
                yield clip, outcome
    finally:
        for worker in workers:
            worker.stop()


def _serve(connection: Connection, recipe: Recipe) -> None:
    """Work until the parent hangs up. Ctrl-C is the parent's to answer, and all workers
    share a GPU's memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    with suppress(EOFError, BrokenPipeError):
        try:
            extractor = load_extractor(recipe)
        except ExtractorError as error:
            connection.send(error)
            return
        connection.send(None)
        while True:
            connection.send(extractor.extract(connection.recv()))
