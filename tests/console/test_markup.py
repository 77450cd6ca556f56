"""Consoles of programs: what they print is text, whatever brackets its paths have."""

import re
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
PROGRAMS = ("infer", "train", "convert_weights", "jaxportrait")
CONSOLE = re.compile(r"\bConsole\(([^()]|\([^()]*\))*\)")
"""A call, whose arguments may hold calls without others in them."""


def test_consoles_read_no_markup():
    calls = [
        call[0]
        for program in PROGRAMS
        for path in (ROOT / program).rglob("*.py")
        for call in CONSOLE.finditer(path.read_text(encoding="utf-8"))
    ]
    assert len(calls) > 8
    assert [call for call in calls if "markup=False" not in call] == []


def test_brackets_of_a_path_are_printed():
    # By default rich takes them for the name of a style, in lines and in tables.
    output = StringIO()
    console = Console(file=output, markup=False)
    console.print("runs/[x]: done")
    table = Table("clip")
    table.add_row("[y].mp4")
    console.print(table)
    assert "runs/[x]: done" in output.getvalue()
    assert "[y].mp4" in output.getvalue()
