"""Who does the work of processing, and what becomes of a job whose workers cannot
begin, or are killed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.train.recipes import NameRecipe, clip_of
from train.prepare.pools.local import Worker, extract_locally
from train.prepare.pools.ray import Remote, gpu_share
from train.prepare.recipe import ExtractorError
from train.process import Options

CLIPS = [clip_of(name) for name in ("a", "b", "c")]
BROKEN = "no clip can be worked on: RuntimeError: no memory for networks"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_extractor_that_cannot_be_made_stops_the_job(workers):
    with pytest.raises(ExtractorError, match=BROKEN):
        list(extract_locally(NameRecipe("broken"), CLIPS, workers))


def test_a_worker_that_ends_before_its_first_clip_stops_the_job():
    with pytest.raises(
        ExtractorError,
        match=r"a worker ended while it loaded \(exit status 7\).*fewer --workers",
    ):
        list(extract_locally(NameRecipe("fatal"), CLIPS, 2))


def test_a_killed_worker_is_replaced_and_one_that_ends_has_its_own_status():
    clips = [clip_of("deadly"), clip_of("last"), *CLIPS]
    reasons = {
        clip.name: outcome.entry.reason
        for clip, outcome in extract_locally(NameRecipe(), clips, 2)
    }
    assert reasons.pop("deadly") == "its worker was killed (exit status -9)"
    assert reasons.pop("last") == "its worker was killed (exit status 3)"
    assert reasons == {"a": "", "b": "", "c": ""}


def test_a_worker_that_was_killed_at_rest_is_noticed_at_its_next_clip():
    worker = Worker(NameRecipe())
    worker.wait_until_ready()
    worker.begin(CLIPS[0])
    clip, outcome = worker.finish()
    assert (clip, outcome and outcome.entry.clip) == (CLIPS[0], "a")
    worker.stop()
    worker = Worker(NameRecipe())
    worker.wait_until_ready()
    worker._process.kill()
    worker._process.join()
    worker.begin(CLIPS[1])
    assert worker.finish() == (CLIPS[1], None)
    assert worker.status() == -9


# A cluster


@pytest.mark.parametrize(
    ("gpus", "workers", "share"),
    [(2, 3, 1 / 2), (2, 2, 1), (4, 2, 1), (1, 3, 1 / 3), (8, 9, 1 / 2), (0, 3, 0)],
)
def test_every_worker_has_its_part_of_one_gpu(gpus, workers, share):
    assert gpu_share({"CPU": 16.0, "GPU": gpus}, workers) == pytest.approx(share)
    assert share == 0 or gpus * round(1 / share) >= workers


def test_more_workers_than_cpus_are_refused():
    with pytest.raises(
        ValueError,
        match="--workers 5 need a CPU each, and the Ray cluster has 4: take --workers 4",
    ):
        gpu_share({"CPU": 4.0, "memory": 1e9}, 5)


def test_a_worker_of_a_cluster_answers_why_it_cannot_begin():
    answer = Remote(NameRecipe("broken")).extract(CLIPS[0])
    assert isinstance(answer, ExtractorError)
    assert str(answer) == BROKEN
    assert Remote(NameRecipe()).extract(CLIPS[0]).entry.clip == "a"  # pyright: ignore[reportAttributeAccessIssue]


ON_RAY = """
import json, ray
from tests.train.recipes import NameRecipe, clip_of
from train.prepare.pools.ray import extract_on_cluster
from train.prepare.recipe import ExtractorError
ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
clips = [clip_of(name) for name in ("a", "deadly")]
reasons = {clip.name: outcome.entry.reason for clip, outcome in extract_on_cluster(NameRecipe(), clips, 1)}
try:
    list(extract_on_cluster(NameRecipe("broken"), clips, 1))
except ExtractorError as error:
    reasons["broken"] = str(error)
print(json.dumps(reasons))
"""


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (extra `cluster`)"
)
def test_what_a_cluster_says_is_the_same_in_every_run():
    root = str(Path(__file__).parents[3])
    run = subprocess.run(
        [sys.executable, "-c", ON_RAY],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    said = next(
        line for line in run.stdout.splitlines() if line.startswith("{")
    )  # Ray prints beside it
    assert json.loads(said) == {
        "a": "",
        "deadly": "its worker was killed in each of 3 tries",
        "broken": BROKEN,
    }


def test_paths_hold_wherever_the_work_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = Options(
        dataset_path=Path("videos"),
        output_path=Path("out"),
        checkpoint=Path("base"),
        detector_models=Path("models"),
    )
    job = options.job(options.settings())
    assert job.dataset_path == tmp_path / "videos"
    assert (job.recipe.checkpoint, job.recipe.detector_models) == (
        tmp_path / "base",
        tmp_path / "models",
    )
