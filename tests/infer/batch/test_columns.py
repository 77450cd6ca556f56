"""Columns of rows: every option of a clip, with the types of the command line."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import tyro

from infer.batch.columns import OF_THE_BATCH, apply, columns
from infer.config import Options

HERE, THERE = Path("/inputs"), Path("/results")


def options_of(**values: object) -> Options:
    return apply(values, Options(), HERE, THERE)


def test_every_option_of_the_command_line_is_a_column(capsys):
    with pytest.raises(SystemExit):
        tyro.cli(Options, args=["--help"])
    page = capsys.readouterr().out
    names = re.findall(r"--(?:no-)?([a-z][a-z-]*)", page)
    options = {name.replace("-", "_") for name in names}
    assert set(columns()) == options - {"help", "output_dir", *OF_THE_BATCH}


def test_text_becomes_the_type_of_the_option():
    options = options_of(
        seed="3",
        cfg_scale="2.5",
        face="all",
        stitching="false",
        side_by_side="true",
        other_driving="b.wav; /c.wav",
    )
    assert options.sampling.seed == 3
    assert options.sampling.cfg_scale == 2.5
    assert options.detection.face == "all"
    assert options.composition.stitching is False
    assert options.output.side_by_side
    assert options.input.other_driving == (HERE / "b.wav", Path("/c.wav"))


def test_values_of_json_need_no_text():
    options = options_of(seed=3, cfg_scale=2, face=1, other_driving=["b.wav"])
    assert options.sampling.seed == 3
    assert options.detection.face == 1
    assert options.input.other_driving == (HERE / "b.wav",)


def test_paths_start_from_the_table_and_from_the_folder_of_clips():
    options = options_of(source="a.png", output="x.mp4", template_out="/y.safetensors")
    assert options.input.source == HERE / "a.png"
    assert options.output.output == THERE / "x.mp4"
    assert options.output.template_out == Path("/y.safetensors")


def test_an_option_that_a_row_lacks_is_that_of_all():
    base = replace(Options(), output=replace(Options().output, crf=7))
    assert apply({}, base, HERE, THERE) == base
    assert apply({"crf": "9"}, base, HERE, THERE).output.crf == 9


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seed", "two", "seed is 'two': it must be a whole number"),
        ("seed", "-1", "seed is -1: it must be from 0 to"),
        ("cfg_scale", "x", "cfg_scale is 'x': it must be a number"),
        ("side_by_side", "yes", "side_by_side is 'yes': it must be true or false"),
        ("region", "nose", "region is 'nose': it must be all or expression or"),
        ("face", "any", "face is 'any': it must be a whole number or all"),
        ("source", 3, "source is 3: it must be a path"),
        ("source", "a\0.png", "source is .*: it must be a path"),
        ("other_driving", 3, "other_driving is 3: it must be a list of paths"),
        ("box", [1, 2], r"box is \[1, 2\]: it must be text"),
    ],
)
def test_a_value_of_another_kind_is_one_line(name, value, message):
    with pytest.raises(ValueError, match=message):
        options_of(**{name: value})
