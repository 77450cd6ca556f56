"""Published files: found in their layout, and downloaded."""

import pytest

from convert_weights.convert import ConversionError
from convert_weights.sources import (
    BASE_FILES,
    BASE_FOLDERS,
    STITCHING_FILE,
    WHISPER_FILE,
    download_liveportrait,
    download_whisper,
    find_published,
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
