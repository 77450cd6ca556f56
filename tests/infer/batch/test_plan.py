"""The plan of a batch: what is done already, what is refused, and the order of work."""

from dataclasses import replace
from pathlib import Path

import pytest

from infer.batch.plan import Task, plan, sort_tasks
from infer.batch.results import Entry, size_of
from infer.batch.rows import Row, Rows
from infer.config import Options


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a.png", "b.png", "a.wav", "b.wav"):
        (tmp_path / name).write_text(name)
    (tmp_path / "nets" / "parts").mkdir(parents=True)
    (tmp_path / "nets" / "parts" / "one").write_text("weights")
    return tmp_path


@pytest.fixture
def base(folder) -> Options:
    options = Options()
    inputs = replace(options.input, checkpoint=folder / "nets")
    output = replace(options.output, output=folder / "out")
    return replace(options, input=inputs, output=output)


def tasks_of(folder: Path, base: Options, *rows: dict) -> list[Task]:
    numbered = [Row(number, row) for number, row in enumerate(rows, 1)]
    tasks, failures = plan(Rows(numbered, folder), base)
    assert failures == []
    return tasks


def row_of(source: str, driving: str, **options: object) -> dict:
    return {"source": source, "driving": driving, **options}


def finish(task: Task) -> None:
    task.output.parent.mkdir(exist_ok=True)
    task.output.write_text("clip")


def test_a_clip_that_is_there_is_done(folder, base):
    (task,) = tasks_of(folder, base, row_of("a.png", "a.wav"))
    assert task.output == folder / "out" / "a--a.mp4"
    entry = task.entry(status="done", bytes=4)
    # The entry says so, but the clip is not there.
    assert not task.is_done(entry)
    finish(task)
    assert task.is_done(entry)
    assert not task.is_done(None)
    assert not task.is_done(replace(entry, status="failed"))
    task.output.write_text("another clip")
    assert not task.is_done(entry)


def test_a_row_is_done_again_where_anything_of_it_changes(folder, base):
    def fingerprint(base=base, **options: object) -> str:
        (task,) = tasks_of(folder, base, row_of("a.png", "a.wav") | options)
        return task.fingerprint

    first = fingerprint()
    assert fingerprint(seed=1) != first
    assert fingerprint(driving="b.wav") != first
    for name in ("a.png", "a.wav", "nets/parts/one"):
        path = folder / name
        content = path.read_text()
        path.write_text("changed")
        assert fingerprint() != first
        path.write_text(content)
    moods = folder / "moods.toml"
    moods.write_text("happy")
    happy = fingerprint(emotion_keyframes="moods.toml")
    moods.write_text("sad")
    assert fingerprint(emotion_keyframes="moods.toml") != happy
    # What does not change the clip leaves it done.
    elsewhere = replace(base, device=replace(base.device, compilation_cache="none"))
    assert fingerprint(elsewhere) == first
    (folder / "a.png").rename(folder / "c.png")
    assert fingerprint(source="c.png") == first


def test_a_row_whose_file_is_missing_is_left_to_its_job(folder, base):
    (task,) = tasks_of(folder, base, row_of("missing.png", "a.wav"))
    assert task.fingerprint == ""
    finish(task)
    assert not task.is_done(task.entry(status="done", bytes=size_of(task.output)))


def test_a_row_of_impossible_options_is_a_failure_and_no_task(folder, base):
    rows = [
        row_of("a.png", "a.wav", crf="99"),
        row_of("a.png", "a.wav"),
        row_of("a.png", "a.wav", output="clip.xyz"),
    ]
    numbered = [Row(number, row) for number, row in enumerate(rows, 1)]
    tasks, failures = plan(Rows(numbered, folder), base)
    assert [task.row for task in tasks] == [2]
    assert [failure.row for failure in failures] == [1, 3]
    assert failures[0].reason == "crf is 99: it must be from 0 to 51"
    assert "ends in .xyz" in failures[1].reason


def reasons_of(folder: Path, base: Options, *rows: dict) -> dict[int, str]:
    """Return why rows fail, by their numbers; all others must be tasks."""
    numbered = [Row(number, row) for number, row in enumerate(rows, 1)]
    tasks, failures = plan(Rows(numbered, folder), base)
    reasons = {failure.row: failure.reason for failure in failures}
    assert [task.row for task in tasks] == [
        row.number for row in numbered if row.number not in reasons
    ]
    return reasons


def test_a_row_that_cannot_be_read_is_a_failure(folder, base):
    rows = [Row(1, {}, "line 2 is no CSV"), Row(2, row_of("a.png", "a.wav"))]
    tasks, failures = plan(Rows(rows, folder), base)
    assert [task.row for task in tasks] == [2]
    assert failures == [Entry(1, "failed", reason="line 2 is no CSV")]


MOTION = {"template_out": "m.safetensors"}


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ({}, {"seed": 1}, "a--a.mp4"),
        ({}, {"driving": "b.wav", "output": "x/../a--a.mp4"}, "a--a.mp4"),
        ({"output": "a.mp4"}, {"output": "../out/a.mp4"}, "a.mp4"),
        ({"output": "../link/a.mp4"}, {"output": "a.mp4"}, "a.mp4"),
        (MOTION, {**MOTION, "source": "b.png"}, "m.safetensors"),
    ],
)
def test_a_row_that_writes_the_file_of_an_earlier_one_fails(
    first, second, name, folder, base
):
    (folder / "out").mkdir()
    (folder / "link").symlink_to(folder / "out")
    row = row_of("a.png", "a.wav")
    third = row_of("b.png", "b.wav")
    reasons = reasons_of(folder, base, row | first, row | second, third)
    assert list(reasons) == [2]
    assert reasons[2].startswith("row 1 writes ")
    assert f"{name} as well: use an output that no other row has" in reasons[2]


def test_outputs_of_one_name_in_two_folders_are_two(folder, base):
    row = row_of("a.png", "a.wav")
    rows = (row | {"output": "a.mp4"}, row | {"output": "../a.mp4"})
    assert reasons_of(folder, base, *rows) == {}


@pytest.mark.parametrize("source", ["out/b.mp4", "nets/../out/b.mp4"])
def test_a_row_that_reads_what_another_writes_fails(source, folder, base):
    rows = [row_of("a.png", "a.wav", output="b.mp4"), row_of(source, "b.wav")]
    reasons = reasons_of(folder, base, *rows)
    assert list(reasons) == [2]
    assert "b.mp4, which row 1 writes: put it into a later batch" in reasons[2]
    # The order of the rows is not that of the work.
    assert list(reasons_of(folder, base, *reversed(rows))) == [1]


def test_neighbours_share_networks_programs_and_sources(folder, base):
    (folder / "b.wav").write_text("a longer sound")
    rows = (
        row_of("a.png", "b.wav", output="1.mp4"),
        row_of("b.png", "a.wav", output="2.mp4"),
        row_of("a.png", "a.wav", output="3.mp4", steps=7),
        row_of("a.png", "a.wav", output="4.mp4", seed=7),
        row_of("a.png", "a.wav", output="5.mp4", detector="none"),
        row_of("a.png", "b.wav", output="6.mp4", seed=7),
    )
    tasks = sort_tasks(tasks_of(folder, base, *rows))
    # The first picture with the shorter sound before the longer, the second picture,
    # other programs, other networks.
    assert [task.row for task in tasks] == [4, 1, 6, 2, 3, 5]
