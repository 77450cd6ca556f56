"""Options outside their ranges: every program refuses them in a line that has the value
and the fix, with status 2, and writes nothing. The help of an option is one paragraph."""

import dataclasses
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

HUGE = str(10**30)
INFER = ("infer.__main__", ["--compilation-cache", "none"])
CONVERT = ("convert_weights.__main__", ["--output", "C"])
SYNTHESIZE = ("train.synthetic.__main__", ["--output-path", "O"])
PROCESS = (
    "train.process",
    ["--dataset-path", "D", "--output-path", "O", "--checkpoint", "C"],
)
FRAMES = ("train.frames", ["--dataset-path", "D", "--output-path", "O"])
TRAIN = ("train.__main__", ["--dataset-path", "D", "--work-dir", "W"])
DENOISE = (TRAIN[0], [*TRAIN[1], "--stage", "diffusion"])
EXPORT = ("train.export.__main__", ["--work-dir", "W", "--output", "O"])
EVALUATE = ("train.evaluate.__main__", ["--dataset-path", "D", "--checkpoint", "C"])
EVALUATE_RENDERER = ("train.evaluate.renderer.__main__", EVALUATE[1])
EVALUATE_SPEECH = (
    "train.evaluate.speech.__main__",
    ["--heads", "H", "--training-heads", "T"],
)

# (program, option, values): each value is outside the option's range.
TABLE = [
    (INFER, "--steps", "0 -1 1001 1099511627776"),
    (INFER, "--cfg-scale", "1e308 nan -inf 101"),
    (INFER, "--seed", "-1 4294967296"),
    (INFER, "--batch-size", "0 1000000000 10000000000000000000"),
    (INFER, "--devices", "0"),
    (INFER, "--face", "-1"),
    (INFER, "--output-fps", "0 nan inf 241"),
    (INFER, "--crf", "-1 52"),
    (CONVERT, "--image-size", f"0 -256 63 4097 {HUGE}"),
    (SYNTHESIZE, "--subjects", "0 1000"),
    (SYNTHESIZE, "--seconds", "0 nan 61"),
    (SYNTHESIZE, "--size", f"0 65 4098 {HUGE}"),
    (SYNTHESIZE, "--seed", "-1 18446744073709551616"),
    (SYNTHESIZE, "--workers", f"0 {HUGE}"),
    (PROCESS, "--workers", f"0 {HUGE}"),
    (PROCESS, "--limit", "-1"),
    (PROCESS, "--batch-size", f"0 {HUGE}"),
    (FRAMES, "--size", f"0 31 1024 {HUGE}"),
    (FRAMES, "--frames", "1"),
    (FRAMES, "--zoom", "0 nan 2.3"),
    (TRAIN, "--processes", "0"),
    (TRAIN, "--process", "-1"),
    (TRAIN, "--peak-tflops", "0 nan"),
    (DENOISE, "--batch-size", f"0 -4 {HUGE}"),
    (EXPORT, "--log-mel", f"0 {HUGE}"),
    (EXPORT, "--cfg-scale", "nan 1e308"),
    (EVALUATE, "--steps", f"0 {HUGE}"),
    (EVALUATE, "--guidance", "-1 nan 101"),
    (EVALUATE, "--clips", "0"),
    (EVALUATE, "--seeds", "1"),
    (EVALUATE_RENDERER, "--pairs", "0"),
    (EVALUATE_SPEECH, "--clips", "1"),
    (EVALUATE_SPEECH, "--training-clips", "0"),
    (EVALUATE_SPEECH, "--regressor-steps", "0"),
    (EVALUATE_SPEECH, "--seed", "4294967296"),
]
REQUIRED = {SYNTHESIZE[0]: ["--subjects", "1", "--clips", "1"]}
"""Options of a program that may be overridden by the one that is tested."""


HELP = [
    ("infer.__main__", "Options"),
    ("infer.edit", "Options"),
    ("infer.batch.__main__", "Options"),
    ("infer.serve.__main__", "Options"),
    ("infer.web.__main__", "Options"),
    ("convert_weights.__main__", "Options"),
    ("train.options", "FlowOptions"),
    ("train.options", "DiffusionOptions"),
    ("train.options", "RendererOptions"),
    ("train.options", "StitchingOptions"),
    ("train.export.write", "Options"),
    ("train.process", "Options"),
    ("train.frames", "Options"),
    ("train.synthetic.__main__", "Options"),
    ("train.evaluate.motion.run", "Options"),
    ("train.evaluate.renderer.__main__", "Options"),
    ("train.evaluate.speech.__main__", "Options"),
]
"""Modules of the programs, and the dataclasses of their options."""


def groups(kind: Any) -> Iterator[type]:
    """Yield the dataclasses of options, which may be nested."""
    if not dataclasses.is_dataclass(kind):
        for part in get_args(kind):
            yield from groups(part)
        return
    assert isinstance(kind, type)
    yield from kind.__mro__
    for hint in get_type_hints(kind).values():
        yield from groups(hint)


@pytest.mark.parametrize(("module", "name"), HELP)
def test_the_help_of_an_option_is_one_paragraph(module: str, name: str):
    documentation = [
        cleandoc(group.__doc__ or "").partition("Attributes:\n")[2]
        for group in groups(getattr(import_module(module), name))
    ]
    # tyro breaks a paragraph before a line that begins with no letter.
    lines = "\n".join(documentation).splitlines()
    assert [line for line in lines if re.match(r" {4}[^a-zA-Z]", line)] == []
    assert any(line.startswith("  ") for line in lines)


def run(module: str, words: list[str], monkeypatch, capsys) -> tuple[object, str]:
    """Run a program in this process; return its status, and its text on stderr."""
    monkeypatch.setattr(sys, "argv", [module, *words])
    with pytest.raises(SystemExit) as stop:
        import_module(module).main()
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "option", "values"),
    TABLE,
    ids=[f"{module.split('.__')[0]} {option}" for (module, _), option, _ in TABLE],
)
def test_a_value_outside_its_range_is_refused(
    program, option, values, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    module, arguments = program
    # A name such as `output_fps` may be printed with a space.
    name = option.removeprefix("--").replace("-", "[_ ]")
    for value in values.split():
        words = [*arguments, *REQUIRED.get(module, []), option, value]
        status, error = run(module, words, monkeypatch, capsys)
        assert status == 2, error
        # As Python prints the number.
        number = re.escape(str(float(value) if "e" in value else value))
        line = rf"error: {name} is {number}(\.0)?: it must be .*\n"
        assert re.fullmatch(line, error), error
        assert list(tmp_path.iterdir()) == []


def test_options_against_each_other_are_one_line(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module, arguments = INFER
    words = [*arguments, "--composition", "original", "--region", "eyes"]
    status, error = run(module, words, monkeypatch, capsys)
    assert status == 2
    assert error.startswith('error: composition "original" moves only lips, ')
    assert error.count("\n") == 1
