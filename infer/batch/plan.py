"""The plan of a batch: what each row asks for, and the order of the work."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from infer.batch.columns import apply
from infer.batch.results import Entry, size_of
from infer.batch.rows import Row, Rows
from infer.config import Options
from jaxportrait.console.errors import explain
from jaxportrait.job import Request
from jaxportrait.job.faces import FacesRequest
from jaxportrait.job.inputs import input_files
from jaxportrait.media.write import final_place

BLOCK = 2**20
"""Bytes of a file that are read at once."""
IRRELEVANT = ("platform", "compilation_cache", "warmup")
"""Options of the device that leave the clip as it is."""


@dataclass(frozen=True)
class Task:
    """A row that can be worked on.

    Attributes:
      row: number of the row.
      options: options of its clip.
      clip: request of its clip.
      others: driving files of further faces, where all faces move; None where one does.
      fingerprint: digest of the options and of the content of all inputs; empty where
        an input cannot be read.
    """

    row: int
    options: Options
    clip: Request
    others: tuple[Path, ...] | None = None
    fingerprint: str = ""

    @property
    def output(self) -> Path:
        """The file, or the folder of pictures, that the clip becomes."""
        return final_place(self.clip.output)

    @property
    def inputs(self) -> list[Path]:
        """The files that the clip is made of."""
        return [*input_files(self.clip), *(self.others or ())]

    @property
    def outputs(self) -> list[Path]:
        """The files that are written."""
        motion = self.clip.template_out
        return [self.output] if motion is None else [self.output, motion]

    def entry(self, **values: Any) -> Entry:
        """Return the row's entry in the table of results."""
        return Entry(
            row=self.row,
            output=str(self.output),
            source=str(self.clip.source),
            driving=str(self.clip.driving),
            fingerprint=self.fingerprint,
            **values,
        )

    def is_done(self, entry: Entry | None) -> bool:
        """Return whether an entry is of this clip, and the clip is still there."""
        if entry is None or entry.status != "done" or not self.fingerprint:
            return False
        if entry.fingerprint != self.fingerprint:
            return False
        exist = all(path.exists() for path in self.outputs)
        return exist and size_of(self.output) == entry.bytes


def plan(rows: Rows, base: Options) -> tuple[list[Task], list[Entry]]:
    """Return the tasks of rows, and the entries of rows that ask for nothing possible.

    Args:
      base: options of rows that have none.
    """
    tasks = []
    failures = []
    # Many rows have the same networks and voices.
    digests = Digests()
    for row in rows.rows:
        try:
            task = plan_row(row, base, rows.folder)
            fingerprint = digests.fingerprint(task)
        except (ValueError, OSError) as error:
            failures.append(Entry(row.number, "failed", reason=explain(error)))
        else:
            tasks.append(replace(task, fingerprint=fingerprint))
    conflicts = find_conflicts(tasks)
    failures += [
        task.entry(status="failed", reason=conflicts[task.row])
        for task in tasks
        if task.row in conflicts
    ]
    return [task for task in tasks if task.row not in conflicts], failures


def plan_row(row: Row, base: Options, folder: Path) -> Task:
    """Return the task of a row.

    Raises:
      ValueError, OSError: it cannot be read, or its options ask for nothing possible.
    """
    if row.fault:
        raise ValueError(row.fault)
    options = apply(row.values, base, folder, base.output.output)
    faces: FacesRequest | None = options.faces_request()
    if faces is not None:
        return Task(row.number, options, faces.clip, faces.others)
    return Task(row.number, options, options.request())


def find_conflicts(tasks: Sequence[Task]) -> dict[int, str]:
    """Return a line about every row that writes what an earlier one writes, or reads what
    another one writes, by the number of the row."""
    # One file may have several names.
    writers: dict[str, int] = {}
    conflicts = {}
    for task in tasks:
        for path in task.outputs:
            writer = writers.setdefault(os.path.realpath(path), task.row)
            if writer != task.row:
                conflicts[task.row] = (
                    f"row {writer} writes {path} as well: use an output that no other row has"
                )
    for task in tasks:
        for path in task.inputs:
            writer = writers.get(os.path.realpath(path), task.row)
            # The first reason is enough.
            if writer != task.row:
                conflicts.setdefault(
                    task.row,
                    f"it reads {path}, which row {writer} writes: put it into a later batch",
                )
    return conflicts


def sort_tasks(tasks: Iterable[Task]) -> list[Task]:
    """Return tasks in an order in which neighbours share the most: networks, compiled
    programs, sources, and the shapes of clips of similar length."""
    ranks: dict[Any, int] = {}

    def key(task: Task) -> tuple[int, int, int, int]:
        networks = task.options.networks()
        # A seed compiles nothing.
        sampling = replace(task.clip.sampling, seed=0)
        programs = (networks, sampling, task.clip.retargeting)
        source = (networks, task.clip.source, task.clip.face, task.clip.box)
        # In the order of first appearance.
        first, second, third = (
            ranks.setdefault(facts, len(ranks))
            for facts in (networks, programs, source)
        )
        return first, second, third, size_of(task.clip.driving)

    return sorted(tasks, key=key)


class Digests:
    """Digests of the contents of files, each read once."""

    def __init__(self) -> None:
        self._digests: dict[Path, str] = {}

    def fingerprint(self, task: Task) -> str:
        """Return a digest of a clip's options and of all that it is made of; empty where
        an input cannot be read."""
        options = asdict(task.options)
        # The place of the clip is compared apart.
        del options["output"]["output"], options["debug"]
        for name in IRRELEVANT:
            del options["device"][name]
        try:
            # Files count by their content, wherever they are.
            for group in ("input", "detection", "sampling"):
                facts = options[group]
                options[group] = {name: self._content(facts[name]) for name in facts}
        except OSError:
            return ""
        text = json.dumps(options, default=os.fspath, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _content(self, value: Any) -> Any:
        """Return a value with digests in place of paths."""
        if isinstance(value, tuple):
            return [self._content(item) for item in value]
        return self.digest(value) if isinstance(value, Path) else value

    def digest(self, path: Path) -> str:
        """Return a digest of a file, or of the names and contents in a folder.

        Raises:
          OSError: it cannot be read.
        """
        if path not in self._digests:
            self._digests[path] = _digest(path)
        return self._digests[path]


def _digest(path: Path) -> str:
    sha = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_dir():
            continue
        # A folder is the same wherever it is.
        if file != path:
            sha.update(bytes(file.relative_to(path)) + b"\0")
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                sha.update(block)
    return sha.hexdigest()
