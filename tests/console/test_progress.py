"""The progress display: a bar on a terminal, lines elsewhere."""

from io import StringIO

from rich.console import Console

from jaxportrait.console import progress
from jaxportrait.console.job import JobDisplay, summarize
from jaxportrait.console.progress import show_progress, track
from jaxportrait.job import FrameDone, JobWarning, StageEnded, StageStarted


def make_console(terminal: bool) -> tuple[Console, StringIO]:
    output = StringIO()
    return Console(file=output, force_terminal=terminal, width=100), output


def test_a_file_gets_a_line_at_the_end():
    console, output = make_console(terminal=False)
    with show_progress(console, 3) as advance:
        advance(100)
        advance(0, failed=True)
        assert output.getvalue() == ""
        advance(50)
    line = output.getvalue()
    assert line.startswith("3 of 3 clips, ")
    assert "frames/s, 1 failed, 0 s left" in line
    assert line.count("\n") == 1


def test_a_file_gets_a_line_every_ten_seconds(monkeypatch):
    seconds = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds)
    console, output = make_console(terminal=False)
    with show_progress(console, 30, unit="frames", transient=True) as advance:
        # An item takes a second of this clock.
        for _ in range(30):
            seconds += 1.0
            advance(1)
    lines = output.getvalue().splitlines()
    assert lines == [
        "10 of 30 frames, 1.0 frames/s, 20 s left",
        "20 of 30 frames, 1.0 frames/s, 10 s left",
        "30 of 30 frames, 1.0 frames/s, 0 s left",
    ]


def test_a_terminal_gets_a_bar():
    console, output = make_console(terminal=True)
    with show_progress(console, 2, unit="clips") as advance:
        advance(100)
        advance(0, failed=True)
    assert "2/2" in output.getvalue()
    assert "1 failed" in output.getvalue()


def test_items_that_hold_no_frames_have_no_rate():
    console, output = make_console(terminal=False)
    assert list(track(iter("abc"), 3, console, unit="settings")) == ["a", "b", "c"]
    assert output.getvalue() == "3 of 3 settings, 0 s left\n"


def test_a_job_is_told_in_lines(capsys):
    # The events of a short job.
    with JobDisplay() as display:
        display(StageStarted("loading"))
        display(StageEnded("loading", 1.25, 0.0))
        display(JobWarning("faces", "2 faces found"))
        display(StageStarted("rendering", 2))
        display(FrameDone(1, 2))
        display(FrameDone(2, 2))
        display(StageEnded("rendering", 3.0, 1.0, 2))
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "loading: 1.2 s",
        "warning: 2 faces found",
        "rendering 2 frames: 3.0 s (1.0 s of it compiling), 1.00 frames/s after compiling",
    ]


def test_compilation_too_short_to_matter_is_not_mentioned():
    assert summarize(StageEnded("loading", 1.0, 0.04)) == "loading: 1.0 s"
