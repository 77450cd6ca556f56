"""The command `jaxportrait`, and the scripts that it replaces."""

import os
import re
import signal
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from jaxportrait import __main__ as command
from jaxportrait.console.extras import EXTRAS

ROOT = Path(__file__).parent.parent


def run(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["jaxportrait", *words])
    command.main()


def test_help_lists_every_command_with_a_line(monkeypatch, capsys):
    run(monkeypatch, "--help")
    page = capsys.readouterr().out
    for name, program in command.PROGRAMS.items():
        assert re.search(
            f"^  {name} +{re.escape(program.summary)}$", page, re.MULTILINE
        )


@pytest.mark.parametrize("words", [[], ["animat"]])
def test_a_missing_or_unknown_command_exits_with_2(words, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, *words)
    error = capsys.readouterr().err
    assert "choose one of animate, batch, edit, web, serve, convert," in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", command.PROGRAMS)
def test_every_command_has_grouped_help_with_an_example(name, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="0"):
        run(monkeypatch, name, "--help")
    page = capsys.readouterr().out
    assert page.startswith(f"usage: jaxportrait {name} ")
    assert f"Example:\n  jaxportrait {name} " in page
    options = re.findall(r"^\W*--\w", page, re.MULTILINE)
    # A group has a title, in a box or not.
    groups = re.findall(r"^\W*([\w.]+) options\W*$", page, re.MULTILINE)
    assert groups or len(options) <= 10, "many options stand in groups"


@pytest.mark.parametrize(
    ("title", "option"),
    [
        ("input", "--dataset-path"),
        ("run", "--work-dir"),
        ("device", "--peak-tflops"),
        ("optimizer", "--learning-rate"),
        ("loop", "--steps"),
        ("losses", "--losses.focus"),
    ],
)
def test_only_tables_of_a_stage_are_in_the_names_of_options(
    title, option, monkeypatch, capsys
):
    with pytest.raises(SystemExit, match="0"):
        run(monkeypatch, "train", "--stage", "renderer", "--help")
    page = capsys.readouterr().out
    # Titles alternate with the options below them.
    _, *sections = re.split(r"^\W*(\w+) options\W*$", page, flags=re.MULTILINE)
    groups = dict(zip(sections[::2], sections[1::2], strict=True))
    assert re.search(f"^\\W*{re.escape(option)} ", groups[title], re.MULTILINE)


def test_python_m_runs_the_same_commands():
    words = [sys.executable, "-m", "jaxportrait", "animate", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: jaxportrait animate ")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("animate", "cv2", ""),
        ("convert", "torch", "[convert]"),
        ("train", "optax", "[train]"),
        ("process", "pebble", ""),
        ("web", "gradio", "[web]"),
        ("web", "starlette", "[web]"),
        ("serve", "starlette", "[serve]"),
    ],
)
def test_a_package_that_is_not_installed_is_one_line_with_its_extra(
    name, package, extra
):
    # A new process: modules that other tests have imported do not import it again.
    script = (
        f"import sys; sys.modules[{package!r}] = None; "
        "from jaxportrait.__main__ import main; main()"
    )
    words = [sys.executable, "-c", script, name, "--help"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: jaxportrait {name} needs {package}, which is not installed: "
        f"pip install -e '.{extra}'\n"
    )


@pytest.mark.parametrize("module", ["train.absent", "jaxportrait.absent", "wave"])
def test_a_missing_module_of_ours_or_of_python_raises(module, monkeypatch):
    monkeypatch.setitem(sys.modules, "wave", None)
    program = command.Program(f"{module}:main", "")
    monkeypatch.setitem(command.PROGRAMS, "train", program)
    with pytest.raises(ModuleNotFoundError, match=module):
        run(monkeypatch, "train")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("infer", "cv2", ""),
        ("convert_weights.verify", "torch", "[convert]"),
        ("train", "optax", "[train]"),
        ("train.process", "pebble", ""),
        ("train.evaluate", "optax", "[train]"),
        ("infer.web", "starlette", "[web]"),
        ("infer.serve", "starlette", "[serve]"),
    ],
)
def test_a_package_missing_from_a_module_is_one_line_too(
    name, package, extra, tmp_path
):
    # This file is found first, and hides the package.
    script = f"raise ModuleNotFoundError('hidden', name={package!r})"
    (tmp_path / f"{package}.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    words = [sys.executable, "-m", name, "--help"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.stderr == (
        f"error: python -m {name} needs {package}, which is not installed: "
        f"pip install -e '.{extra}'\n"
    )
    assert done.returncode == 2


def test_packages_belong_to_the_extra_that_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    owners = packages_distributions()
    for package, extra in EXTRAS.items():
        requirements = {
            re.split(r"[<>=;\[]", requirement)[0].lower().replace("_", "-")
            for requirement in extras[extra]
        }
        distributions = {
            name.lower().replace("_", "-") for name in owners.get(package, ())
        }
        # Not every package is installed everywhere.
        assert not distributions or distributions & requirements, package


def test_a_program_run_by_its_module_shows_that_name():
    words = [sys.executable, "-m", "infer", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: python -m infer ")
    assert "  python -m infer -s portrait.jpg" in done.stdout


@pytest.mark.parametrize(("script", "name"), command.ALIASES.items())
def test_an_old_script_runs_its_command_with_a_note(script, name, monkeypatch, capsys):
    # Scripts are started by their path.
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{script}", "--help"])
    with pytest.raises(SystemExit, match="0"):
        command.run_alias()
    output = capsys.readouterr()
    assert output.err.startswith(f"note: `{script}` is now `jaxportrait {name}`")
    assert output.err.count("\n") == 1
    assert output.out.startswith(f"usage: jaxportrait {name} ")


def test_the_package_installs_the_command_and_every_old_script():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["scripts"]) == {"jaxportrait", *command.ALIASES}
    for entry in project["scripts"].values():
        # Scripts that name nothing would fail only when they run.
        module, _, function = entry.partition(":")
        assert callable(getattr(import_module(module), function))


SLOW = """
from jaxportrait import __main__ as command
command.PROGRAMS["slow"] = command.Program("slow:main", "imports slowly")
command.run_program("slow", [])
"""


def test_ctrl_c_while_a_program_is_imported_prints_no_traceback(tmp_path):
    (tmp_path / "slow.py").write_text("print('begun', flush=True)\nwhile True: pass")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (-signal.SIGINT, "interrupted\n")
