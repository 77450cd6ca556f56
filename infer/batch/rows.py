"""Rows of a batch: a CSV file, a file of JSON lines, or a folder."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import whitespace
from typing import Any

import msgspec

from infer.batch.columns import Values, check_names
from infer.batch.config import Pairs
from infer.uploads import SUFFIXES

EMPTY = f'{whitespace},"'
"""Characters of a line of CSV with nothing in its cells."""

Reader = Callable[[], Values]
"""Reads one row, or raises a ValueError about it."""


@dataclass(frozen=True)
class Row:
    """A row of a batch.

    Attributes:
      number: its number, from 1.
      values: the options that it has.
      fault: one line about a row that cannot be read; empty for all others.
    """

    number: int
    values: Values
    fault: str = ""


@dataclass(frozen=True)
class Rows:
    """All rows of a batch.

    Attributes:
      rows: in the order of the file.
      folder: folder that paths of inputs start from.
      remarks: lines for a user about files that are left out.
    """

    rows: list[Row]
    folder: Path
    remarks: tuple[str, ...] = ()


def read_rows(path: Path, pairs: Pairs = "name") -> Rows:
    """Read the rows of a file, or pair the files of a folder.

    A row that cannot be read has a fault, and leaves the others as they are.

    Raises:
      ValueError: the file is no such table, its columns are no options, or it has no row.
      OSError: it cannot be read.
    """
    if path.is_dir():
        return pair_files(path, pairs)
    if pairs != "name":
        raise ValueError(
            f"pairs are made of a folder's files, and {path} is a file: leave out --pairs"
        )
    # The suffix tells the format, since a line may look like either.
    readers = {".csv": read_csv, ".jsonl": read_json_lines}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ValueError(
            f"{path} is no folder and ends in {path.suffix!r}: pass a .csv or .jsonl file, or a folder"
        )
    try:
        rows = [read_row(number, line) for number, line in enumerate(read(path), 1)]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text in UTF-8 ({error.reason}): save it so"
        ) from error
    if not rows:
        raise ValueError(f"{path} has no rows: write a clip into each")
    return Rows(rows, path.parent)


def read_row(number: int, read: Reader) -> Row:
    """Return a row, which has a fault if it cannot be read."""
    try:
        return Row(number, read())
    except ValueError as error:
        return Row(number, {}, str(error))


def read_csv(path: Path) -> Iterator[Reader]:
    """Yield readers of the rows of a CSV file, whose first line names their options.

    An empty cell leaves an option as it is for all rows.

    Raises:
      ValueError: the first line is no list of options.
    """
    # A mark of byte order is what spreadsheets begin a file with.
    with path.open(encoding="utf-8-sig", newline="") as file:
        place = f"the first line of {path}"
        names = check_names(_split(next(file, ""), place), place)
        for number, line in enumerate(file, 2):
            # An empty line is no row.
            if line.strip(EMPTY):
                yield partial(_read_cells, names, line, f"line {number} of {path}")


def _split(line: str, place: str) -> list[str]:
    # By itself: a quote that does not end would take the lines below into its cell.
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"{place} is no CSV ({error}): correct it") from error


def _read_cells(names: list[str], line: str, place: str) -> Values:
    cells = _split(line, place)
    if len(cells) != len(names):
        raise ValueError(
            f"{place} has {len(cells)} cells, and the first line {len(names)}: "
            "put texts that hold commas in quotes"
        )
    pairs = zip(names, cells, strict=True)
    return {name: cell.strip() for name, cell in pairs if cell.strip()}


def read_json_lines(path: Path) -> Iterator[Reader]:
    """Yield readers of the rows of a file with a JSON object in every line.

    null leaves an option as it is for all rows.
    """
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield partial(_read_object, line, f"line {number} of {path}")


def _read_object(line: str, place: str) -> Values:
    try:
        options = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{place} is no JSON object ({error}): correct it") from error
    names = check_names(list(options), place)
    pairs = zip(names, options.values(), strict=True)
    return {name: value for name, value in pairs if value is not None}


def pair_files(folder: Path, pairs: Pairs) -> Rows:
    """Pair the pictures of a folder with the sounds, videos and files of motion.

    Args:
      pairs: "name" pairs files whose names differ in the suffix only, "all" every
        picture with every other file.

    Raises:
      ValueError: there is nothing to pair.
    """
    # Not those of folders within it, such as earlier clips.
    files = sorted(path for path in folder.iterdir() if path.is_file())
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES["picture"]]
    driving_suffixes = {
        suffix for kind in ("sound", "video", "motion") for suffix in SUFFIXES[kind]
    }
    driving = [path for path in files if path.suffix.lower() in driving_suffixes]
    for kind, members in (("pictures", pictures), ("sounds or videos", driving)):
        if not members:
            raise ValueError(
                f"{folder} holds no {kind}: pass a folder of pictures and of files that drive them"
            )
    couples = [
        (picture, path)
        for picture in pictures
        for path in driving
        if pairs == "all" or path.stem == picture.stem
    ]
    if not couples:
        raise ValueError(
            f"no file of {folder} that drives has the name of a picture, as anna.wav has that of anna.png: "
            "rename them, or pass --pairs all"
        )
    rows = [
        Row(number, {"source": picture.name, "driving": path.name})
        for number, (picture, path) in enumerate(couples, 1)
    ]
    return Rows(rows, folder, _left_out([*pictures, *driving], couples))


def _left_out(files: list[Path], couples: list[tuple[Path, Path]]) -> tuple[str, ...]:
    """Return a line about files that are in no pair, if there are any."""
    used = {path for couple in couples for path in couple}
    names = [path.name for path in files if path not in used]
    if not names:
        return ()
    return (f"no partner of the same name, and left out: {', '.join(names)}",)
