"""The converter as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from convert_weights.__main__ import fetch_faces, main
from convert_weights.recipe import STATISTICS_FILE
from jaxportrait.checkpoint import open_checkpoint

STITCHING = ["stitching", "lip_retargeting", "eye_retargeting"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the program in an empty folder: (exit status, standard output, standard
    error)."""
    monkeypatch.chdir(tmp_path)

    # In this process: a new one would import JAX and torch for every case.
    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["convert_weights", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def stitching_file(files) -> Path:
    """The quickest part to convert."""
    return files["stitching_retargeting"]


def bent_generator(files: dict[str, Path], folder: Path) -> Path:
    """A generator's file of which one tensor has another shape and one another name."""
    tensors = torch.load(files["generator"])
    # Two misfits, which the message must name together.
    tensors["fc.bias"] = torch.ones(3)
    tensors["stranger"] = tensors.pop("conv_img.0.bias")
    torch.save(tensors, folder / "bent.pth")
    return folder / "bent.pth"


def test_the_published_folder_converts_from_the_shell(published, files, tmp_path):
    # Once as a real process, with its imports and exit status.
    command = [
        sys.executable,
        "-m",
        "convert_weights",
        "--pretrained-weights",
        published,
        "--output",
        tmp_path / "checkpoint",
    ]
    command += [
        "--flow-transformer",
        files["flow_transformer"],
        "--statistics",
        published / STATISTICS_FILE,
        "--image-size",
        "64",
    ]
    process = subprocess.run(
        list(map(str, command)),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    assert list(checkpoint.parts) == [
        "appearance",
        "warping",
        "generator",
        *STITCHING,
        "whisper",
        "flow_transformer",
    ]
    assert checkpoint.crop.image_size == 64
    assert checkpoint.driver().statistics is not None
    assert all(
        part in process.stdout for part in [*checkpoint.parts, "parameters", "MB"]
    )


def test_the_table_counts_parameters_and_gives_reasons(run, files):
    status, out, _ = run("--appearance", files["appearance"], "--output", "checkpoint")
    assert status == 0
    count = sum(
        leaf.size
        for leaf in open_checkpoint("checkpoint").leaves("appearance").values()
    )
    assert f"{count:,}" in out
    assert "training batches" in " ".join(out.split())


def test_animals_need_their_own_folder(run, published):
    status, out, err = run(
        "--pretrained-weights", published, "--animals", "--output", "checkpoint"
    )
    # The parts that animals share are there.
    assert status == 0, err
    assert "generator" not in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "nothing to convert"),
        (["--pretrained-weights", "absent"], "no folder absent"),
        (["--pretrained-weights", "."], "holds no published weights"),
        (["--generator", "absent.pth"], "no file absent.pth"),
        (["--generator", "text.pth"], "text.pth"),
        (["--generator", "{whisper}"], "state dict"),
        (["--generator", "{appearance}"], "another network's file"),
        (["--generator", "{bent}"], "stranger"),
        (["--animals"], "need --pretrained-weights"),
        (["--download"], "need --pretrained-weights"),
        (["--whisper", "absent.pt"], "no file absent.pt"),
        (
            [
                "--stitching-retargeting",
                "{stitching_retargeting}",
                "--statistics",
                "{statistics}",
            ],
            "flow transformer",
        ),
    ],
)
def test_bad_input_is_one_error_and_no_folder(
    run, files, published, tmp_path, arguments, complaint
):
    (tmp_path / "text.pth").write_text("hello")
    places = {
        **files,
        "bent": bent_generator(files, tmp_path),
        "statistics": published / STATISTICS_FILE,
    }
    # Nothing may be left behind by a run that fails.
    before = set(tmp_path.iterdir())
    status, out, err = run(
        *(str(argument).format(**places) for argument in arguments),
        "--output",
        "checkpoint",
    )
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert complaint in err
    assert "Traceback" not in err
    assert set(tmp_path.iterdir()) == before


def test_a_pickle_that_runs_code_is_refused(run, tmp_path):
    # A `Path` is no plain container: opening it would call its constructor.
    torch.save({"first.conv.weight": Path("anything")}, tmp_path / "evil.pth")
    status, _, err = run("--appearance", "evil.pth", "--output", "checkpoint")
    assert status == 2
    assert err.startswith("error: evil.pth is refused")
    assert not (tmp_path / "checkpoint").exists()


def test_wrong_options_exit_with_two(run):
    assert run("--output", "checkpoint", "--no-such-option")[0] == 2
    assert run()[0] == 2


def test_a_checkpoint_is_replaced_only_on_request(run, stitching_file, files, tmp_path):
    arguments = ("--stitching-retargeting", stitching_file, "--output", "checkpoint")
    assert run(*arguments)[0] == 0
    status, _, err = run("--appearance", files["appearance"], "--output", "checkpoint")
    assert status == 2
    assert "--overwrite" in err
    assert list(open_checkpoint("checkpoint").parts) == STITCHING
    assert (
        run(
            "--appearance", files["appearance"], "--output", "checkpoint", "--overwrite"
        )[0]
        == 0
    )
    assert list(open_checkpoint("checkpoint").parts) == ["appearance"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_folder_that_is_no_checkpoint_is_never_replaced(
    run, stitching_file, tmp_path, overwrite
):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").touch()
    status, _, err = run(
        "--stitching-retargeting", stitching_file, "--output", "holiday", *overwrite
    )
    assert status == 2
    assert "is not a checkpoint" in err
    assert (tmp_path / "holiday" / "photo.jpg").exists()


def test_an_output_below_a_file_is_one_error(run, stitching_file, tmp_path):
    (tmp_path / "file").touch()
    status, _, err = run(
        "--stitching-retargeting", stitching_file, "--output", "file/checkpoint"
    )
    assert status == 2
    assert err.startswith("error: ")


def test_a_conversion_needs_no_face_mesh(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    # A port without a server.
    fetch_faces("http://127.0.0.1:9")
    error = capsys.readouterr().err
    assert error.startswith("warning: http://127.0.0.1:9/face_detection_short_range")
    assert error.count("\n") == 1
