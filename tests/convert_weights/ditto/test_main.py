"""The converter with Ditto's files, as a user runs it."""

import numpy as np
import pytest

from convert_weights.__main__ import PartFiles, Published, find_ditto, main
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from convert_weights.ditto.stub import write_stub
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
