"""`python -m train.synthetic --output-path DIR --subjects N --clips N`: draw talking
heads, in MEAD's layout."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.console.progress import show_progress
from jaxportrait.console.workers import Workers
from jaxportrait.ranges import LongSeed, check_ranges
from jaxportrait.whole import hold_folder
from train.synthetic.clip import ClipPlan
from train.synthetic.dataset import (
    Number,
    PictureSize,
    Seconds,
    Settings,
    make_clips,
    plan_clips,
    prepare_folder,
)
from train.synthetic.motion import ALL_EMOTIONS

SUMMARY = """Draw people who speak, with the truth of every frame.

An interrupted run resumes when it is started again."""
EXAMPLE = "--output-path data/heads --subjects 40 --clips 4"


@dataclass(frozen=True)
class Options:
    """Draw people who speak, with the truth of every frame.

    An interrupted run resumes when it is started again.

    Attributes:
      output_path: folder of the data set.
      subjects: number of people.
      clips: number of clips of each person.
      seconds: least length of a clip, which ends with a sentence.
      size: side of the square pictures in pixels.
      emotions: emotions that clips act, each clip one of them.
      seed: seed of everything random; more subjects or clips add to those of the same
        seed.
      workers: number of parallel processes.
    """

    output_path: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    subjects: Number
    clips: Number
    seconds: Seconds = 4.0
    size: PictureSize = 256
    emotions: tuple[str, ...] = ALL_EMOTIONS
    seed: LongSeed = 0
    workers: Workers = 2

    def __post_init__(self) -> None:
        check_ranges(self)


def main() -> None:
    options = parse_options(
        Options, "train.synthetic", summary=SUMMARY, example=EXAMPLE
    )
    with exit_on_error(resume="run the same command again to resume"):
        run(options, Console(markup=False))


def run(options: Options, console: Console) -> None:
    """Prepare the folder, and make what it lacks."""
    settings = Settings(options.seed, options.seconds, options.size, options.emotions)
    plans = plan_clips(settings, options.subjects, options.clips)
    prepare_folder(options.output_path, settings)
    with hold_folder(options.output_path):
        make_missing(options, plans, console)


def make_missing(options: Options, plans: Sequence[ClipPlan], console: Console) -> None:
    """Make the clips that are not there yet, in a folder that is held."""
    missing = [plan for plan in plans if not plan.is_done(options.output_path)]
    if len(missing) < len(plans):
        console.print(
            f"{len(plans) - len(missing)} of {len(plans)} clips are done already",
            highlight=False,
        )
    clips = make_clips(missing, options.output_path, options.workers)
    with closing(clips), show_progress(console, len(missing)) as advance:
        for _, frames in clips:
            advance(frames)


if __name__ == "__main__":
    main()
