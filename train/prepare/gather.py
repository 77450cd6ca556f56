"""From videos to records of clips, by any recipe: find the clips, extract the missing
ones, divide them into splits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from rich.console import Console

from jaxportrait.console.progress import show_progress
from jaxportrait.whole import hold_folder
from train.data import dataset, frames
from train.data.clips import Clip, find_clips
from train.data.shards import require_array_record
from train.prepare.manifest import MANIFEST, Entry, write_manifest
from train.prepare.options import ClipOptions
from train.prepare.pools import ENGINES
from train.prepare.quality.evidence import Evidence
from train.prepare.quality.gates import apply_gates
from train.prepare.quality.lip_sound import Verdict
from train.prepare.quality.page import write_report
from train.prepare.quality.scores import check_scores, read_scores
from train.prepare.recipe import Recipe, failure
from train.prepare.split import Piece, check_held_out, split_clips
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

    def entry(self, name: str) -> Entry:
        """Return the manifest entry of a clip."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {entry.clip: entry for entry in self.entries}


@dataclass(frozen=True)
class Stored:
    """Records and evidence of the finished clips, by name.

    Attributes:
      record: returns the packed record of a clip.
      evidence: returns the evidence about a clip.
    """

    record: Callable[[str], bytes]
    evidence: Callable[[str], Evidence]


class Judge:
    """Comparison of the clips that passed the gates; this one leaves out none.

    Attributes:
      verdict: scores of lips and sound, once they are compared.
    """

    verdict: Verdict | None = None

    def judge(self, entries: list[Entry], stored: Stored) -> list[Entry]:
        """Return the entries, with the reasons of further clips left out."""
        return entries


@contextmanager
def gather(
    options: ClipOptions, recipe: Recipe, console: Console, judge: Judge | None = None
) -> Iterator[Gathered]:
    """Process the missing clips, judge and divide all of them, and write the manifest.

    Until a description is written, the output folder counts as unfinished. During the
    block, no other run writes there.

    Args:
      options: clips, gates and splits.
      recipe: work on a clip.
      console: place for lines and progress.
      judge: compares the clips that passed the gates.

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
    check_held_out(options.split, [clip.subject for clip in clips])
    scores = read_scores(options.scores)
    check_scores(options.scores, scores, [clip.name for clip in clips])
    for remark in recipe.remarks():
        console.print(remark, highlight=False, soft_wrap=True)
    with hold_folder(options.output_path):
        store = ClipStore(options.output_path / STORE, recipe)
        failed = _extract_missing(options, recipe, clips, store, console)
        entries = [failed.get(clip.name) or store.entry(clip) for clip in clips]
        entries = [
            replace(entry, score=scores.get(entry.clip, entry.score))
            for entry in entries
        ]
        stored = _stored(store, clips)
        yield _divide(options, recipe, entries, stored, judge or Judge(), console)


def _stored(store: ClipStore, clips: Sequence[Clip]) -> Stored:
    by_name = {clip.name: clip for clip in clips}
    return Stored(
        lambda name: store.record(by_name[name]),
        lambda name: store.evidence(by_name[name]),
    )


def _divide(
    options: ClipOptions,
    recipe: Recipe,
    entries: Sequence[Entry],
    stored: Stored,
    judge: Judge,
    console: Console,
) -> Gathered:
    """Judge and divide the clips, and write the manifest."""
    duplicates = options.gates.keep_duplicates
    judged = apply_gates(entries, options.limits(), keep_duplicates=duplicates)
    judged = judge.judge(judged, stored)
    usable = [entry for entry in judged if not entry.reason]
    if usable:
        check_held_out(options.split, [entry.subject for entry in usable])
    pieces = split_clips(
        usable,
        recipe.least_frames,
        recipe.frame_step,
        options.split,
    )
    judged = _with_splits(judged, pieces)
    # the data set is incomplete until it is described again
    (options.output_path / recipe.description).unlink(missing_ok=True)
    write_manifest(options.output_path, judged)
    if options.report:
        path = write_report(
            options.output_path,
            judged,
            options.limits(),
            lambda name: stored.evidence(name).thumbnail,
            judge.verdict,
        )
        console.print(f"report: {path}", highlight=False, markup=False, soft_wrap=True)
    if not pieces:
        raise ValueError(
            f"none of {len(judged)} clips is left to train on ({judged[0].reason}): "
            f"{options.output_path / MANIFEST} says why each was left out"
        )
    return Gathered(judged, pieces, stored.record)


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


def _with_splits(entries: Sequence[Entry], pieces: Sequence[Piece]) -> list[Entry]:
    # a dict keeps the order of splits, and each of them once
    splits: dict[str, dict[str, None]] = {entry.clip: {} for entry in entries}
    for piece in pieces:
        splits[piece.clip][piece.split] = None
    return [_with_split(entry, tuple(splits[entry.clip])) for entry in entries]


def _with_split(entry: Entry, splits: tuple[str, ...]) -> Entry:
    reason = entry.reason
    if not splits and not reason:
        reason = "a clip with the same pictures is held out"
    return replace(entry, splits=splits, reason=reason)
