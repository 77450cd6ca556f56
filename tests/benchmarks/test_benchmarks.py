"""Benchmarks: turns, ratios, reports, and the options of every benchmark."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as everything
from benchmarks.neighbour import Neighbour
from benchmarks.renderer import psnr
from benchmarks.report import alternate, paired_ratio, publish


def test_contestants_run_in_turn():
    calls: list[str] = []
    runs = alternate({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    # The first call and three repeats of each, in turn.
    assert calls == list("ab" * 4)
    assert all(
        len(run["times"]) == 3 and run["least"] <= run["median"]
        for run in runs.values()
    )


class Sleeper:
    """The contestant of these tests."""

    def __init__(self, nap: float):
        if nap < 0:
            raise ValueError("a nap takes time")
        self.nap = nap

    def process(self) -> int:
        return os.getpid()

    def sleep(self, times: int) -> Callable[[], None]:
        return lambda: time.sleep(times * self.nap)

    def leave(self) -> None:
        # A process that ends without a word, as after a fault of a library.
        os._exit(3)


def test_a_neighbour_has_its_own_process_and_its_own_clock():
    with Neighbour(Sleeper, 0.01) as neighbour:
        assert neighbour.ask("process") != os.getpid()
        runs = alternate(
            {"ours": lambda: None, "theirs": neighbour.prepare("sleep", 3)}, 2
        )
        assert runs["ours"]["median"] < 0.03 <= runs["theirs"]["least"]
        with pytest.raises(TypeError):
            neighbour.prepare("sleep", 1, 2)
        # an error does not end the process
        call = neighbour.prepare("sleep", 1)
        assert call.time().seconds >= 0.01


def test_errors_of_a_neighbour_reach_us():
    with pytest.raises(ValueError, match="a nap takes time"):
        Neighbour(Sleeper, -1.0)
    with (
        Neighbour(Sleeper, 0.0) as neighbour,
        pytest.raises(RuntimeError, match="ended by itself, with status 3"),
    ):
        neighbour.ask("leave")
    with pytest.raises(
        FileNotFoundError, match=r"No module named 'no_such_package'.*install it"
    ):
        Neighbour(import_module, "no_such_package")
    with Neighbour.beside(None, Sleeper) as nobody:
        assert nobody is None


def test_the_ratio_is_of_neighbours():
    assert paired_ratio({"times": [1.0, 9.0, 2.0]}, {"times": [2.0, 18.0, 1.0]}) == 0.5


def test_psnr_is_in_decibels():
    assert psnr(np.full((2, 2), 0.5), np.full((2, 2), 0.6)) == pytest.approx(20)


def test_figures_are_kept_with_the_machine_that_gave_them(tmp_path):
    path = tmp_path / "figures.json"
    publish("a table", ("what",), [["a row"]], {"figure": 1}, path)
    report = json.loads(path.read_text())
    assert report["figures"] == {"figure": 1}
    assert {"device", "processor", "cores", "jax"} <= report["machine"].keys()


def test_every_benchmark_gets_what_is_meant_for_it():
    options = everything.Options(
        Path("out"), renderer=Path("a"), transformer=Path("b"), checkpoint=Path("c")
    )
    commands = everything.plan(options, everything.CPU)
    # the last option of each, and its value
    last = {name: arguments[-2:] for name, arguments in commands.items()}
    assert last["renderer"] == ["--against", "a"]
    assert last["sampler"] == ["--against", "b"]
    assert last["train"] == ["--against", "b"]
    assert last["end_to_end"] == ["--checkpoint", "c"]
    assert last["memory"] == ["--checkpoint", "c"]
    assert last["live"] == ["--checkpoint", "c"]
    assert commands["conv"] == []


def test_one_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, capfd):
    # The first of two has wrong options.
    monkeypatch.setattr(everything, "CPU", {"memory": "--seconds none", "report": ""})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--output", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        everything.main()
    assert stop.value.code == 1
    assert "failed: memory" in capfd.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "memory.txt",
        "report.txt",
    }


def test_an_unknown_benchmark_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["benchmarks", "--output", str(tmp_path), "--only", "speed"]
    )
    with pytest.raises(SystemExit):
        everything.main()
    assert "no benchmark speed: there are renderer," in capsys.readouterr().err


TINY = "--width 16 --heads 2 --joint-blocks 1 --fused-blocks 1 --repeats 1"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sampler", f"{TINY} --seconds 0.5 --steps 2 --windows independent"),
        ("train", f"{TINY} --batch-size 4"),
        ("conv", "--only=flatten --repeats 1"),
    ],
)
def test_a_benchmark_measures(name, arguments, tmp_path):
    path = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{name}",
        *arguments.split(),
        "--json",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text())
    medians = [run["median"] for run in runs_in(report["figures"])]
    assert medians
    assert min(medians) > 0


def runs_in(figures: Any) -> Iterator[dict[str, Any]]:
    """Yield the timings in a benchmark's figures, wherever they stand."""
    if isinstance(figures, dict) and "median" in figures:
        yield figures
    elif isinstance(figures, dict):
        yield from runs_in(list(figures.values()))
    elif isinstance(figures, list):
        for figure in figures:
            yield from runs_in(figure)
