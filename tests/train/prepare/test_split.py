"""Division of clips into train and validation."""

from dataclasses import replace
from typing import Any

import pytest

from train.prepare.manifest import Entry
from train.prepare.split import Piece, SplitOptions, check_held_out, split_clips


def divide(entries: list[Entry], **options: Any) -> list[Piece]:
    chosen = SplitOptions(**options)
    return split_clips(entries, least=30, step=3, options=chosen)


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


def subjects_of(pieces: list[Piece], split: str) -> set[str]:
    return {piece.clip[0] for piece in pieces if piece.split == split}


def test_named_subjects_or_a_share_of_them_are_held_out():
    entries = [entry_of(f"{name}/1", name, 60) for name in "abcdefgh"]
    pieces = divide(entries, held_out=("b", "g"))
    assert subjects_of(pieces, "validation") == {"b", "g"}
    assert subjects_of(pieces, "train") == set("acdefh")
    assert len(subjects_of(divide(entries, held_out_share=0.5), "validation")) == 4
    # one is left to train on
    assert len(subjects_of(divide(entries[:2], held_out_share=0.9), "train")) == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [(("c",), "no clip of that name"), (("a", "b"), "none is left")],
)
def test_held_out_names_must_be_some_of_the_subjects(names, message):
    with pytest.raises(ValueError, match=message):
        check_held_out(SplitOptions(held_out=names), ["a", "b"])
    check_held_out(SplitOptions(held_out=("a",)), ["a", "b"])


def test_the_same_pictures_never_train_and_validate():
    entries = [entry_of(f"{name}/1", name, 60) for name in "abcd"]
    # b is a copy of the held-out a
    entries = [replace(entry, pictures=entry.subject) for entry in entries]
    entries[1] = replace(entries[1], pictures="a")
    pieces = divide(entries, held_out=("a",))
    assert subjects_of(pieces, "validation") == {"a"}
    assert subjects_of(pieces, "train") == {"c", "d"}


def test_a_clip_is_used_within_its_spans_only():
    spans = ((0, 60), (90, 150), (300, 420))
    clip = replace(entry_of("a/1", "a", 240), spans=spans)
    pieces = divide([clip, entry_of("b/1", "b", 60)], held_out=("b",))
    trained = [piece for piece in pieces if piece.split == "train"]
    assert [(piece.start, piece.stop) for piece in trained] == list(spans)
    # of a single subject, the last tenth of the time validates
    pieces = divide([clip])
    assert pieces[-1] == Piece("a/1", "validation", 390, 420)
    assert sum(piece.frames for piece in pieces) == 240
