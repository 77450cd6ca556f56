"""A data set of clips: made by parallel processes, resumed after an interruption."""

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2

from jaxportrait.console.workers import map_in_workers
from jaxportrait.ranges import LongSeed, OptionError, Range, check_ranges
from jaxportrait.whole import check_local, write_whole
from train.synthetic.clip import ClipPlan, make_clip
from train.synthetic.espeak import open_library
from train.synthetic.motion import ALL_EMOTIONS
from train.synthetic.speech import MISSING_ESPEAK, SpeechError

DESCRIPTION = "synthetic.json"
Number = Annotated[int, Range(1, 999)]
"""A number of subjects, or of clips of a subject: their names have three digits."""
PictureSize = Annotated[int, Range(64, 4096, multiple=2)]
"""Side of the square pictures in pixels; videos have even sides."""
Seconds = Annotated[float, Range(above=0, most=60)]
"""Least length of a clip."""
FORMAT = 2
"""Version of the drawing: it is raised when the same seed gives other pictures."""


@dataclass(frozen=True)
class Settings:
    """Settings of all clips of a data set.

    Attributes:
      seed: seed of everything random.
      seconds: least length of a clip, which ends with a sentence.
      size: side of the square pictures in pixels, even.
      emotions: emotions that clips act, in any order.
    """

    seed: LongSeed = 0
    seconds: Seconds = 4.0
    size: PictureSize = 256
    emotions: tuple[str, ...] = ALL_EMOTIONS

    def __post_init__(self) -> None:
        check_ranges(self)
        _check_emotions(self.emotions)

    @property
    def description(self) -> dict[str, Any]:
        """Note of a folder's settings.

        It names no emotions where clips act all of them.
        """
        noted = {"format": FORMAT, **asdict(self)}
        noted["emotions"] = _ordered(self.emotions)
        if len(self.emotions) == len(ALL_EMOTIONS):
            del noted["emotions"]
        return noted


def plan_clips(settings: Settings, subjects: int, clips: int) -> list[ClipPlan]:
    """Return all clips of a data set, subject by subject."""
    # The order of the names must not change which emotion a clip acts.
    emotions = tuple(_ordered(settings.emotions))
    plans = []
    for subject in range(subjects):
        for clip in range(clips):
            plan = ClipPlan(
                settings.seed,
                subject,
                clip,
                settings.seconds,
                settings.size,
                emotions,
            )
            plans.append(plan)
    return plans


def _ordered(emotions: Sequence[str]) -> list[str]:
    """Return emotions in the order of `ALL_EMOTIONS`."""
    return sorted(emotions, key=ALL_EMOTIONS.index)


def _check_emotions(emotions: Sequence[str]) -> None:
    for emotion in emotions:
        if emotion not in ALL_EMOTIONS:
            names = ", ".join(ALL_EMOTIONS)
            raise OptionError(f"emotions name {emotion!r}: choose among {names}")
    if not emotions or len(set(emotions)) < len(emotions):
        names = ", ".join(emotions) or "none"
        raise OptionError(
            f"emotions are {names}: name at least one, and each only once"
        )


def prepare_folder(root: Path, settings: Settings) -> None:
    """Make the folder and note its settings, or compare them with the folder's.

    Raises:
      ValueError: the folder holds clips of other settings.
      SpeechError: espeak-ng is not installed.
      OSError: the folder cannot be made.
    """
    check_local(root)
    if open_library() is None:
        raise SpeechError(MISSING_ESPEAK)
    description = settings.description
    path = root / DESCRIPTION
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{root} cannot be made ({error.strerror}): choose another --output-path"
        ) from error
    if not path.is_file():
        with write_whole(path) as partial:
            partial.write_text(json.dumps(description) + "\n", encoding="utf-8")
    else:
        _check_same(root, json.loads(path.read_text(encoding="utf-8")), description)


def _check_same(root: Path, present: dict, description: dict) -> None:
    if present != description:
        raise ValueError(
            f"{root} was made with {_words(present)}, not {_words(description)}: choose another folder"
        )


def make_clips(
    plans: Sequence[ClipPlan], root: Path, workers: int
) -> Generator[tuple[ClipPlan, int], None, None]:
    """Make clips in parallel.

    A clip whose worker is killed is left out, and the worker is replaced.

    Yields:
      Each clip with its number of frames as soon as it is done, in any order.

    Raises:
      ChildProcessError: workers were killed, as by a lack of memory; it is raised after
        the other clips.
      OSError: a clip could not be made or written.
    """
    failures = []
    make = partial(make_clip, root=root)
    loads = [_start_worker] * workers
    with closing(map_in_workers(make, plans, loads)) as results:
        for plan, frames in results:
            if isinstance(frames, ChildProcessError):
                name = plan.path(root, ".mp4").relative_to(root)
                failures.append(f"{name} ({frames})")
            else:
                yield plan, frames
    if failures:
        raise ChildProcessError(
            f"{len(failures)} of {len(plans)} clips were not made: {', '.join(failures)}; "
            "run again with fewer --workers to resume"
        )


def _start_worker() -> None:
    """Prepare a process that makes clips."""
    # Clips run in parallel, so that a picture needs one thread only.
    cv2.setNumThreads(1)


def _words(description: dict) -> str:
    """Return settings as a phrase for a message."""
    return ", ".join(f"{name} {value}" for name, value in description.items())
