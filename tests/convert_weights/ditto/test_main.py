"""The converter with Ditto's files, as a user runs it."""

import shutil

import numpy as np
import pytest
import torch

from convert_weights.__main__ import PartFiles, Published, find_ditto, main
from convert_weights.bundle import convert_files
from convert_weights.convert import ConversionError
from convert_weights.ditto.files import FOLDER, RENDERER_FILES
from convert_weights.ditto.files import STITCHING_FILE as DITTO_STITCHING_FILE
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from convert_weights.ditto.stub import write_stub
from convert_weights.recipe import Recipe, write_checkpoints, write_stitching
from convert_weights.sources import (
    BASE_FILES,
    BASE_FOLDERS,
    STITCHING_FILE,
    find_published,
)
from jaxportrait.checkpoint import open_checkpoint


@pytest.fixture(scope="module")
def published(golden, tmp_path_factory):
    """Return the folder of published weights, and Ditto's files in it."""
    folder = tmp_path_factory.mktemp("published")
    return folder, write_ditto(DittoRecipe(golden / "ditto"), "small", folder)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the program in an empty folder: (exit status, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["convert_weights", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return run


def options_of(files) -> list[str]:
    return [
        "--ditto-model",
        str(files.model),
        "--ditto-options",
        str(files.options),
        "--ditto-hubert",
        str(files.hubert),
    ]


def test_the_folder_of_published_weights_may_hold_ditto(published, tmp_path):
    folder, files = published
    assert find_ditto(Published(folder, ditto=True), PartFiles()) == files
    assert find_ditto(Published(folder), PartFiles()) is None
    # A file that is named wins over that of the folder.
    single = PartFiles(ditto_options=tmp_path / "mine.pkl")
    chosen = find_ditto(Published(folder, ditto=True), single)
    assert chosen is not None
    assert (chosen.model, chosen.options) == (files.model, tmp_path / "mine.pkl")


def test_the_checkpoint_holds_a_driver_a_character_and_the_graph(
    run, published, tmp_path
):
    _, files = published
    link = tmp_path / "link.onnx"
    # Downloads are links into a cache.
    link.symlink_to(files.hubert)
    arguments = options_of(files)
    arguments[-1] = str(link)
    status, error = run(*arguments, "--output", "checkpoint")
    assert (status, error) == (0, "")
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert checkpoint.driver().kind == "ditto"
    stored = checkpoint.files["hubert.onnx"]
    assert not stored.is_symlink()
    assert stored.read_bytes() == files.hubert.read_bytes()
    character = checkpoint.leaves("character")
    assert character["emotions"].shape == (600, 8)
    np.testing.assert_allclose(character["reference"][0], character["scale"][0] - 1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--ditto"], "--joyvasa and --ditto need --pretrained-weights DIR"),
        (["--ditto-model", "m.pth"], "belong together: pass --ditto-model,"),
        (
            [
                *("--ditto-model", "m.pth", "--ditto-options", "o.pkl"),
                *("--ditto-hubert", "h.onnx"),
            ],
            "no file o.pkl",
        ),
    ],
)
def test_wrong_options_give_one_line(run, tmp_path, arguments, complaint):
    status, error = run(*arguments, "--output", "checkpoint")
    assert status == 2
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert complaint in line
    assert not (tmp_path / "checkpoint").exists()


def test_a_graph_of_other_chunks_is_refused(run, published, tmp_path):
    _, files = published
    arguments = options_of(files)
    arguments[-1] = str(write_stub(tmp_path / "short.onnx", 3280))
    status, error = run(*arguments, "--output", "checkpoint")
    assert status == 2
    assert "does not run on a chunk of 6480 samples" in error
    assert not (tmp_path / "checkpoint").exists()


SMALL_PARTS = ("appearance", "warping", "generator")
"""Networks of the small recipe, which has no motion extractor."""


def write_networks(golden, folder) -> None:
    write_checkpoints(Recipe(golden), "small", folder)
    write_stitching(Recipe(golden), "full", folder)


def copy_renderer(golden, folder) -> None:
    """Write LivePortrait's networks, and move them to Ditto's places."""
    write_networks(golden, folder)
    place = folder / FOLDER
    for part in SMALL_PARTS:
        name = RENDERER_FILES[part]
        original = folder / BASE_FOLDERS[False][0] / BASE_FILES[part]
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        original.rename(place / name)
    # Only one of the three networks.
    stitching = torch.load(folder / STITCHING_FILE, weights_only=True)
    shoulder = {"retarget_shoulder": stitching["retarget_shoulder"]}
    torch.save(shoulder, place / DITTO_STITCHING_FILE)
    (folder / STITCHING_FILE).unlink()


def test_ditto_has_copies_of_the_renderer(golden, tmp_path):
    originals = tmp_path / "originals"
    write_networks(golden, originals)
    expected = convert_files(find_published(originals))
    copies = tmp_path / "copies"
    copy_renderer(golden, copies)
    files = find_published(copies, ditto=True)
    assert files.keys() == {*SMALL_PARTS, "stitching", "whisper"}
    converted = convert_files(files)
    for part in (*SMALL_PARTS, "stitching"):
        leaves = converted.params[part]
        assert leaves.keys() == expected.params[part].keys()
        for name, leaf in leaves.items():
            np.testing.assert_array_equal(leaf, expected.params[part][name])
    assert "eye_retargeting" not in converted.params
    # LivePortrait's own files win.
    shutil.copytree(originals, copies, dirs_exist_ok=True)
    files = find_published(copies, ditto=True)
    assert "stitching" not in files
    assert FOLDER not in files["warping"].parts


def test_a_folder_with_nothing_names_the_places_of_both(tmp_path):
    with pytest.raises(ConversionError, match=r"tiny.pt, ditto/ditto_pytorch/models/"):
        find_published(tmp_path, ditto=True)
