"""The benchmark of live sessions."""

import json
import subprocess
import sys

import pytest


@pytest.mark.full
def test_sessions_are_timed_by_the_length_of_chunks(tmp_path):
    path = tmp_path / "figures.json"
    options = ["--seconds", "1.5", "--steps", "1", "--json", str(path)]
    command = [sys.executable, "-m", "benchmarks.live", *options]
    subprocess.run(command, check=True, capture_output=True)
    figures = json.loads(path.read_text())["figures"]
    assert list(figures) == ["40", "100", "320", "1000"]
    for values in figures.values():
        assert values["first"] > 0
        assert values["factor"] > 0
        assert values["fps"] > 1
