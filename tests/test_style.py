"""The project's style holds: density of code, comments and plain English."""

from pathlib import Path

import pytest

from benchmarks.density import (
    CODE,
    DOCUMENTS,
    LEAST_COMMENTS,
    MOST_NODES,
    ROOT,
    add,
    dense_files,
    find_wording,
    measure,
    measure_all,
    missed_targets,
)
from benchmarks.prose import check_file

ENFORCED = (*CODE, *DOCUMENTS)
"""Files and folders that meet the style: all code and every page."""


@pytest.mark.parametrize("name", ENFORCED)
def test_wording_is_plain_english(name):
    assert [str(finding) for finding in find_wording([ROOT / name])] == []


def test_no_file_is_too_dense():
    densities = measure_all([ROOT / name for name in ENFORCED])
    assert dense_files(densities) == []


def test_the_project_is_not_too_dense():
    densities = measure_all([ROOT / name for name in ENFORCED])
    total = add(list(densities.values()))
    assert total.nodes_a_line <= MOST_NODES


def test_code_is_commented():
    densities = measure_all([ROOT / name for name in ENFORCED])
    total = add(list(densities.values()))
    assert total.comment_share >= LEAST_COMMENTS


def check(tmp_path: Path, name: str, text: str) -> list[str]:
    """Return the messages for a file of this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return [finding.message for finding in check_file(path)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('"""What it does."""', "docstring opens with 'What'"),
        ('"""Cut.\n\n    Args:\n      a: of the clip.\n"""', "clipped entry"),
        # Split, so that this file is no example of what it rules out.
        ("x = 1  # lips al" + "one", "only"),
        ('X = 1\n"""Begun an' + 'ew."""', "again"),
        ("for each in (): pass", "name 'each' is no noun"),
        ("def run(given): pass", "name 'given' is no noun"),
    ],
)
def test_each_rule_finds_its_breach(tmp_path, source, message):
    (text,) = check(tmp_path, "module.py", source)
    assert message in text


def test_documents_are_checked_for_words(tmp_path):
    assert check(tmp_path, "page.md", "It resumes.\n") == []
    # A phrase may be wrapped.
    assert len(check(tmp_path, "page.md", "It goes\n" + "on, it goes on.")) == 2


def test_plain_code_has_no_findings(tmp_path):
    source = '"""Return lips only."""\nlips = "alone"\n'
    assert check(tmp_path, "module.py", source) == []


def test_nodes_lines_and_comments_are_counted(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("# A number.\nx = 1\n\n", encoding="utf-8")
    density = measure(path)
    # Module, Assign, Name, Store, Constant.
    assert (density.nodes, density.lines, density.comments) == (5, 3, 1)
    assert missed_targets({path: density}) == []


def test_dense_code_misses_the_targets(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("x = [y * y + 1 for y in (1, 2, 3) if y > 1]\n", encoding="utf-8")
    # Too dense for a file, for the whole, and without a comment.
    assert len(missed_targets({path: measure(path)})) == 3
