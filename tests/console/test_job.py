"""The display of jobs that follow each other."""

from pathlib import Path

import pytest
from rich.console import Console

from jaxportrait.console import job as display_module
from jaxportrait.console.job import JobDisplay
from jaxportrait.job import ClipFile, FrameDone, JobWarning, StageEnded, StageStarted


@pytest.fixture
def terminal(monkeypatch) -> None:
    """Let the display believe that its output is a terminal."""

    def open_console(**options) -> Console:
        return Console(**options, force_terminal=True)

    monkeypatch.setattr(display_module, "Console", open_console)


@pytest.mark.usefixtures("terminal")
def test_a_job_that_raised_leaves_no_bar_to_the_next(capsys):
    with JobDisplay() as display:
        # The first job raises within its stage: no end is reported.
        display(StageStarted("rendering", frames=4))
        display(FrameDone(1, 4))
        display(StageStarted("rendering", frames=2))
        display(FrameDone(1, 2))
        display(FrameDone(2, 2))
        display(StageEnded("rendering", 1.0, 0.0, frames=2))
        assert not display._console._live_stack
    assert "rendering 2 frames: 1.0 s" in capsys.readouterr().err


def test_the_last_line_says_what_was_written(capsys):
    with JobDisplay() as display:
        display.show_file(ClipFile(Path("a\n[b]\udcff.mp4"), 5.43, (512, 256)))
        display.show_file(ClipFile(Path("c.png"), 1.0, (512, 256)))
    clip, picture = capsys.readouterr().err.splitlines()
    assert clip == "wrote a\\n[b]\\udcff.mp4 (5.4 s, 512x256)"
    assert picture == "wrote c.png (512x256)"


def test_warnings_name_options_in_place_of_arguments(capsys):
    with JobDisplay() as display:
        display(JobWarning("faces", "2 faces found: choose another with face=N"))
    assert capsys.readouterr().err.endswith("choose another with --face N\n")
