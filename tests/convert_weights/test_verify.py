"""The parity report, as a user runs it; it passes where it must and fails where it
must."""

import json
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from convert_weights.outputs import golden_waveform
from convert_weights.recipe import Recipe
from convert_weights.verify import (
    FRAME_BOUND,
    SMALL_BOUND,
    bound_of,
    compare,
    load_figures,
    main,
    verify,
)

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"
ROW = re.compile(r"\| `([\w./]+)`([^|]*)\|.*\| ([\d.]+e-\d+)[^|]*\|$")
SPECTROGRAMS = ("mel/",)
OTHERS = ("statistic/", *SPECTROGRAMS)
"""Figures that have no size of their own."""


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """The programs of one run serve the next."""
    # The converter is run several times, on networks of the same shapes.
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def report(monkeypatch, capsys):
    """Run the program: (exit status, standard output)."""

    def run(*arguments) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["verify", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code), capsys.readouterr().out

    return run


def names_of(golden, *prefixes: str) -> set[str]:
    return {
        name
        for name in load_figures(golden)
        if name.startswith(prefixes) and not name.endswith(("/shape", "/mean_std"))
    }


def test_small_networks_are_within_their_bounds(report, golden):
    status, out = report("--golden", golden, "--size", "small")
    names = names_of(golden, "small/", *OTHERS)
    assert status == 0, out
    assert f"{len(names)} tensors within their bounds, 0 not" in out
    assert all(name in out for name in names)


def test_another_seed_is_another_network_and_fails(report, golden, tmp_path):
    folder = shutil.copytree(golden, tmp_path / "golden")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(
        # Other weights, and the same golden figures.
        json.dumps({**manifest, "seed": manifest["seed"] + 1})
    )
    status, out = report("--golden", folder, "--size", "small")
    assert status == 1
    assert (
        f"0 tensors within their bounds, {len(names_of(golden, 'small/', *OTHERS))} not"
        in out
    )


@pytest.mark.parametrize(
    ("folder", "arguments", "message"),
    [
        ("", ("--size", "motion", "--dtype", "bfloat16"), "motion compute in float32"),
        ("ditto", ("--dtype", "bfloat16"), "Ditto's figures are of float32"),
        ("ditto", ("--size", "motion"), "holds Ditto's: leave it out"),
        ("joyvasa", ("--dtype", "float16"), "choose float32 or bfloat16"),
        ("none", (), "none holds no golden figures"),
    ],
)
def test_options_without_effect_are_refused(
    folder, arguments, message, golden, monkeypatch, capsys
):
    words = ["verify", "--golden", str(golden / folder), *arguments]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="2"):
        main()
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


@pytest.mark.parametrize(("dtype", "rounding"), [("bfloat16", 1e-3), ("float16", 1e-4)])
def test_small_networks_in_half_precision_are_within_theirs(golden, dtype, rounding):
    # Flax's norms promote halves, which the strict rules forbid.
    with jax.numpy_dtype_promotion("standard"):
        rows = verify(golden, "small", dtype)
    assert [row for row in rows if not row.passed] == []
    halved = [
        row for row in rows if row.name.startswith("small/") and row.error > rounding
    ]
    # Otherwise it was not half precision.
    assert len(halved) > 10


@pytest.mark.full
def test_full_networks_are_within_their_bounds(golden):
    rows = verify(golden, "full")
    assert [row for row in rows if not row.passed] == []
    assert {row.name for row in rows} >= names_of(golden, "full/", "tiny/whisper")
    small = names_of(golden, "small/", *SPECTROGRAMS)
    assert {row.name for row in rows} | small == names_of(golden, "")


def documented_bounds() -> list[tuple[str, str, str, float]]:
    """Return (name, remark, dtype, bound) of every row of the page's tables."""
    rows = []
    dtype = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        # A heading or a command says what the tables below it are about.
        for name in ("float32", "float16", "bfloat16"):
            if line.startswith((f"`--dtype {name}`", "## ")) and name in line:
                dtype = name
        row = ROW.match(line)
        if row is not None:
            rows.append((row[1], row[2], dtype, float(row[3])))
    return rows


def test_the_page_states_the_bounds_of_the_code():
    rows = documented_bounds()
    assert {dtype for _, _, dtype, _ in rows} == {"float32", "float16", "bfloat16"}
    for name, remark, dtype, bound in rows:
        size = "small" if bound == SMALL_BOUND else name.split("/")[0]
        expected = bound_of(name, size, dtype)
        if "root mean square" in remark:
            expected = FRAME_BOUND
        assert bound == pytest.approx(expected, rel=0.01), (name, dtype)


def test_errors_are_shares_of_the_scale_and_see_what_was_not_stored():
    value = np.linspace(-1, 1, 10_000)
    # The golden files hold such a sample of every large tensor.
    index = np.random.Generator(np.random.PCG64(0)).integers(0, value.size, 4096)
    figures = {
        "x": value[index],
        "x/shape": np.array([10_000]),
        "x/mean_std": np.array([value.mean(), value.std()]),
    }
    assert compare(figures, "x", value, 1e-6).passed
    assert not compare(figures, "x", value.reshape(100, 100), 1e-6).passed
    # A value that was not sampled still changes mean and deviation.
    stored = np.isin(np.arange(value.size), index)
    assert not compare(figures, "x", np.where(stored, value, 0), 1e-6).passed
    # The error of 1 is a quarter of the largest golden value.
    doubled = compare({"x": np.array([2.0, -4.0])}, "x", np.array([2.0, -3.0]), 0.2)
    assert (doubled.error, doubled.passed) == (0.25, False)


def test_waveforms_do_not_depend_on_one_another(golden):
    short, long = (golden_waveform(Recipe(golden), seconds) for seconds in (1.0, 2.37))
    # At 16 kHz.
    assert (short.size, long.size) == (16_000, 37_920)
    assert short.dtype == np.float32
    # Only the noise differs.
    assert 0.01 < np.abs(short - long[: short.size]).max() < 0.15
