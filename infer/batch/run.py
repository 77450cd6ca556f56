"""The run of a batch: rows in, clips and a table of results out."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from infer.batch.config import Options
from infer.batch.engines import ENGINES
from infer.batch.plan import Task, plan, sort_tasks
from infer.batch.results import Entry, Results, read_results
from infer.batch.rows import read_rows
from jaxportrait.console.output import printable
from jaxportrait.console.progress import show_progress
from jaxportrait.media.write import has_suffix
from jaxportrait.whole import hold_folder


def run_batch(options: Options, console: Console) -> Results:
    """Make the clips of all rows that are not made already, and return the results.

    Raises:
      ValueError, OSError: the rows or the options of the batch are not usable.
    """
    batch = options.batch
    check_options(options)
    rows = read_rows(batch.rows, batch.pairs)
    for remark in rows.remarks:
        say(console, f"warning: {remark}")
    path = options.folder / f"{batch.rows.stem}.results.jsonl"
    # Two runs would make each row twice.
    with hold_folder(options.folder):
        tasks, failures = plan(rows, options.clip)
        waiting, entries = compare(tasks, read_results(path))
        results = Results(path, [*entries, *failures])
        for failure in failures:
            say_failure(console, failure)
        if len(waiting) < len(tasks):
            count = len(tasks) - len(waiting)
            say(console, f"{count} of {len(tasks)} clips were made before")
        if waiting:
            work_off(waiting, options, results, console)
    return results


def check_options(options: Options) -> None:
    """Raise a ValueError for options that have no meaning for a batch."""
    folder = options.folder
    if has_suffix(folder):
        raise ValueError(
            f"{folder} is a name for one clip: pass a folder for all, and names in the rows"
        )
    if options.device.warmup:
        raise ValueError("--warmup is for one clip: leave it out")
    source = options.batch.rows
    if source.is_dir() and source.resolve() == folder.resolve():
        raise ValueError(
            f"clips in {folder} would be inputs of the next run: choose another --output"
        )


def compare(tasks: list[Task], earlier: list[Entry]) -> tuple[list[Task], list[Entry]]:
    """Return the tasks that are to be worked on, and the entries of all.

    Args:
      earlier: entries of an earlier run.
    """
    # A row that failed since another has its output says nothing about the clip.
    done = [entry for entry in earlier if entry.status == "done"]
    by_output = {os.path.realpath(entry.output): entry for entry in done}
    waiting = []
    entries = []
    for task in tasks:
        entry = by_output.get(os.path.realpath(task.output))
        if entry is not None and task.is_done(entry):
            # The row may have moved within the table.
            entries.append(replace(entry, row=task.row, output=str(task.output)))
        else:
            waiting.append(task)
            entries.append(task.entry(status="waiting"))
    return waiting, entries


def work_off(
    tasks: list[Task], options: Options, results: Results, console: Console
) -> None:
    """Make clips, and note the result of each as soon as it is there."""
    batch = options.batch
    engine = ENGINES[batch.engine]
    outcomes = engine(sort_tasks(tasks), batch.workers, options.device)
    with (
        show_progress(console, len(tasks)) as advance,
        closing(outcomes),
    ):
        for task, outcome in outcomes:
            entry = judge(task, outcome)
            results.put(entry)
            failed = entry.status == "failed"
            if failed:
                say_failure(console, entry)
            advance(entry.frames, failed=failed)


def judge(task: Task, outcome: Entry | ChildProcessError) -> Entry:
    """Return the entry of a row; a clip that is not here has failed as well."""
    if isinstance(outcome, ChildProcessError):
        return task.entry(status="failed", reason=str(outcome))
    if outcome.status == "done" and not task.is_done(outcome):
        # A node of a cluster with a folder of its own.
        reason = f"it was written where {task.output} is not this folder: share it among all nodes"
        return task.entry(status="failed", reason=reason)
    return outcome


def say_failure(console: Console, entry: Entry) -> None:
    """Print the line of a row that has failed."""
    names = ", ".join(Path(name).name for name in (entry.source, entry.driving) if name)
    place = f"row {entry.row} ({names})" if names else f"row {entry.row}"
    say(console, f"{place}: {entry.reason}")


def say(console: Console, line: str) -> None:
    console.print(printable(line), highlight=False, markup=False, soft_wrap=True)
