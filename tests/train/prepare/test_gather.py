"""Records gathered of clips, by an engine that only logs its work."""

import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from tests.train.recipes import NameRecipe
from train.prepare import gather as module
from train.prepare.gather import gather
from train.prepare.manifest import MANIFEST, Entry
from train.prepare.motion.extract import MotionRecipe
from train.prepare.options import ClipOptions
from train.prepare.pools.local import extract_locally

QUIET = Console(quiet=True)


def options_of(**more) -> ClipOptions:
    paths = {"dataset_path": Path("videos"), "output_path": Path("out")}
    return ClipOptions(**paths, layout="folder", **more)


def read_all(**more) -> list[Entry]:
    with gather(options_of(**more), NameRecipe(), QUIET) as records:
        return records.entries


def test_paths_hold_wherever_the_work_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()
    videos = []

    def engine(recipe, clips, workers):
        videos.extend(clip.video for clip in clips)
        return extract_locally(recipe, clips, 1)

    monkeypatch.setitem(module.ENGINES, "ray", engine)
    read_all(engine="ray")
    assert videos == [tmp_path / "videos/a.mp4"]
    recipe = MotionRecipe(checkpoint=Path("base"), detector_models=Path("models"))
    absolute = recipe.with_absolute_paths()
    assert absolute.checkpoint == tmp_path / "base"
    assert absolute.detector_models == tmp_path / "models"


def test_a_clip_whose_path_is_not_utf_8_is_left_out_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # As an old file system or a zip file leaves it.
    folder = Path(os.fsdecode(b"videos/M\xfcller"))
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    (folder / "a.mp4").touch()
    (tmp_path / "videos/b.mp4").touch()
    with gather(options_of(), NameRecipe(), QUIET) as records:
        assert [piece.clip for piece in records.pieces] == ["b.mp4"]
    lines = (tmp_path / "out" / MANIFEST).read_text(encoding="utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert first["clip"] == r"M\xfcller/a.mp4"
    assert first["subject"] == r"M\xfcller"
    assert first["reason"] == "its path is not UTF-8: rename it"
    assert (second["clip"], second["reason"]) == ("b.mp4", "")


def test_a_folder_is_written_by_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()
    message = "out is in use by another run: wait until it ends"
    with (
        gather(options_of(), NameRecipe(), QUIET),
        pytest.raises(OSError, match=message),
    ):
        read_all()
    assert len(read_all()) == 1


def read_one(folder: Path) -> tuple[bytes, Path]:
    """Make a data set of one clip in `folder`, the current one; return its record and
    the file of the finished clip."""
    video = folder / "videos/a.mp4"
    video.parent.mkdir(exist_ok=True)
    # A video that is touched again counts as another.
    if not video.exists():
        video.touch()
    with gather(options_of(), NameRecipe(), QUIET) as records:
        record = records.read("a.mp4")
    (file,) = (folder / "out/clips").glob("*.clip")
    return record, file


@pytest.mark.parametrize("content", [b"", b"{", b'{"clip": 3}\n', None])
def test_a_finished_clip_whose_file_was_cut_is_worked_on_again(
    content, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    record, file = read_one(tmp_path)
    whole = file.read_bytes()
    # Without other content, the last byte is missing.
    file.write_bytes(whole[:-1] if content is None else content)
    assert read_one(tmp_path) == (record, file)
    assert file.read_bytes() == whole


def test_a_finished_clip_of_an_older_version_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record, file = read_one(tmp_path)
    header, _, _ = file.read_bytes().partition(b"\n")
    entry = json.loads(header)
    del entry["record_bytes"]
    file.write_bytes(json.dumps(entry).encode() + b"\n" + record)
    before = file.stat().st_mtime_ns
    read_one(tmp_path)
    assert file.stat().st_mtime_ns == before
