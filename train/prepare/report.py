"""Tables at the end of a run: the contents of the splits, and the clips that were left
out."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from train.data.shards import SPLITS, Split
from train.prepare.manifest import Entry

VALUE = re.compile(r"(^|; )(\w[\w ]*) [-\d.e]+(?=, and at (?:most|least) )")
"""The value of a column in a reason; see `Limit.reason`."""
Facts = Mapping[Split, Mapping[str, str]]
"""Split -> name of a fact -> its text."""


def print_tables(console: Console, facts: Facts, entries: Sequence[Entry]) -> None:
    """Print the table of the splits, and that of the clips left out, if any."""
    console.print(split_table(facts, entries))
    failures = [entry for entry in entries if entry.reason]
    if failures:
        console.print(failure_table(failures))
    flawed = [entry for entry in entries if entry.remark]
    if flawed:
        console.print(flaw_line(flawed, len(entries)), highlight=False, markup=False)


def flaw_line(flawed: Sequence[Entry], total: int) -> str:
    """Return a line about clips with flaws and an example; the manifest has all."""
    example = flawed[0]
    return (
        f"warning: {len(flawed)} of {total} clips have flaws, "
        f"such as {example.clip}: {example.remark}"
    )


def split_table(facts: Facts, entries: Sequence[Entry]) -> Table:
    """Return a table with one row a split."""
    table = Table("split", "subjects", *facts["train"])
    for split in SPLITS:
        subjects = {entry.subject for entry in entries if split in entry.splits}
        table.add_row(split, str(len(subjects)), *facts[split].values())
    return table


def failure_table(failures: Sequence[Entry]) -> Table:
    """Return a table with one row a reason and an example; the manifest has all."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for entry in failures:
        # clips that fail alike count as one reason, whatever their values
        reason = entry.reason.replace(entry.clip, "...")
        reason = VALUE.sub(r"\1\2 ...", reason)
        counts[reason] += 1
        examples[reason] = entry.clip
    table = Table("left out", "reason", "such as")
    for reason, count in counts.most_common():
        table.add_row(str(count), reason, examples[reason])
    return table
