"""From videos to records of clips, by any recipe: find clips, extract what is not done
yet, divide them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Literal, TypeVar

from rich.console import Console

from jaxportrait.console.progress import show_progress
from train.data import frames as frames
from train.data import records
from train.data.clips import Clip, LayoutName, Selection, find_clips
from train.prepare.manifest import MANIFEST, Entry, write_manifest
from train.prepare.pools.local import extract_locally
from train.prepare.pools.ray import extract_on_cluster
from train.prepare.recipe import Outcome, Recipe
from train.prepare.split import Piece, split_clips
from train.prepare.store import ClipStore

W = TypeVar("W", bound=Recipe, covariant=True)
EngineName = Literal["local", "ray"]
STORE = "clips"
DESCRIPTIONS = (records.DESCRIPTION, frames.DESCRIPTION)

ENGINES: dict[
    EngineName, Callable[[Recipe, Sequence[Clip], int], Iterator[tuple[Clip, Outcome]]]
] = {
    "local": extract_locally,
    "ray": extract_on_cluster,
}


@dataclass(frozen=True)
class Job(Generic[W]):
    """What to process, and how.

    Attributes:
      limit: take the first so many clips; 0 takes all.
    """

    dataset_path: Path
    output_path: Path
    recipe: W
    layout: LayoutName = "mead"
    selection: Selection = field(default_factory=Selection)
    engine: EngineName = "local"
    workers: int = 1
    limit: int = 0


@dataclass(frozen=True)
class Gathered:
    """What there is to write a data set of.

    Attributes:
      entries: of all clips.
      pieces: of those that were not left out, in the order in which they are to lie.
      read: the packed record of a clip.
    """

    entries: list[Entry]
    pieces: list[Piece]
    read: Callable[[str], bytes]


def gather(job: Job[Recipe], console: Console) -> Gathered:
    """Process the clips that are not done yet, divide all of them and write the
    manifest.

    Until a description is written, the output folder counts as unfinished.

    Raises:
      ValueError, OSError: what is wrong with the job as a whole; a clip's own errors
        are in its entry.
    """
    _check(job)
    clips = find_clips(job.dataset_path, job.layout, job.selection)[: job.limit or None]
    store = ClipStore(job.output_path / STORE, job.recipe)
    failed = _extract_missing(job, clips, store, console)
    entries = [failed.get(clip.name) or store.entry(clip) for clip in clips]
    used = [entry for entry in entries if not entry.reason]
    pieces = split_clips(
        used, job.recipe.least_frames, job.recipe.frame_step, job.recipe.most_frames
    )
    entries = _with_splits(entries, pieces)
    (job.output_path / job.recipe.description).unlink(missing_ok=True)
    write_manifest(job.output_path, entries)
    if not pieces:
        raise ValueError(
            f"none of {len(entries)} clips is left to train on ({entries[0].reason}): "
            f"{job.output_path / MANIFEST} says why each was left out"
        )
    by_name = {clip.name: clip for clip in clips}
    return Gathered(entries, pieces, lambda name: store.record(by_name[name]))


def _check(job: Job[Recipe]) -> None:
    for name, least in (("workers", 1), ("limit", 0)):
        if getattr(job, name) < least:
            raise ValueError(
                f"--{name} must be at least {least}, got {getattr(job, name)}"
            )
    for description in DESCRIPTIONS:
        if (
            description != job.recipe.description
            and (job.output_path / description).exists()
        ):
            raise ValueError(
                f"{job.output_path} holds a data set of another kind ({description}): choose another --output-path"
            )


def _extract_missing(
    job: Job[Recipe], clips: Sequence[Clip], store: ClipStore, console: Console
) -> dict[str, Entry]:
    """Extract what the store lacks; returns the entries of the clips that failed."""
    failed: dict[str, Entry] = {}
    missing = [clip for clip in clips if not store.has(clip)]
    if len(missing) < len(clips):
        console.print(
            f"{len(clips) - len(missing)} of {len(clips)} clips are done already",
            highlight=False,
        )
    if not missing:
        return failed
    with show_progress(console, len(missing)) as advance:
        for clip, outcome in ENGINES[job.engine](
            job.recipe, missing, min(job.workers, len(missing))
        ):
            store.put(clip, outcome)
            if outcome.record is None:
                failed[clip.name] = outcome.entry
            advance(outcome.entry.frames, failed=outcome.record is None)
    return failed


def _with_splits(entries: Sequence[Entry], pieces: Sequence[Piece]) -> list[Entry]:
    splits: dict[str, tuple[str, ...]] = {}
    for piece in pieces:
        before = splits.get(piece.clip, ())
        splits[piece.clip] = before if piece.split in before else (*before, piece.split)
    return [replace(entry, splits=splits.get(entry.clip, ())) for entry in entries]
