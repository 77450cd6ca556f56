"""The plan of a batch: what is done already, what is refused, and the order of work."""

from dataclasses import replace
from pathlib import Path

import pytest

from infer.batch.plan import Task, plan, sort_tasks
from infer.batch.results import size_of
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


def test_rows_that_write_one_file_are_refused(folder, base):
    rows = (row_of("a.png", "a.wav"), row_of("a.png", "a.wav", seed=1))
    with pytest.raises(ValueError, match=r"rows 1 and 2 both write .*a--a.mp4"):
        tasks_of(folder, base, *rows)
    rows = (row_of("a.png", "a.wav"), row_of("a.png", "b.wav", output="x/../a--a.mp4"))
    with pytest.raises(ValueError, match="rows 1 and 2 both write"):
        tasks_of(folder, base, *rows)
    motion = {"template_out": str(folder / "m.safetensors")}
    rows = (row_of("a.png", "a.wav", **motion), row_of("b.png", "a.wav", **motion))
    with pytest.raises(ValueError, match=r"rows 1 and 2 both write .*m.safetensors"):
        tasks_of(folder, base, *rows)


def test_a_row_that_reads_what_another_writes_is_refused(folder, base):
    output = str(folder / "b.mp4")
    rows = (row_of("a.png", "a.wav", output=output), row_of(output, "b.wav"))
    with pytest.raises(ValueError, match=r"row 2 reads .*b.mp4, which row 1 writes"):
        tasks_of(folder, base, *rows)


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
