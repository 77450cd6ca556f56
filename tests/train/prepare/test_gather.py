"""Records gathered of clips, by an engine that only logs its work."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.train.recipes import NameRecipe
from train.prepare import gather as module
from train.prepare.gather import gather
from train.prepare.motion.extract import MotionRecipe
from train.prepare.options import ClipOptions
from train.prepare.pools.local import extract_locally

QUIET = Console(quiet=True)


def options_of(**more) -> ClipOptions:
    paths = {"dataset_path": Path("videos"), "output_path": Path("out")}
    return ClipOptions(**paths, layout="folder", **more)


def test_paths_hold_wherever_the_work_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").touch()
    videos = []

    def engine(recipe, clips, workers):
        videos.extend(clip.video for clip in clips)
        return extract_locally(recipe, clips, 1)

    monkeypatch.setitem(module.ENGINES, "ray", engine)
    gather(options_of(engine="ray"), NameRecipe(), QUIET)
    assert videos == [tmp_path / "videos/a.mp4"]
    recipe = MotionRecipe(checkpoint=Path("base"), detector_models=Path("models"))
    absolute = recipe.with_absolute_paths()
    assert absolute.checkpoint == tmp_path / "base"
    assert absolute.detector_models == tmp_path / "models"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"workers": 0}, "--workers must be at least 1, got 0"),
        ({"limit": -1}, "--limit must be at least 0, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        gather(options_of(**numbers), NameRecipe(), QUIET)
