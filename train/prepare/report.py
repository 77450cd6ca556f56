"""What a run says at its end: a table of what the splits hold, and one of the clips
that were left out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table

from train.data.shards import SPLITS, Split
from train.prepare.manifest import Entry

Facts = Mapping[Split, Mapping[str, str]]
"""What is to be said of each split, by name."""


def tables(facts: Facts, entries: Sequence[Entry]) -> Iterable[Table]:
    """What the splits hold, and why clips were left out."""
    yield split_table(facts, entries)
    if any(entry.reason for entry in entries):
        yield failure_table(entries)


def split_table(facts: Facts, entries: Sequence[Entry]) -> Table:
    table = Table("split", "subjects", *facts["train"])
    for split in SPLITS:
        subjects = {entry.subject for entry in entries if split in entry.splits}
        table.add_row(split, str(len(subjects)), *facts[split].values())
    return table


def failure_table(entries: Sequence[Entry]) -> Table:
    """Clips left out, an example a reason; the manifest has them all."""
    reasons = Counter(
        entry.reason.replace(entry.clip, "...") for entry in entries if entry.reason
    )
    examples = {
        entry.reason.replace(entry.clip, "..."): entry.clip
        for entry in entries
        if entry.reason
    }
    table = Table("left out", "reason", "such as")
    for reason, count in reasons.most_common():
        table.add_row(str(count), reason, examples[reason])
    return table
