"""From videos to records of clips, by any recipe: find the clips, extract the missing
ones, divide them into splits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console

from jaxportrait.console.progress import show_progress
from jaxportrait.whole import hold_folder
from train.data import dataset, frames
from train.data.clips import Clip, find_clips
from train.data.shards import require_array_record
from train.prepare.manifest import MANIFEST, Entry, write_manifest
from train.prepare.options import ClipOptions
from train.prepare.pools import ENGINES
from train.prepare.recipe import Recipe, failure
from train.prepare.split import Piece, split_clips
from train.prepare.store import ClipStore

STORE = "clips"
DESCRIPTIONS = (dataset.DESCRIPTION, frames.DESCRIPTION)


@dataclass(frozen=True)
class Gathered:
    """Records from which a data set is written.

    Attributes:
      entries: manifest entries of all clips.
      pieces: pieces of the usable clips, in their order on disk.
      read: returns the packed record of a clip, by name.
    """

    entries: list[Entry]
    pieces: list[Piece]
    read: Callable[[str], bytes]


@contextmanager
def gather(
    options: ClipOptions, recipe: Recipe, console: Console
) -> Iterator[Gathered]:
    """Process the missing clips, divide all of them and write the manifest.

    Until a description is written, the output folder counts as unfinished. During the
    block, no other run writes there.

    Raises:
      ValueError, OSError: an error of the whole job; a clip's own error is in its
        entry.
    """
    require_array_record()
    recipe = recipe.with_absolute_paths()
    _check_output(options, recipe)
    # workers may have another working directory
    root = options.dataset_path.absolute()
    clips = find_clips(root, options.layout, options.selection)
    clips = clips[: options.limit or None]
    for remark in recipe.remarks():
        console.print(remark, highlight=False, soft_wrap=True)
    with hold_folder(options.output_path):
        yield _gather(options, recipe, clips, console)


def _gather(
    options: ClipOptions, recipe: Recipe, clips: Sequence[Clip], console: Console
) -> Gathered:
    store = ClipStore(options.output_path / STORE, recipe)
    failed = _extract_missing(options, recipe, clips, store, console)
    entries = [failed.get(clip.name) or store.entry(clip) for clip in clips]
    pieces = _divide(entries, recipe)
    entries = _with_splits(entries, pieces)
    # the data set is incomplete until it is described again
    (options.output_path / recipe.description).unlink(missing_ok=True)
    write_manifest(options.output_path, entries)
    if not pieces:
        raise ValueError(
            f"none of {len(entries)} clips is left to train on ({entries[0].reason}): "
            f"{options.output_path / MANIFEST} says why each was left out"
        )
    by_name = {clip.name: clip for clip in clips}
    return Gathered(entries, pieces, lambda name: store.record(by_name[name]))


def _check_output(options: ClipOptions, recipe: Recipe) -> None:
    for description in DESCRIPTIONS:
        is_other = description != recipe.description
        if is_other and (options.output_path / description).exists():
            raise ValueError(
                f"{options.output_path} holds a data set of another kind ({description}): "
                "choose another --output-path"
            )


def _extract_missing(
    options: ClipOptions,
    recipe: Recipe,
    clips: Sequence[Clip],
    store: ClipStore,
    console: Console,
) -> dict[str, Entry]:
    """Extract the clips that the store lacks, and return the entries of those that
    failed."""
    failed = {clip.name: _unnamed(clip) for clip in clips if clip.has_escaped_name}
    readable = [clip for clip in clips if clip.name not in failed]
    missing = [clip for clip in readable if not store.has(clip)]
    finished = len(readable) - len(missing)
    if finished:
        message = f"{finished} of {len(clips)} clips are done already"
        console.print(message, highlight=False)
    if not missing:
        return failed
    workers = min(options.workers, len(missing))
    outcomes = ENGINES[options.engine](recipe, missing, workers)
    with show_progress(console, len(missing)) as advance:
        for clip, outcome in outcomes:
            store.put(clip, outcome)
            if outcome.record is None:
                failed[clip.name] = outcome.entry
            advance(outcome.entry.frames, failed=outcome.record is None)
    return failed


def _unnamed(clip: Clip) -> Entry:
    # records and manifests are UTF-8
    return failure(clip, ValueError("its path is not UTF-8: rename it")).entry


def _divide(entries: Sequence[Entry], recipe: Recipe) -> list[Piece]:
    usable = [entry for entry in entries if not entry.reason]
    return split_clips(
        usable, recipe.least_frames, recipe.frame_step, recipe.most_frames
    )


def _with_splits(entries: Sequence[Entry], pieces: Sequence[Piece]) -> list[Entry]:
    # a dict keeps the order of splits, and each of them once
    splits: dict[str, dict[str, None]] = {entry.clip: {} for entry in entries}
    for piece in pieces:
        splits[piece.clip][piece.split] = None
    return [replace(entry, splits=tuple(splits[entry.clip])) for entry in entries]
