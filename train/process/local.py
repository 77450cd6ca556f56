"""The work on this machine: in this process, or in several."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from train.process.layouts import Clip
from train.process.recipe import Outcome, Recipe, failure


def extract_locally(recipe: Recipe, clips: Sequence[Clip], workers: int) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    A clip whose worker is killed, as by a decoder's fault or a lack of memory, is left out, and the worker replaced.
    """
    if workers > 1:
        yield from _share_out(recipe, clips, workers)
        return
    extractor = recipe.extractor()
    for clip in clips:
        yield clip, extractor.extract(clip)


class Worker:
    """A process that works on one clip at a time; it ends with its parent, however that ends."""

    def __init__(self, recipe: Recipe):
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, recipe), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, clip: Clip) -> None:
        self._clip = clip
        self.connection.send(clip)

    def finish(self) -> tuple[Clip, Outcome | None]:
        """The clip and what became of it; None if the process has died of it."""
        try:
            return self._clip, self.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._clip, None

    def stop(self) -> int | None:
        """End the process; returns its exit status, negative for a signal."""
        self._process.terminate()
        self._process.join()
        self.connection.close()
        return self._process.exitcode


def _share_out(recipe: Recipe, clips: Sequence[Clip], count: int) -> Iterator[tuple[Clip, Outcome]]:
    """Give each worker a clip, and the next one when it is done."""
    waiting = deque(clips)
    busy: dict[Connection, Worker] = {}

    def begin(worker: Worker) -> None:
        worker.begin(waiting.popleft())
        busy[worker.connection] = worker

    try:
        while waiting and len(busy) < count:
            begin(Worker(recipe))
        while busy:
            for connection in wait(list(busy)):
                worker = busy.pop(connection)  # pyright: ignore[reportArgumentType]
                clip, outcome = worker.finish()
                died = outcome is None
                if outcome is None:
                    outcome = failure(clip, ChildProcessError(f"its worker was killed (exit status {worker.stop()})"))
                if waiting:
                    begin(Worker(recipe) if died else worker)
                elif not died:
                    worker.stop()
                yield clip, outcome
    finally:
        for worker in busy.values():
            worker.stop()


def _serve(connection: Connection, recipe: Recipe) -> None:
    """Work until the parent hangs up. Ctrl-C is the parent's to answer, and all workers share a GPU's memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    extractor = recipe.extractor()
    while True:
        try:
            connection.send(extractor.extract(connection.recv()))
        except (EOFError, BrokenPipeError):
            return
