"""The commands that documents, configurations and examples show are ones that the
programs take."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import tyro

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGS, SCRIPTS = (
    sorted((ROOT / "configs").glob("*.toml")),
    sorted((ROOT / "examples").glob("*.sh")),
)
OPTIONS = {
    "infer": "infer.config",
    "infer.batch": "infer.batch.config",
    "infer.serve": "infer.serve.options",
    "infer.web": "infer.web.config",
    "convert_weights": "convert_weights.__main__",
    "train.process": "train.process",
    "train.export": "train.export.write",
    "train.frames": "train.frames",
    "train.synthetic": "train.synthetic.__main__",
    "train.evaluate": "train.evaluate.motion.run",
    "train.evaluate.renderer": "train.evaluate.renderer.run",
    "train.evaluate.speech": "train.evaluate.speech.run",
    "train.renderer.evaluate": "train.evaluate.renderer.run",
    "train.spoken": "train.evaluate.speech.run",
    "benchmarks": "benchmarks.__main__",
}
"""Program -> the module of its `Options`, where it is not the program's own."""

PACKAGES = ("infer", "train", "convert_weights", "benchmarks")

STAGE = "python -m train --stage renderer --dataset-path D --work-dir W "
"""Meaning of `stage FRAMES NAME` in `examples/train_demo.sh`."""


def blocks(path: Path) -> Iterator[str]:
    """The parts of a file in which commands stand by themselves."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from re.findall(
            r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE
        )
    else:
        yield (
            text.removeprefix("# ").splitlines()[0] if path.suffix == ".toml" else text
        )


def commands(path: Path) -> list[str]:
    """Each `python -m PROGRAM ...` of our own, on one line; forms with brackets or dots
    are no commands."""
    lines = [
        line
        for block in blocks(path)
        for line in block.replace("\\\n", " ").splitlines()
    ]
    lines = [re.sub(r"^stage \S+ \S+ ", STAGE, line) for line in lines]
    matches = [re.search(r"python -m (\S.*)", line) for line in lines]
    typed = [match[1].rstrip("{ ") for match in matches if match is not None]
    return [command for command in typed if is_ours(command)]


def is_ours(command: str) -> bool:
    """Return whether a command runs one of our programs, and is complete."""
    package, _, _ = command.split()[0].partition(".")
    is_form = re.search(r"\[-|\.\.\.|…|\|", command)
    return package in PACKAGES and not is_form


def parse(command: str) -> object:
    # A shell variable with a default, ${NAME:-VALUE}, stands for that default.
    command = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", command)
    program, *arguments = shlex.split(command.replace('"$@"', ""), comments=True)
    if program == "train":
        return import_module("train.command").parse(arguments)
    return tyro.cli(
        import_module(OPTIONS.get(program, program)).Options, args=arguments
    )


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, *CONFIGS, *SCRIPTS], ids=lambda path: path.name
)
def test_every_command_is_taken(path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    for command in commands(path):
        try:
            parse(re.sub(r"\b[N]\b", "3", command))
        except SystemExit as stop:
            pytest.fail(
                f"{path.name}: {command}\n{capsys.readouterr().err}"
            ) if stop.code else None


def test_commands_are_found():
    assert len(commands(ROOT / "README.md")) >= 5
    assert all(len(commands(path)) == 1 for path in CONFIGS)
    assert len(commands(ROOT / "examples/train_demo.sh")) >= 20
