"""Clips found in trees of videos, by both layouts."""

from dataclasses import replace
from pathlib import Path

import pytest

from train.data.clips import Selection, find_clips

FRONT = "W011/video/front/fear/level_1/001.mp4"
SIDE = "W011/video/left_30/fear/level_1/001.mp4"
ANGRY = "W009/video/front/angry/level_2/001.mp4"
NAMES = (
    "M003/video/front/angry/level_1/001.mp4",
    "W009/video/front/happy/level_3/001.mp4",
    ANGRY,
    FRONT,
    SIDE,
)


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def mead(tmp_path) -> Path:
    touch(tmp_path, *NAMES)
    return tmp_path


def names(root: Path, **selection) -> list[str]:
    return [clip.name for clip in find_clips(root, "mead", Selection(**selection))]


def test_paths_of_mead_tell_subject_emotion_and_level(mead):
    (clip,) = find_clips(mead, "mead", Selection(emotions=("fear",)))
    assert (clip.subject, clip.emotion, clip.level) == ("W011", "fear", 1)
    assert clip.video == mead / FRONT
    assert clip.sound == mead / "W011/audio/fear/level_1/001.m4a"


def test_a_selection_filters_the_clips_of_mead(mead):
    assert names(mead, subjects=("W011",)) == [FRONT]
    assert names(mead, subjects=("W011",), angles=("all",)) == [FRONT, SIDE]
    assert names(mead, emotions=("angry",), levels=(2,)) == [ANGRY]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"subjects": ("X1",)}, r"no subject X1 \(there are: M003, W009, W011\)"),
        ({"angles": ("front", "lfet_30")}, r"no angle lfet_30 \(there are: front, "),
        ({"subjects": ("M003",), "levels": (3,)}, "widen them"),
    ],
)
def test_a_selection_that_matches_nothing_is_refused(mead, selection, message):
    with pytest.raises(ValueError, match=message):
        names(mead, **selection)


def test_the_first_folder_is_the_subject_of_other_trees(tmp_path):
    videos = ("b/deep/1.mp4", "b/2.MOV", "a.mkv")
    touch(tmp_path, *videos, ".hidden/3.mp4", "b/notes.txt")
    clips = find_clips(tmp_path, "folder", Selection())
    assert [(clip.name, clip.subject) for clip in clips] == [
        ("a.mkv", "a"),
        ("b/2.MOV", "b"),
        ("b/deep/1.mp4", "b"),
    ]
    assert all(clip.sound == clip.video for clip in clips)


def test_the_wrong_layout_is_named(tmp_path):
    touch(tmp_path, "a.mkv")
    with pytest.raises(ValueError, match="--layout mead only"):
        find_clips(tmp_path, "folder", Selection(emotions=("angry",)))
    with pytest.raises(ValueError, match="no video in the mead layout"):
        find_clips(tmp_path, "mead", Selection())
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_clips(tmp_path / "absent", "mead", Selection())


def test_links_to_folders_are_entered_and_loops_are_not(tmp_path):
    touch(tmp_path / "elsewhere", "1.mp4")
    touch(tmp_path / "root", "anna/2.mp4")
    root = tmp_path / "root"
    (root / "bert").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "anna/loop").symlink_to(root, target_is_directory=True)
    clips = find_clips(root, "folder", Selection())
    assert [(clip.name, clip.subject) for clip in clips] == [
        ("anna/2.mp4", "anna"),
        ("bert/1.mp4", "bert"),
    ]


def test_a_pattern_finds_the_subject_in_a_path(tmp_path):
    touch(tmp_path, "clips/id07_001.mp4", "clips/id07_002.mp4", "clips/id12_001.mp4")
    selection = Selection(subject_pattern=r"(id\d+)_")
    clips = find_clips(tmp_path, "folder", selection)
    assert [clip.subject for clip in clips] == ["id07", "id07", "id12"]
    # subjects are selected by these names
    chosen = replace(selection, subjects=("id12",))
    assert len(find_clips(tmp_path, "folder", chosen)) == 1
    touch(tmp_path, "clips/other.mp4")
    with pytest.raises(ValueError, match=r"finds no subject in clips/other\.mp4"):
        find_clips(tmp_path, "folder", selection)


@pytest.mark.parametrize(
    ("pattern", "message"), [("id(", "is no regular expression"), ("id", "no group")]
)
def test_a_pattern_without_a_subject_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        Selection(subject_pattern=pattern)
