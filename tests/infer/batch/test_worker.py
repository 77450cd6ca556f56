"""Rows as a worker makes them: the clips of the program for one, with less work."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from infer.__main__ import main
from infer.batch import worker
from infer.batch.plan import Task, plan
from infer.batch.results import Entry
from infer.batch.rows import Row, Rows
from infer.config import Options
from jaxportrait.animator import Animator
from jaxportrait.job import JobWarning
from jaxportrait.job.request import Networks
from jaxportrait.media.video import VideoReader

WORDS = ["--detector", "none", "--steps", "2", "--output-fps", "10"]


@pytest.fixture
def base(tiny_checkpoint, tmp_path) -> Options:
    options = Options()
    return replace(
        options,
        input=replace(options.input, checkpoint=tiny_checkpoint),
        output=replace(options.output, output=tmp_path / "out", output_fps=10.0),
        sampling=replace(options.sampling, steps=2),
        detection=replace(options.detection, detector="none"),
    )


@pytest.fixture
def fresh():
    """Let the worker of this process begin with nothing."""
    worker._state.cache_clear()
    yield
    worker._state.cache_clear()


def tasks_of(folder: Path, base: Options, *rows: dict) -> list[Task]:
    numbered = [Row(number, row) for number, row in enumerate(rows, 1)]
    tasks, failures = plan(Rows(numbered, folder), base)
    assert failures == []
    return tasks


def work_on(folder: Path, base: Options, *rows: dict) -> list[Entry]:
    return [worker.work(task) for task in tasks_of(folder, base, *rows)]


def frames_of(path: Path) -> np.ndarray:
    return np.stack([picture for _, picture in VideoReader(path)])


def count_calls(monkeypatch, owner: type, name: str) -> list[str]:
    """Return a list that gets the name of a method with every call."""
    calls = []
    method = getattr(owner, name)

    def counted(*arguments, **options):
        calls.append(name)
        return method(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_clips_are_those_of_the_program_for_one(
    batch_inputs, base, tiny_checkpoint, tmp_path, monkeypatch
):
    row = {"source": "a.png", "seed": 3, "side_by_side": True}
    entries = work_on(
        batch_inputs, base, {**row, "driving": "b.wav"}, {**row, "driving": "a.wav"}
    )
    assert [entry.status for entry in entries] == ["done", "done"]
    single = [*WORDS, "--seed", "3", "--side-by-side", "-o", str(tmp_path / "one.mp4")]
    single += ["--checkpoint", str(tiny_checkpoint), "--compilation-cache", "none"]
    inputs = ["-s", str(batch_inputs / "a.png"), "-d", str(batch_inputs / "a.wav")]
    monkeypatch.setattr(sys, "argv", ["infer", *inputs, *single])
    main()
    # The second row has used what the first has loaded and prepared.
    second = Path(entries[1].output)
    np.testing.assert_array_equal(frames_of(second), frames_of(tmp_path / "one.mp4"))
    assert second.read_bytes() == (tmp_path / "one.mp4").read_bytes()


@pytest.mark.full
def test_rows_of_one_shape_compile_once(batch_inputs, base):
    row = {"source": "a.png", "driving": "a.wav"}
    # A size of batch that no other test has: nothing is compiled yet.
    base = replace(base, device=replace(base.device, batch_size=3))
    entries = work_on(batch_inputs, base, row, row | {"seed": 1, "output": "b.mp4"})
    assert [entry.compile_seconds > 0 for entry in entries] == [True, False]


@pytest.mark.full
def test_rows_of_one_shape_load_and_encode_once(batch_inputs, base, fresh, monkeypatch):
    loads = count_calls(monkeypatch, Networks, "load")
    prepares = count_calls(monkeypatch, Animator, "prepare")
    rows = [
        {"source": "a.png", "driving": driving, "seed": seed, "output": f"{seed}.mp4"}
        for seed, driving in enumerate(["a.wav", "b.wav", "a.wav", "b.wav"])
    ]
    entries = work_on(batch_inputs, base, *rows)
    # Only the first may compile.
    assert [entry.compile_seconds for entry in entries[1:]] == [0, 0, 0]
    assert loads == ["load"]
    assert prepares == ["prepare"]
    # What would not be the same is made again.
    other = {"source": "b.png", "driving": "a.wav"}
    tighter = {"source": "a.png", "driving": "a.wav", "box": "20,20,200,200"}
    work_on(batch_inputs, base, other, {**tighter, "output": "box.mp4"}, rows[0])
    assert len(prepares) == 3
    work_on(batch_inputs, base, {**other, "dtype": "float32"})
    assert len(loads) == 2
    assert len(prepares) == 4


def test_a_row_has_its_figures(batch_inputs, base):
    (entry,) = work_on(batch_inputs, base, {"source": "a.png", "driving": "a.wav"})
    assert (entry.frames, entry.clip_seconds, entry.size) == (5, 0.5, (256, 256))
    assert entry.bytes == Path(entry.output).stat().st_size
    assert entry.seconds > entry.frames / entry.render_fps > 0
    assert entry.device == "cpu:0"
    assert entry.warnings == ()


def test_a_warning_is_noted_once():
    figures = worker.Figures()
    for message in ("two faces", "a dark picture", "two faces"):
        figures(JobWarning("faces", message))
    assert figures.warnings == ["two faces", "a dark picture"]


def test_a_bad_row_is_a_result_and_leaves_nothing(batch_inputs, base, tmp_path):
    rows = [
        {"source": "a.png", "driving": "bad.wav"},
        {"source": "missing.png", "driving": "a.wav"},
        {"source": "a.png", "driving": "a.wav", "driver": "waltz", "output": "w.mp4"},
        {"source": "a.png", "driving": "a.wav", "natural_motion": "true"},
    ]
    entries = work_on(batch_inputs, base, *rows)
    statuses = [entry.status for entry in entries]
    assert statuses == ["failed", "failed", "failed", "done"]
    assert "bad.wav cannot be read" in entries[0].reason
    assert "missing.png" in entries[1].reason
    assert "holds no driver waltz" in entries[2].reason
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert names == ["a--a.mp4"]


def test_an_error_of_any_kind_is_a_result(batch_inputs, base, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such\n  tensor")

    monkeypatch.setattr(Animator, "animate", fail)
    (entry,) = work_on(batch_inputs, base, {"source": "a.png", "driving": "a.wav"})
    assert entry.status == "failed"
    assert entry.reason == "RuntimeError: no such tensor"


def test_a_row_may_move_all_faces(batch_inputs, base):
    row = {"source": "a.png", "driving": "a.wav", "face": "all"}
    entries = work_on(batch_inputs, base, row, {**row, "output": "again.mp4"})
    assert [entry.status for entry in entries] == ["done", "done"]
    first, second = (frames_of(Path(entry.output)) for entry in entries)
    np.testing.assert_array_equal(first, second)
