"""The table of results: whole at every moment, and read by the next run."""

import json

import pytest

from infer.batch.results import Entry, Results, read_results, size_of


def test_a_table_has_a_line_of_json_for_every_row(tmp_path):
    path = tmp_path / "results.jsonl"
    results = Results(path, [Entry(2, "waiting"), Entry(1, "failed", reason="no face")])
    results.put(Entry(2, "done", size=(64, 32), warnings=("a", "b")))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["row"] for line in lines] == [1, 2]
    assert lines[0]["reason"] == "no face"
    assert lines[1]["size"] == [64, 32]
    assert [results.count(status) for status in ("done", "failed", "waiting")] == [
        1,
        1,
        0,
    ]
    assert read_results(path)[1] == Entry(2, "done", size=(64, 32), warnings=("a", "b"))


def test_there_are_no_results_before_a_run(tmp_path):
    assert read_results(tmp_path / "results.jsonl") == []


@pytest.mark.parametrize("text", ["{", '{"row": 1}', '{"row": 1, "status": "lost"}'])
def test_what_is_no_table_of_results_is_refused(text, tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match="no table of results"):
        read_results(path)


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "1.png").write_bytes(b"12")
    (tmp_path / "2.png").write_bytes(b"345")
    assert size_of(tmp_path) == 5
    assert size_of(tmp_path / "1.png") == 2
    assert size_of(tmp_path / "none.png") == 0
