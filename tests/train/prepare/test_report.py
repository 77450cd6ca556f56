"""Tables and lines at the end of a run of processing."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from train.prepare.manifest import Entry
from train.prepare.report import print_tables

FACTS = {"train": {"clips": "1"}, "validation": {"clips": "1"}}
WHOLE = Entry("a.mp4", "speaker", "", 0, 36, 1.2, "0", ("train",))


def report(*entries: Entry) -> str:
    text = StringIO()
    print_tables(Console(file=text, width=200), FACTS, entries)
    return text.getvalue()


def test_clips_with_flaws_are_counted_and_one_is_named():
    flawed = replace(WHOLE, clip="b.mp4", remark="0.04 s of the sound are missing")
    line = "warning: 1 of 2 clips have flaws, such as b.mp4: 0.04 s of the sound are"
    assert line in report(WHOLE, flawed)
    assert "flaws" not in report(WHOLE)


def test_clips_that_were_left_out_are_counted_by_reason():
    corrupt = replace(WHOLE, splits=(), reason="a.mp4 is corrupt")
    text = report(WHOLE, corrupt, replace(corrupt, clip="c.mp4"))
    assert "left out" in text
    assert "... is corrupt" in text


def test_clips_that_a_gate_leaves_out_are_one_reason():
    reason = "silence {}, and at most 0.4 passes (--most-silence)"
    entries = [
        replace(WHOLE, clip=f"{value}.mp4", reason=reason.format(value))
        for value in (0.5, 1, "1e-05")
    ]
    text = report(*entries)
    assert text.count("--most-silence") == 1
    assert "silence ..., and at most 0.4 passes" in text
