"""The wheel, built and run away from the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("hatchling", reason="the wheel's build backend, in the extra test")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Return a folder into which the wheel is unpacked, as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(list(map(str, words)), cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder of a user's, who has a `train.py` of another kind."""
    (folder / "train.py").write_text("raise SystemExit('the wrong program')\n")
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )


def test_every_preset_is_in_the_wheel(site):
    names = {path.name for path in (ROOT / "configs").glob("*.toml")}
    assert len(names) >= 8
    assert {path.name for path in (site / "train/configs").glob("*.toml")} == names


@pytest.mark.parametrize("name", ["debug", "configs/debug.toml"])
def test_an_installed_command_finds_a_preset_by_name(site, tmp_path, name):
    words = ["-m", "jaxportrait", "train", "--config", name, "--help"]
    done = run(site, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    # An option that the preset sets, as the default that the help page shows.
    assert "default: 300" in done.stdout


def test_an_unknown_preset_is_one_line_with_those_that_are_there(site, tmp_path):
    words = ["-m", "jaxportrait", "train", "--config", "mead", "--help"]
    done = run(site, tmp_path, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no configuration at mead: ")
    assert "debug, demo_diffusion, demo_flow" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_wheel_holds_the_demo_and_every_program(site):
    assert (site / "jaxportrait/demo/portrait.png").is_file()
    for name in ("infer", "train", "convert_weights"):
        assert (site / name / "__main__.py").is_file()
