"""A report passes only what was compared and lies within its bound."""

import pytest

from convert_weights.parity import Comparison, conclude, forgotten

MET, MISSED = Comparison("met", 1e-5, 1e-5), Comparison("missed", 2e-5, 1e-5)


def test_a_bound_may_be_reached_but_not_passed():
    assert MET.passed
    assert not MISSED.passed


def test_a_figure_that_nothing_was_compared_with_fails():
    (row,) = forgotten(["met", "skipped"], [MET])
    assert row.name == "skipped"
    assert not row.passed


@pytest.mark.parametrize(
    ("rows", "status", "printed"),
    [([MET], 0, "1 values within"), ([MET, MISSED], 1, "1 not")],
)
def test_one_miss_is_the_exit_status(rows, status, printed, capsys):
    with pytest.raises(SystemExit) as stop:
        conclude(rows, "value")
    out = capsys.readouterr().out
    assert int(stop.value.code) == status
    assert printed in out
    assert ("NO" in out) == bool(status)
    # Numbers have no shape, so there is no such column.
    assert "shape" not in out


def test_shapes_are_shown_where_there_are_any(capsys):
    with pytest.raises(SystemExit):
        conclude([MET, Comparison("tensor", 0.0, 0.0, (2, 30, 18))], "value")
    assert "2x30x18" in capsys.readouterr().out
