"""A run of processing: find clips, extract what is not done yet, write the data set."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from train.process.extract import PARTS, Outcome, Settings
from train.process.layouts import Clip, LayoutName, Selection, find_clips
from train.process.local import extract_locally
from train.process.manifest import Entry, write_manifest
from train.process.progress import show_progress
from train.process.ray import extract_on_cluster
from train.process.shards import write_dataset
from train.process.split import Piece, split_clips
from train.process.store import ClipStore
from train.records import DESCRIPTION, MANIFEST, Dataset, network_identity

EngineName = Literal["local", "ray"]
MotionName = Literal["lip", "face"]
STORE = "clips"

ENGINES: dict[EngineName, Callable[[Settings, Sequence[Clip], int], Iterator[tuple[Clip, Outcome]]]] = {
    "local": extract_locally,
    "ray": extract_on_cluster,
}


@dataclass(frozen=True)
class Job:
    """What to process, and how.

    Attributes:
      limit: take the first so many clips; 0 takes all.
      motion: the motion space that training takes from the data set where it is told no other; all of the motion is
        stored.
    """

    dataset_path: Path
    output_path: Path
    settings: Settings
    layout: LayoutName = "mead"
    selection: Selection = field(default_factory=Selection)
    motion: MotionName = "lip"
    engine: EngineName = "local"
    workers: int = 1
    limit: int = 0


def process(job: Job, console: Console) -> tuple[Dataset, list[Entry]]:
    """Process the clips that are not done yet, and write the data set of all.

    Raises:
      ValueError, OSError: what is wrong with the job as a whole; a clip's own errors are in its entry.
    """
    _check(job)
    clips = find_clips(job.dataset_path, job.layout, job.selection)[: job.limit or None]
    checkpoint = open_checkpoint(job.settings.checkpoint)
    checkpoint.require(PARTS)
    store = ClipStore(job.output_path / STORE, job.settings.fingerprint())
    failed = _extract_missing(job, clips, store, console)
    entries = [failed.get(clip.name) or store.entry(clip) for clip in clips]
    pieces = split_clips([entry for entry in entries if not entry.reason])
    entries = _with_splits(entries, pieces)
    (job.output_path / DESCRIPTION).unlink(missing_ok=True)
    write_manifest(job.output_path, entries)
    if not pieces:
        raise ValueError(
            f"none of {len(entries)} clips is left to train on ({entries[0].reason}): "
            f"{job.output_path / MANIFEST} says why each was left out"
        )
    by_name = {clip.name: clip for clip in clips}
    dataset = write_dataset(
        job.output_path,
        pieces,
        lambda name: store.record(by_name[name]),
        feature_width=checkpoint.config.whisper.width,  # pyright: ignore[reportOptionalMemberAccess]
        audio_encoder=network_identity(checkpoint, "whisper"),
        motion_space=job.motion,
    )
    return dataset, entries


def _check(job: Job) -> None:
    for name, least in (("workers", 1), ("limit", 0)):
        if getattr(job, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(job, name)}")
    if job.settings.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, got {job.settings.batch_size}")


def _extract_missing(job: Job, clips: Sequence[Clip], store: ClipStore, console: Console) -> dict[str, Entry]:
    """Extract what the store lacks; returns the entries of the clips that failed."""
    failed: dict[str, Entry] = {}
    missing = [clip for clip in clips if not store.has(clip)]
    if len(missing) < len(clips):
        console.print(f"{len(clips) - len(missing)} of {len(clips)} clips are done already", highlight=False)
    if not missing:
        return failed
    with show_progress(console, len(missing)) as advance:
        for clip, outcome in ENGINES[job.engine](job.settings, missing, min(job.workers, len(missing))):
            store.put(clip, outcome)
            if outcome.record is None:
                failed[clip.name] = outcome.entry
            advance(outcome)
    return failed


def _with_splits(entries: Sequence[Entry], pieces: Sequence[Piece]) -> list[Entry]:
    splits: dict[str, tuple[str, ...]] = {}
    for piece in pieces:
        splits[piece.clip] = (*splits.get(piece.clip, ()), piece.split)
    return [replace(entry, splits=splits.get(entry.clip, ())) for entry in entries]
