"""Where the clips of a data set lie, and what their paths say of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LayoutName = Literal["mead", "folder"]

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
ANY_ANGLE = "all"


@dataclass(frozen=True)
class Clip:
    """A video with sound.

    Attributes:
      name: path of the video below the data set's root, with slashes.
      video: the file.
      sound: the file its sound is read from: the video itself, or one beside it.
      subject: who speaks.
      emotion: empty where the layout knows none.
      level: of the emotion; 0 where the layout knows none.
    """

    name: str
    video: Path
    sound: Path
    subject: str
    emotion: str = ""
    level: int = 0


@dataclass(frozen=True)
class Selection:
    """Which clips to take; an empty tuple takes all.

    Attributes:
      angles: of MEAD's cameras; empty means the front, "all" means all.
    """

    subjects: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    angles: tuple[str, ...] = ()


def find_clips(root: Path, layout: LayoutName, selection: Selection) -> list[Clip]:
    """List the clips below `root`, in the order of their names.

    Args:
      layout: `mead` for SUBJECT/video/ANGLE/EMOTION/level_N/ID.mp4 with
        SUBJECT/audio/EMOTION/level_N/ID.m4a; `folder` for videos with their own sound
        in any tree, where the subject is the first-level folder, else the file.

    Raises:
      FileNotFoundError: no such folder.
      ValueError: no clip, or a selection that matches none.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"there is no folder {root}: give the folder of the videos by --dataset-path"
        )
    if layout == "folder" and (
        selection.emotions or selection.levels or selection.angles
    ):
        raise ValueError(
            "emotions, levels and angles are known of --layout mead alone: leave them out"
        )
    clips = sorted(_LISTINGS[layout](root, selection), key=lambda clip: clip.name)
    if not clips:
        raise ValueError(
            f"{root} holds no video in the {layout} layout: check --dataset-path, --layout and --angles"
        )
    return _select(clips, selection)


def _list_mead(root: Path, selection: Selection) -> Iterator[Clip]:
    angles = selection.angles or ("front",)
    if present := {folder.name for folder in root.glob("*/video/*") if folder.is_dir()}:
        _require("angle", {*angles} - {ANY_ANGLE}, present)
    for video in root.glob("*/video/*/*/level_*/*.mp4"):
        subject, _, angle, emotion, level, _ = video.relative_to(root).parts
        if _is_level(level) and (ANY_ANGLE in angles or angle in angles):
            sound = root / subject / "audio" / emotion / level / f"{video.stem}.m4a"
            yield Clip(
                _name(video, root), video, sound, subject, emotion, _level(level)
            )


def _list_folder(root: Path, _: Selection) -> Iterator[Clip]:
    for video in root.rglob("*"):
        parts = video.relative_to(root).parts
        is_hidden = any(part.startswith(".") for part in parts)
        if video.suffix.lower() in VIDEO_SUFFIXES and not is_hidden and video.is_file():
            yield Clip(
                _name(video, root),
                video,
                video,
                parts[0] if len(parts) > 1 else video.stem,
            )


_LISTINGS: dict[LayoutName, Callable[[Path, Selection], Iterator[Clip]]] = {
    "mead": _list_mead,
    "folder": _list_folder,
}


def _name(video: Path, root: Path) -> str:
    return video.relative_to(root).as_posix()


def _is_level(folder: str) -> bool:
    return folder.removeprefix("level_").isdecimal()


def _level(folder: str) -> int:
    return int(folder.removeprefix("level_"))


def _select(clips: list[Clip], selection: Selection) -> list[Clip]:
    """The clips selected; every value asked for must occur."""
    wanted = {
        "subject": selection.subjects,
        "emotion": selection.emotions,
        "level": selection.levels,
    }
    for field, values in wanted.items():
        _require(field, set(values), {getattr(clip, field) for clip in clips})
    chosen = [
        clip
        for clip in clips
        if all(getattr(clip, f) in values for f, values in wanted.items() if values)
    ]
    if not chosen:
        raise ValueError(
            "no clip has all that --subjects, --emotions and --levels ask for: widen them"
        )
    return chosen


def _require(field: str, wanted: set, present: set) -> None:
    """Raise a ValueError that names the values that are wanted and do not occur."""
    if missing := wanted - present:
        absent, known = (
            ", ".join(map(str, sorted(each))) for each in (missing, present)
        )
        raise ValueError(f"there is no {field} {absent} (there are: {known})")
