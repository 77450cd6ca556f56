"""Published files: found in their layout, and opened without running code."""

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from convert_weights.convert import ConversionError
from convert_weights.sources import (
    BASE_FILES,
    BASE_FOLDERS,
    STITCHING_FILE,
    WHISPER_FILE,
    as_arrays,
    download_liveportrait,
    download_whisper,
    find_published,
    read_tensors,
)


@pytest.fixture
def weights(tmp_path):
    """Empty files in the published places."""
    for base in (*BASE_FOLDERS[False], *BASE_FOLDERS[True]):
        (tmp_path / base).mkdir(parents=True)
        for file in BASE_FILES.values():
            (tmp_path / base / file).touch()
    for file in (STITCHING_FILE, WHISPER_FILE):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


class RunsCode:
    """A pickle that makes a folder when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_every_part_has_its_file(weights):
    files = find_published(weights)
    assert set(files) == {*BASE_FILES, "stitching_retargeting", "whisper"}
    assert files["motion"] == weights / "liveportrait/base_models/motion_extractor.pth"


def test_animals_take_the_newer_folder_and_never_some_of_both(weights):
    newer = weights / "liveportrait_animals/base_models_v1.1"
    # The older folder still has this part.
    (newer / "motion_extractor.pth").unlink()
    files = find_published(weights, animals=True)
    assert files["warping"] == newer / "warping_module.pth"
    assert "motion" not in files
    # Only an empty newer folder is passed over.
    for file in newer.iterdir():
        file.unlink()
    older = weights / "liveportrait_animals/base_models/motion_extractor.pth"
    assert find_published(weights, animals=True)["motion"] == older


def test_a_part_may_be_missing(weights):
    (weights / STITCHING_FILE).unlink()
    assert set(find_published(weights)) == {*BASE_FILES, "whisper"}


def test_a_folder_without_weights_says_what_was_looked_for(tmp_path):
    with pytest.raises(ConversionError, match=r"liveportrait/base_models/\*\.pth"):
        find_published(tmp_path)
    with pytest.raises(ConversionError, match=r"no folder .*absent: pass"):
        find_published(tmp_path / "absent")


@pytest.mark.parametrize("zipped", [True, False])
def test_both_forms_of_torch_files_are_read(tmp_path, zipped):
    torch.save(
        {"a": torch.arange(3)},
        tmp_path / "some.pth",
        _use_new_zipfile_serialization=zipped,
    )
    assert read_tensors(tmp_path / "some.pth")["a"].tolist() == [0, 1, 2]


def test_safetensors_are_read(tmp_path):
    save_file({"a": torch.arange(3)}, tmp_path / "some.safetensors")
    assert read_tensors(tmp_path / "some.safetensors")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path, form):
    path, marker = tmp_path / "evil.pth", tmp_path / "it-ran"
    if form == "torch":
        torch.save({"a": RunsCode(marker)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": RunsCode(marker)}, protocol=2))
    with pytest.raises(ConversionError, match=r"evil\.pth is refused"):
        read_tensors(path)
    # The code did not run.
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80",
        b"\x80\x02",
        # A pickle that ends within the length of a name.
        b"\x80\x02}q\x00X\x01",
        b"PK\x03\x04",
        b"<html>not files</html>",
    ],
)
def test_what_is_no_file_of_tensors_is_named(tmp_path, suffix, content):
    path = tmp_path / f"some{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        ConversionError, match=rf"some\{suffix} (is refused|cannot be read)"
    ):
        read_tensors(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_truncated_file_is_named(tmp_path, form, share):
    tensors, path = (
        {"a": torch.ones(1000)},
        tmp_path / ("cut.safetensors" if form == "safetensors" else "cut.pth"),
    )
    if form == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    # As an interrupted download leaves it.
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ConversionError, match=r"cut\.\w+ (is refused|cannot be read)"):
        read_tensors(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(ConversionError, match=f"no file {path}"):
            read_tensors(path)


def test_a_file_of_one_tensor_is_no_state_dict(tmp_path):
    torch.save(torch.ones(3), tmp_path / "some.pth")
    with pytest.raises(ConversionError, match=r"some\.pth holds a Tensor"):
        read_tensors(tmp_path / "some.pth")


def test_what_is_nested_deeper_is_named():
    with pytest.raises(
        ConversionError, match="some is no state dict: state_dict are not tensors"
    ):
        as_arrays({"state_dict": {"a": torch.ones(3)}}, "some")


def test_bfloat16_is_widened_exactly():
    tensor = torch.tensor([1.0, 0.3, -1e30], dtype=torch.bfloat16)
    array = as_arrays({"a": tensor}, "some")["a"]
    assert array.dtype == np.float32
    assert torch.equal(torch.from_numpy(array).bfloat16(), tensor)


def test_a_downloaded_whisper_is_not_fetched_again(tmp_path):
    (tmp_path / "tiny.pt").touch()
    assert download_whisper("tiny", tmp_path) == tmp_path / "tiny.pt"


def test_a_failed_whisper_download_says_what_to_do_and_leaves_nothing(tmp_path):
    with pytest.raises(
        ConversionError, match=r"downloading Whisper enormous failed .* by hand"
    ):
        download_whisper("enormous", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_of_weights_says_what_to_do(tmp_path, monkeypatch):
    # The download fails at once, with no network needed.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ConversionError,
        match=r"downloading KwaiVGI/LivePortrait failed .* by hand into .* --download",
    ):
        download_liveportrait(tmp_path)


def test_a_download_without_a_network_into_a_full_folder_says_so(weights, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    remark = download_liveportrait(weights)
    assert remark is not None
    assert remark.startswith("nothing was fetched (")
    assert remark.endswith(f"{weights} holds all files that are needed")
    # The animals' newest files count only for animals.
    newest = "liveportrait_animals/base_models_v1.1/motion_extractor.pth"
    (weights / newest).unlink()
    assert download_liveportrait(weights) is not None
    with pytest.raises(ConversionError, match=f"lacks {newest}"):
        download_liveportrait(weights, animals=True)


def test_a_download_that_loses_its_connection_names_what_is_missing(
    weights, monkeypatch
):
    """The hub's download then ends with no error, if the folder exists."""
    names = [f"liveportrait/base_models/{name}" for name in BASE_FILES.values()]
    names += [STITCHING_FILE, "README.md"]
    monkeypatch.setattr(
        "huggingface_hub.HfApi.list_repo_files", lambda self, repository: names
    )
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: weights)
    assert download_liveportrait(weights) is None
    (weights / names[0]).unlink()
    message = rf"failed \({names[0]} did not arrive\), and .* lacks {names[0]}"
    with pytest.raises(ConversionError, match=message):
        download_liveportrait(weights)
