"""Clips of a tree of videos: where they lie, and what their paths say about them."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jaxportrait.ranges import OptionError

LayoutName = Literal["mead", "folder"]

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
ANY_ANGLE = "all"


@dataclass(frozen=True)
class Clip:
    """A video with sound.

    Attributes:
      name: path of the video below the data set's root, with slashes; bytes that are not
        UTF-8 are escaped, here and in the other texts.
      video: file of the video.
      sound: file that the sound is read from: the video itself, or one beside it.
      subject: name of the speaker.
      emotion: emotion of the clip; empty if the layout has none.
      level: intensity of the emotion; 0 if the layout has none.
    """

    name: str
    video: Path
    sound: Path
    subject: str
    emotion: str = ""
    level: int = 0

    @property
    def has_escaped_name(self) -> bool:
        """True if the path is not UTF-8."""
        return not self.video.as_posix().endswith(self.name)


@dataclass(frozen=True)
class Selection:
    """Clips to use; an empty tuple selects all.

    Attributes:
      subjects: use these subjects only.
      emotions: use these emotions only (MEAD).
      levels: use these levels only (MEAD).
      angles: cameras to use (MEAD), `all` for every one; the front if left out.
      subject_pattern: regular expression whose first group, in a clip's path below the
        data set's root, is its subject; the layout tells the subject if left out.
    """

    subjects: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    angles: tuple[str, ...] = ()
    subject_pattern: str = ""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.subject_pattern).groups
        except re.error as error:
            raise OptionError(
                f"--subject-pattern {self.subject_pattern} is no regular expression: {error}"
            ) from error
        if self.subject_pattern and not groups:
            raise OptionError(
                f"--subject-pattern {self.subject_pattern} has no group: put the subject's part in "
                "parentheses"
            )


def find_clips(root: Path, layout: LayoutName, selection: Selection) -> list[Clip]:
    """List the clips below `root`, sorted by name.

    Args:
      root: folder of the videos.
      layout: `mead` for SUBJECT/video/ANGLE/EMOTION/level_N/ID.mp4 with
        SUBJECT/audio/EMOTION/level_N/ID.m4a; `folder` for videos with their own sound
        in any tree, where the subject is the first-level folder, else the file.
      selection: clips to use.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: there is no clip, the selection matches none, or the pattern finds no
        subject in a path.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"there is no folder {root}: pass the folder of the videos by --dataset-path"
        )
    # other trees say nothing about emotion or camera
    of_mead = selection.emotions or selection.levels or selection.angles
    if layout == "folder" and of_mead:
        raise ValueError(
            "emotions, levels and angles are known for --layout mead only: leave them out"
        )
    clips = sorted(_LISTINGS[layout](root, selection), key=lambda clip: clip.name)
    if not clips:
        raise ValueError(
            f"{root} holds no video in the {layout} layout: check --dataset-path, --layout and --angles"
        )
    if selection.subject_pattern:
        clips = _with_subjects(clips, re.compile(selection.subject_pattern))
    return _select(clips, selection)


def _with_subjects(clips: list[Clip], pattern: re.Pattern[str]) -> list[Clip]:
    """Return the clips with the subjects that a pattern finds in their names."""
    named = []
    for clip in clips:
        match = pattern.search(clip.name)
        # a group that takes no part in the match is None
        subject = match[1] if match else None
        if not subject:
            raise ValueError(
                f"--subject-pattern {pattern.pattern} finds no subject in {clip.name}: change it, or "
                "move the clip elsewhere"
            )
        named.append(replace(clip, subject=subject))
    return named


def _list_mead(root: Path, selection: Selection) -> Iterator[Clip]:
    angles = selection.angles or ("front",)
    # a misspelt angle would silently leave all clips out
    present = {folder.name for folder in root.glob("*/video/*") if folder.is_dir()}
    if present:
        _require("angle", {*angles} - {ANY_ANGLE}, present)
    for video in root.glob("*/video/*/*/level_*/*.mp4"):
        subject, _, angle, emotion, folder, _ = video.relative_to(root).parts
        texts = escape(subject), escape(emotion)
        # folders of other names hold no clips
        level = folder.removeprefix("level_")
        if not level.isdecimal():
            continue
        if ANY_ANGLE in angles or angle in angles:
            sound = root / subject / "audio" / emotion / folder / f"{video.stem}.m4a"
            name = _name(video, root)
            yield Clip(name, video, sound, *texts, int(level))


def _list_folder(root: Path, _: Selection) -> Iterator[Clip]:
    for video in walk(root):
        parts = video.relative_to(root).parts
        # macOS and file systems leave hidden copies
        is_hidden = any(part.startswith(".") for part in parts)
        is_video = video.suffix.lower() in VIDEO_SUFFIXES
        if is_video and not is_hidden and video.is_file():
            subject = parts[0] if len(parts) > 1 else video.stem
            yield Clip(_name(video, root), video, video, escape(subject))


def walk(root: Path, outer: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield everything below a folder, links to folders included.

    A link to a folder that it lies in is passed over.

    Args:
      root: folder to list.
      outer: devices and numbers of the folders around it.
    """
    state = root.stat()
    identity = state.st_dev, state.st_ino
    if identity in outer:
        return
    for path in root.iterdir():
        yield path
        # a folder that may not be read holds no clips
        if path.is_dir() and os.access(path, os.R_OK | os.X_OK):
            yield from walk(path, outer | {identity})


_LISTINGS: dict[LayoutName, Callable[[Path, Selection], Iterator[Clip]]] = {
    "mead": _list_mead,
    "folder": _list_folder,
}


def _name(video: Path, root: Path) -> str:
    return escape(video.relative_to(root).as_posix())


def escape(name: str) -> str:
    """Return a file's name as text, with escapes such as `\\xff` for bytes that are not
    UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _select(clips: list[Clip], selection: Selection) -> list[Clip]:
    """Return the selected clips; every selected value must occur."""
    criteria: dict[str, tuple] = {
        "subject": selection.subjects,
        "emotion": selection.emotions,
        "level": selection.levels,
    }
    # an empty criterion selects all
    criteria = {name: values for name, values in criteria.items() if values}
    for name, values in criteria.items():
        _require(name, set(values), {getattr(clip, name) for clip in clips})
    chosen = [clip for clip in clips if _matches(clip, criteria)]
    if not chosen:
        raise ValueError(
            "no clip has all that --subjects, --emotions and --levels ask for: widen them"
        )
    return chosen


def _matches(clip: Clip, criteria: dict[str, tuple]) -> bool:
    return all(getattr(clip, name) in values for name, values in criteria.items())


def _require(name: str, values: set, present: set) -> None:
    """Raise a ValueError that names the values that do not occur."""
    absent = values - present
    if absent:
        raise ValueError(
            f"there is no {name} {_joined(absent)} (there are: {_joined(present)})"
        )


def _joined(values: Collection) -> str:
    return ", ".join(str(value) for value in sorted(values))
