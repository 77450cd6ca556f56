"""Compiled programs, made before they are needed."""

import subprocess

import pytest

from tests.infer.program import command, run


def test_warming_up_fills_the_cache_and_makes_no_video(inputs, tmp_path, capfd):
    cache = tmp_path / "cache"
    arguments = command(inputs, "--compilation-cache", str(cache))
    done = subprocess.run(
        [*arguments, "--warmup"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(cache)
    assert "compiling for clips of up to 1.0 s" in done.stderr
    assert not inputs["-o"].exists()
    # The cache keeps a file of access times beside each program.
    programs = {
        path.name for path in cache.iterdir() if not path.name.endswith("-atime")
    }
    assert programs
    # A clip compiles nothing more.
    subprocess.run(arguments, check=True)
    assert {
        path.name for path in cache.iterdir() if not path.name.endswith("-atime")
    } == programs


def test_warming_up_needs_a_cache(inputs, capsys):
    with pytest.raises(SystemExit):
        run(inputs, "--warmup")
    assert "--compilation-cache none does not" in capsys.readouterr().err
