"""A user's own scores of clips, from a table."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from jaxportrait.ranges import Finite, OptionError, check_ranges
from train.prepare.quality.gates import Limit

CLIP_COLUMN = "clip"


@dataclass(frozen=True)
class ScoreOptions:
    """A user's own scores, such as SyncNet's confidence.

    Attributes:
      scores: CSV file with a column `clip`, the path below the data set's root, and a
        column of numbers; clips that it lacks have no score, and pass.
      score_column: name of the column of numbers.
      least_score: least score that passes.
    """

    scores: Annotated[Path | None, tyro.conf.arg(metavar="CSV")] = None
    score_column: str = "score"
    least_score: Finite | None = None

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.least_score is not None and self.scores is None:
            raise OptionError(
                f"--least-score {self.least_score:g} needs scores: name their file by --scores"
            )

    def limits(self) -> list[Limit]:
        """Return the limit of the column `score`, if there is one."""
        if self.least_score is None:
            return []
        return [Limit("score", least=self.least_score)]


def read_scores(options: ScoreOptions) -> dict[str, float]:
    """Return the score of every clip in the table; none without a table.

    Raises:
      ValueError: the table lacks a column, or has a score that is no number.
      OSError: it cannot be read.
    """
    path = options.scores
    if path is None:
        return {}
    try:
        # spreadsheets begin UTF-8 with a byte-order mark
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(path, csv.DictReader(file), options.score_column)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from error


def _parse(path: Path, rows: csv.DictReader, column: str) -> dict[str, float]:
    names = rows.fieldnames or ()
    for name in (CLIP_COLUMN, column):
        if name not in names:
            raise ValueError(
                f"{path} has no column {name} (there are: {', '.join(names)}): add it, or choose another "
                "by --score-column"
            )
    scores = {}
    for row in rows:
        try:
            score = float(row[column])
        except (TypeError, ValueError):
            # one message for words, gaps, NaN and infinity
            score = math.nan
        if not math.isfinite(score):
            raise ValueError(
                f"{path}, line {rows.line_num}: the {column} {row[column]!r} is no number"
            )
        scores[row[CLIP_COLUMN]] = score
    return scores


def check_scores(
    options: ScoreOptions, scores: Mapping[str, float], clips: Sequence[str]
) -> None:
    """Raise a ValueError if there is a table, and it names none of the clips."""
    if options.scores is None or any(clip in scores for clip in clips):
        return
    raise ValueError(
        f"{options.scores} names none of the {len(clips)} clips: its column {CLIP_COLUMN} must hold "
        f"paths below --dataset-path, such as {clips[0]}"
    )
