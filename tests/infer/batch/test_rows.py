"""Rows of a CSV file, of JSON lines, and of a folder's pairs."""

import re
from pathlib import Path

import pytest

from infer.batch.rows import Row, read_rows

TABLE = "\ufeffsource, output-fps,crf\na.png,5,\n\nb.png,, 20\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def folder_of(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def pairs_of(rows: list[Row]) -> list[str]:
    return [f"{row.values['source']} {row.values['driving']}" for row in rows]


def test_a_table_has_a_clip_in_every_row(tmp_path):
    rows = read_rows(write(tmp_path / "clips.csv", TABLE))
    # Empty cells are options of all rows, and empty lines none.
    assert [row.values for row in rows.rows] == [
        {"source": "a.png", "output_fps": "5"},
        {"source": "b.png", "crf": "20"},
    ]
    assert [row.number for row in rows.rows] == [1, 2]
    assert rows.folder == tmp_path


def test_json_lines_have_values_with_types(tmp_path):
    lines = '{"source": "a.png", "crf": 20, "face": null}\n\n{"--other-driving": ["b"]}'
    rows = read_rows(write(tmp_path / "clips.jsonl", lines))
    assert [row.values for row in rows.rows] == [
        {"source": "a.png", "crf": 20},
        {"other_driving": ["b"]},
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "source,drivng\n", "has 'drivng', .*did you mean 'driving'"),
        ("a.csv", "source,colour\n", "has 'colour', which is no option of a clip"),
        ("a.csv", "platform\ncpu\n", "of the whole batch: pass it on the command line"),
        ("a.csv", "crf,crf\n1,2\n", "has 'crf' twice: leave out either"),
        ("a.csv", '"source\n', "the first line of .* is no CSV"),
        ("a.csv", "source\n", "has no rows"),
        ("a.csv", "", "has no rows"),
        ("a.jsonl", "\n", "has no rows"),
        (
            "a.txt",
            "source\n",
            "ends in '.txt': pass a .csv or .jsonl file, or a folder",
        ),
    ],
)
def test_what_is_no_table_of_clips_is_refused(name, text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_rows(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("b.png", "line 3 of .* has 1 cells, and the first line 2"),
        ("b.png,2,3", "line 3 of .* has 3 cells, and the first line 2"),
        ('"b.png,2', "line 3 of .* is no CSV"),
        ('"b"c,2', "line 3 of .* is no CSV"),
    ],
)
def test_a_bad_line_of_a_table_leaves_the_others(line, fault, tmp_path):
    text = f"source,crf\na.png,1\n{line}\nc.png,3\n"
    first, bad, last = read_rows(write(tmp_path / "a.csv", text)).rows
    assert first == Row(1, {"source": "a.png", "crf": "1"})
    assert (bad.number, bad.values) == (2, {})
    assert re.search(fault, bad.fault)
    assert last == Row(3, {"source": "c.png", "crf": "3"})


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"crfs": 2}', "line 2 of .*'crfs', .*mean 'crf'"),
        ('{"platform": "cpu"}', "line 2 of .* of the whole batch"),
        ("[2]", "line 2 of .* is no JSON object"),
        ("{'crf': 2}", "line 2 of .* is no JSON object"),
        ('{"crf": ' + "[" * 5_000, "line 2 of .* is no JSON object"),
    ],
)
def test_a_bad_line_of_json_leaves_the_others(line, fault, tmp_path):
    text = f'{{"crf": 1}}\n{line}\n{{"crf": 3}}\n'
    first, bad, last = read_rows(write(tmp_path / "a.jsonl", text)).rows
    assert first == Row(1, {"crf": 1})
    assert (bad.number, bad.values) == (2, {})
    assert re.search(fault, bad.fault)
    assert last == Row(3, {"crf": 3})


def test_a_table_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("source\nMüller.png\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        read_rows(path)


def test_pictures_of_a_folder_are_driven_by_files_of_their_name(tmp_path):
    names = ("anna.PNG", "anna.wav", "anna.mp4", "ben.jpg", "carl.mp3", "notes.txt")
    rows = read_rows(folder_of(tmp_path, *names))
    assert pairs_of(rows.rows) == ["anna.PNG anna.mp4", "anna.PNG anna.wav"]
    # A user learns what has no partner.
    (remark,) = rows.remarks
    assert "left out: ben.jpg, carl.mp3" in remark


def test_pictures_of_a_folder_are_driven_by_all_files_on_request(tmp_path):
    rows = read_rows(folder_of(tmp_path, "a.png", "b.png", "c.wav", "d.pkl"), "all")
    assert pairs_of(rows.rows) == [
        "a.png c.wav",
        "a.png d.pkl",
        "b.png c.wav",
        "b.png d.pkl",
    ]
    assert rows.remarks == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png", "b.wav"], "has the name of a picture.*pass --pairs all"),
        (["a.png"], "holds no sounds or videos"),
        (["a.wav"], "holds no pictures"),
    ],
)
def test_a_folder_without_pairs_is_refused(names, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_rows(folder_of(tmp_path, *names))


def test_pairs_of_a_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="leave out --pairs"):
        read_rows(write(tmp_path / "a.csv", TABLE), "all")
