"""Limits of the manifest's columns, copies, and a user's own scores."""

from dataclasses import replace
from pathlib import Path

import pytest

from train.prepare.manifest import Entry
from train.prepare.quality.gates import Limit, MotionGates, apply_gates
from train.prepare.quality.page import would_pass
from train.prepare.quality.scores import ScoreOptions, check_scores, read_scores

GOOD = Entry(
    "a.mp4",
    "a",
    "",
    0,
    90,
    3.0,
    "0",
    pictures="1",
    sound="2",
    visibility=1.0,
    silence=0.1,
    movement=2.0,
    black=0.0,
    people=0.0,
    aspect=1.0,
)


def reason_of(**columns) -> str:
    entry = replace(GOOD, **columns)
    return apply_gates([entry], MotionGates().limits())[0].reason


@pytest.mark.parametrize(
    ("column", "value", "option"),
    [
        ("silence", 1.0, "--most-silence"),
        ("silence", 0.5, "--most-silence"),
        ("movement", 0.02, "--least-movement"),
        ("visibility", 0.2, "--least-visibility"),
        ("black", 0.4, "--most-black"),
        ("people", 0.9, "--most-people"),
        ("aspect", 4 / 3, "--most-stretch"),
        ("aspect", 3 / 4, "--most-stretch"),
    ],
)
def test_each_column_has_a_limit(column, value, option):
    assert option in reason_of(**{column: value})
    assert reason_of() == ""
    # what was not measured passes
    assert reason_of(**{column: None}) == ""


def test_limits_are_options():
    silent = replace(GOOD, silence=0.9)
    limits = MotionGates(most_silence=0.95).limits()
    assert apply_gates([silent], limits)[0].reason == ""


def test_a_reason_states_value_and_limit():
    expected = "silence 1, and at most 0.4 passes (--most-silence)"
    assert reason_of(silence=1.0) == expected
    both = reason_of(silence=1.0, black=1.0)
    assert both.count("; ") == 1


def test_of_clips_with_the_same_content_the_first_passes():
    copy = replace(GOOD, clip="b.mkv")
    dubbed = replace(GOOD, clip="c.mp4", sound="3")
    first, second, third = apply_gates([GOOD, copy, dubbed], [])
    assert first.reason == third.reason == ""
    assert second.reason == "the same content as a.mp4 (--keep-duplicates)"
    both = apply_gates([GOOD, copy], [], keep_duplicates=True)
    assert [entry.reason for entry in both] == ["", ""]
    # a clip that is left out is no original
    broken = replace(GOOD, reason="corrupt")
    assert apply_gates([broken, copy], [])[1].reason == ""


def test_clips_that_other_limits_would_leave():
    limits = MotionGates().limits()
    silent = replace(GOOD, silence=0.5)
    (judged,) = apply_gates([silent], limits)
    wider = [
        limit.moved(0.6) if limit.column == "silence" else limit for limit in limits
    ]
    assert not would_pass(judged, limits, limits)
    assert would_pass(judged, limits, wider)
    # another reason stays
    copy = replace(GOOD, reason="the same content as b.mp4")
    assert not would_pass(copy, limits, wider)


def write_table(path: Path, text: str, **options) -> ScoreOptions:
    table = path / "scores.csv"
    table.write_text(text, encoding="utf-8")
    return ScoreOptions(scores=table, **options)


def test_a_column_of_a_table_holds_scores(tmp_path):
    text = "clip,sync,offset\na.mp4,6.5,0\nb.mp4,1.2,3\n"
    options = write_table(tmp_path, text, score_column="sync", least_score=3.0)
    scores = read_scores(options)
    assert scores == {"a.mp4": 6.5, "b.mp4": 1.2}
    entries = [replace(GOOD, clip=clip, score=score) for clip, score in scores.items()]
    first, second = apply_gates(entries, options.limits(), keep_duplicates=True)
    assert first.reason == ""
    assert second.reason == "score 1.2, and at least 3 passes (--least-score)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,other\na.mp4,1\n", r"no column score \(there are: clip, other\)"),
        ("name,score\na.mp4,1\n", "no column clip"),
        ("clip,score\na.mp4,good\n", "line 2: the score 'good' is no number"),
        ("clip,score\na.mp4\n", "line 2: the score None is no number"),
        ("clip,score\nc.mp4,1\n", "names none of the 1 clips"),
        ("clip,score\n", "names none of the 1 clips"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text, message, tmp_path):
    options = write_table(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        check_scores(options, read_scores(options), ["a.mp4"])


def test_a_least_score_needs_scores():
    with pytest.raises(ValueError, match="name their file by --scores"):
        ScoreOptions(least_score=1)


def test_a_limit_names_its_option():
    limit = Limit("lip_sound", least=0.2, setting="lip-sound-percentile")
    assert limit.reason(replace(GOOD, lip_sound=0.1)) == (
        "lip sound 0.1, and at least 0.2 passes (--lip-sound-percentile)"
    )
