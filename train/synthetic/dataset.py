"""A data set of clips: made by several processes, and gone on with where it was
interrupted."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2

from train.synthetic.clip import UNFINISHED, ClipPlan, make_clip
from train.synthetic.espeak import open_library
from train.synthetic.speech import MISSING_ESPEAK, SpeechError

DESCRIPTION = "synthetic.json"
MOST = 999  # subjects, and clips of each: their names have three digits
SMALLEST_SIZE = 64
LONGEST = 60.0  # seconds
FORMAT = 2
"""Raised when the same seed comes to mean other pictures."""


@dataclass(frozen=True)
class Settings:
    """What all clips of a data set share.

    Attributes:
      seed: decides everything.
      seconds: a clip lasts at least so long; it ends with a sentence.
      size: of the square pictures, even.
    """

    seed: int = 0
    seconds: float = 4.0
    size: int = 256


def plan_clips(settings: Settings, subjects: int, clips: int) -> list[ClipPlan]:
    """All clips of a data set, subject by subject.

    Raises:
      ValueError: a number that makes no data set.
    """
    for name, value in (("subjects", subjects), ("clips", clips)):
        if not 1 <= value <= MOST:
            raise ValueError(f"--{name} must be from 1 to {MOST}, got {value}")
    if settings.seed < 0:
        raise ValueError(f"--seed must not be negative, got {settings.seed}")
    if not 0 < settings.seconds <= LONGEST:
        raise ValueError(
            f"--seconds must be over 0 and at most {LONGEST:g}, got {settings.seconds:g}"
        )
    if settings.size < SMALLEST_SIZE or settings.size % 2:
        raise ValueError(
            f"--size must be even and at least {SMALLEST_SIZE}, got {settings.size}"
        )
    chosen = (settings.seconds, settings.size)
    return [
        ClipPlan(settings.seed, subject, clip, *chosen)
        for subject in range(subjects)
        for clip in range(clips)
    ]


def prepare_folder(root: Path, settings: Settings) -> None:
    """Make the folder and note its settings, or check that they are those of the clips
    already there.

    Raises:
      ValueError: the folder holds clips of other settings.
      SpeechError: espeak-ng is not installed.
      OSError: the folder cannot be made.
    """
    if open_library() is None:
        raise SpeechError(MISSING_ESPEAK)
    description = {"format": FORMAT, **asdict(settings)}
    path = root / DESCRIPTION
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{root} cannot be made ({error.strerror}): choose another --output-path"
        ) from error
    if not path.is_file():
        with finished_file(path) as unfinished:
            unfinished.write_text(json.dumps(description) + "\n", encoding="utf-8")
    elif (found := json.loads(path.read_text(encoding="utf-8"))) != description:
        raise ValueError(
            f"{root} was made with {_words(found)}, not {_words(description)}: choose another folder"
        )
    for leftover in root.glob(f"{UNFINISHED}*"):  # of a run that was killed
        shutil.rmtree(leftover)


@contextmanager
def finished_file(path: Path) -> Iterator[Path]:
    """Give a temporary name that becomes `path` when the block ends well, and vanishes
    when it does not."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def make_clips(
    plans: Sequence[ClipPlan], root: Path, workers: int
) -> Iterator[tuple[ClipPlan, int]]:
    """Make clips; yields each with its number of frames as it is done, in any order.

    Raises:
      ValueError: no worker.
      ChildProcessError: a worker was killed, as by a lack of memory.
      OSError: what kept a clip from being made or written.
    """
    if workers < 1:
        raise ValueError(f"--workers must be at least 1, got {workers}")
    executor = ProcessPoolExecutor(
        min(workers, max(len(plans), 1)), get_context("spawn"), _start_worker
    )
    try:
        running = {executor.submit(make_clip, plan, root): plan for plan in plans}
        yield from (
            (running[future], future.result()) for future in as_completed(running)
        )
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"one of {workers} workers was killed, perhaps for lack of memory: run again with fewer --workers to go on"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Ctrl-C is the parent's to answer, and a worker ends with it; clips, not pictures,
    are what runs in parallel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """An executor's worker would wait for ever for one that was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _words(description: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in description.items())
