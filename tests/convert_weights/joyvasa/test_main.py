"""The converter with JoyVASA's files, as a user runs it."""

import shutil
from typing import Any

import jax
import pytest
from flax import nnx

from convert_weights.__main__ import PartFiles, Published, find_joyvasa, main
from convert_weights.bundle import write
from convert_weights.convert import ConversionError
from convert_weights.joyvasa.outputs import run_denoiser, run_encoder
from convert_weights.joyvasa.verify import (
    NETWORK_BOUND,
    bound_of_joyvasa,
    load_joyvasa,
    verify_joyvasa,
)
from convert_weights.parity import compare
from convert_weights.sources import JOYVASA_FOLDER, download_joyvasa
from convert_weights.verify import main as verify_main
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.diffusion import load_diffusion


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
            # The program exits with a number.
            status = int(str(stop.code))
        return status, capsys.readouterr().err

    return run


def test_the_folder_of_published_weights_may_hold_joyvasa(model_files, tmp_path):
    place = model_files.model.parents[2]
    files = find_joyvasa(Published(place, joyvasa=True), PartFiles())
    assert files is not None
    assert (files.model, files.template) == (model_files.model, model_files.template)
    assert files.positions == "constant"
    # A file that is named wins over that of the folder.
    named = tmp_path / "mine.pt"
    single = PartFiles(joyvasa_model=named, joyvasa_positions="sequence")
    files = find_joyvasa(Published(place, joyvasa=True), single)
    assert files is not None
    assert (files.model, files.positions) == (named, "sequence")


def test_joyvasa_is_used_where_it_is_asked_for(model_files):
    published = Published(model_files.model.parents[2])
    assert find_joyvasa(published, PartFiles()) is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--joyvasa"], "--joyvasa and --ditto need --pretrained-weights DIR"),
        (["--joyvasa-model", "m.pt"], "belong together: pass --joyvasa-model and"),
        (["--joyvasa-template", "t.pkl"], "belong together: pass --joyvasa-model and"),
        (
            ["--joyvasa-positions", "sequence"],
            "--joyvasa-positions sequence belongs to a model of JoyVASA",
        ),
        (
            ["--joyvasa-model", "m.pt", "--joyvasa-template", "t.pkl"],
            "no file t.pkl",
        ),
    ],
)
def test_wrong_options_give_one_line(run, tmp_path, arguments, complaint):
    status, error = run(*arguments, "--output", "checkpoint")
    assert status == 2
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert complaint in line
    assert not (tmp_path / "checkpoint").exists()


def test_files_of_another_head_count_are_refused(run, model_files, tmp_path):
    """The published count of heads does not divide the width of the small HuBERT."""
    status, error = run(
        "--joyvasa-model",
        model_files.model,
        "--joyvasa-template",
        model_files.template,
        "--output",
        "checkpoint",
    )
    assert status == 2
    assert "makes no hubert (heads is 0" in error
    assert not (tmp_path / "checkpoint").exists()


def test_a_download_that_brings_nothing_says_what_to_fetch(monkeypatch, tmp_path):
    def fail(*_, **__) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", fail)
    message = "downloading jdh-algo/JoyVASA failed .no route to host., and .* lacks motion_gen"
    with pytest.raises(ConversionError, match=message):
        download_joyvasa(tmp_path)


def test_files_that_are_there_need_no_download(monkeypatch, model_files, tmp_path):
    def fail(*_, **__) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", fail)
    place = model_files.model.parents[1]
    shutil.copytree(place, tmp_path / JOYVASA_FOLDER)
    remark = download_joyvasa(tmp_path)
    assert remark is not None
    assert "holds all files that are needed" in remark


def test_the_small_model_is_within_the_bounds_of_parity(golden):
    rows = verify_joyvasa(golden / "joyvasa", "small")
    assert len(rows) > 40
    assert [row.name for row in rows if not row.passed] == []


def test_the_denoiser_may_be_in_bfloat16_and_hubert_stays_in_float32(
    golden, joyvasa, converted_joyvasa, tmp_path
):
    write(converted_joyvasa, tmp_path / "checkpoint")
    driver = load_diffusion(open_checkpoint(tmp_path / "checkpoint"), dtype="bfloat16")
    features: Any = driver.features
    assert dtypes_of(features.network) == {"float32"}
    assert dtypes_of(driver.network) == {"bfloat16"}
    figures = load_joyvasa(golden / "joyvasa")
    # Flax's norms promote halves, which the strict rules forbid.
    with jax.numpy_dtype_promotion("standard"):
        outputs = dict(run_encoder(joyvasa, driver, "small"))
        outputs |= dict(run_denoiser(joyvasa, driver.network, "small"))
    rows = {}
    for name in outputs.keys() & figures.keys():
        bound = bound_of_joyvasa(name, "bfloat16")
        rows[name] = compare(figures, name, outputs[name], bound)
    assert [name for name, row in rows.items() if not row.passed] == []
    # The bounds of HuBERT are those of float32, and the denoiser's error is above.
    assert rows["small/hidden/2"].bound == NETWORK_BOUND
    assert rows["small/denoised/constant"].error > 10 * NETWORK_BOUND


def dtypes_of(network: nnx.Module) -> set[str]:
    """Return the names of the weights' dtypes."""
    return {str(leaf.dtype) for leaf in jax.tree.leaves(nnx.state(network, nnx.Param))}


def test_halves_of_the_renderer_are_not_of_joyvasa(golden, monkeypatch, capsys):
    words = ["verify", "--golden", str(golden / "joyvasa"), "--dtype", "float16"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        verify_main()
    assert stop.value.code == 2
    assert "choose float32 or bfloat16" in capsys.readouterr().err


def test_the_keypoints_of_all_16_option_cases_are_the_published_ones(golden):
    rows = verify_joyvasa(golden / "joyvasa", "motion")
    cases = [row for row in rows if "/human/" in row.name or "/animal/" in row.name]
    assert len(cases) == 16
    assert [row.name for row in rows if not row.passed] == []


@pytest.mark.full
def test_the_published_size_is_within_the_bounds_of_parity(golden):
    rows = verify_joyvasa(golden / "joyvasa", "full")
    assert len(rows) > 30
    assert [row.name for row in rows if not row.passed] == []


def test_another_seed_is_another_model_and_fails(golden, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "joyvasa"
    shutil.copytree(golden / "joyvasa", folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 1'))
    arguments = ["verify", "--golden", str(folder), "--size", "small"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        verify_main()
    assert stop.value.code == 1
    assert "NO" in capsys.readouterr().out
