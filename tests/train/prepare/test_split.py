"""Division of clips into train and validation."""

import pytest

from train.prepare.manifest import Entry
from train.prepare.split import Piece, split_clips


def divide(entries: list[Entry], most: int | None = None) -> list[Piece]:
    return split_clips(entries, least=30, step=3, most=most)


def entry_of(
    clip: str, subject: str, frames: int, emotion: str = "", level: int = 0
) -> Entry:
    return Entry(clip, subject, emotion, level, frames, frames / 30, "")


def test_a_tenth_of_the_subjects_is_held_out():
    # 40 clips of 20 subjects
    entries = [
        entry_of(f"{subject}/{clip}", f"{subject}", 60)
        for subject in range(20)
        for clip in range(2)
    ]

    pieces = divide(entries)

    # the last of ten clips is a tenth of the time
    validation = [piece for piece in pieces if piece.split == "validation"]

    # two subjects are a tenth
    subjects = {piece.clip.split("/")[0] for piece in validation}
    assert len(subjects) == 2
    assert len(pieces) == 40

    # the order of the clips does not matter
    assert divide(entries[::-1]) == pieces


def test_time_is_split_within_each_emotion():
    entries = [
        entry_of(f"{emotion}{clip}", "M003", 90, emotion, 1)
        for emotion in ("angry", "sad")
        for clip in range(10)
    ]
    validation = [piece for piece in divide(entries) if piece.split == "validation"]
    assert validation == [
        Piece("angry9", "validation", 0, 90),
        Piece("sad9", "validation", 0, 90),
    ]


def test_no_piece_is_shorter_than_a_window():
    for frames in range(30, 400, 7):
        for piece in divide([entry_of("a", "s", frames), entry_of("b", "s", 45)]):
            assert piece.stop - piece.start >= 30
            assert piece.start % 3 == 0

    # a clip that is too short for two pieces trains
    assert divide([entry_of("a", "s", 45)]) == [Piece("a", "train", 0, 45)]


@pytest.mark.parametrize("frames", [30, 600, 601, 700, 1199, 1200, 1201, 18_001])
def test_a_long_clip_is_cut_into_equal_parts(frames):
    entries = [entry_of("a", "one", frames), entry_of("b", "two", frames)]
    pieces = divide(entries, most=600)
    validation = [piece.frames for piece in pieces if piece.split == "validation"]
    parts = [piece for piece in pieces if piece.split == "train"]

    # what validates stays whole
    assert validation == [frames]

    # what trains is cut
    assert len(parts) == -(-frames // 600)
    # the parts follow each other without a gap
    stops = [piece.stop for piece in parts]
    assert [piece.start for piece in parts] == [0, *stops[:-1]]
    assert stops[-1] == frames

    assert all(piece.start % 3 == 0 for piece in parts)

    # equal but for two steps of 3 frames
    lengths = [piece.frames for piece in parts]
    assert max(lengths) - min(lengths) <= 6
