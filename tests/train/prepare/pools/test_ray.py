"""Work on a Ray cluster: shares of GPUs, and workers that cannot start or are
killed."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.train.recipes import BROKEN, NameRecipe, clip_of
from train.prepare.pools.ray import Remote, gpu_share
from train.prepare.recipe import ExtractorError, Outcome


@pytest.mark.parametrize(
    ("gpus", "workers", "share"),
    [(2, 3, 1 / 2), (2, 2, 1), (4, 2, 1), (1, 3, 1 / 3), (8, 9, 1 / 2), (0, 3, 0)],
)
def test_every_worker_has_its_part_of_one_gpu(gpus, workers, share):
    assert gpu_share({"CPU": 16.0, "GPU": gpus}, workers) == pytest.approx(share)
    assert share == 0 or gpus * round(1 / share) >= workers


def test_more_workers_than_cpus_are_refused():
    message = "--workers 5 need a CPU each, and the Ray cluster has 4: use --workers 4"
    with pytest.raises(ValueError, match=message):
        gpu_share({"CPU": 4.0, "memory": 1e9}, 5)


def test_a_worker_of_a_cluster_answers_why_it_cannot_start():
    answer = Remote(NameRecipe("broken")).extract(clip_of("a"))
    assert isinstance(answer, ExtractorError)
    assert str(answer) == BROKEN
    outcome = Remote(NameRecipe()).extract(clip_of("a"))
    assert isinstance(outcome, Outcome)
    assert outcome.entry.clip == "a"


ON_RAY = """
import json, ray
from tests.train.recipes import NameRecipe, clip_of
from train.prepare.pools.ray import extract_on_cluster
from train.prepare.recipe import ExtractorError
ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
clips = [clip_of(name) for name in ("a", "deadly")]
outcomes = extract_on_cluster(NameRecipe(), clips, 1)
reasons = {clip.name: outcome.entry.reason for clip, outcome in outcomes}
try:
    list(extract_on_cluster(NameRecipe("broken"), clips, 1))
except ExtractorError as error:
    reasons["broken"] = str(error)
print(json.dumps(reasons))
"""


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (extra `cluster`)"
)
def test_a_clusters_reasons_are_the_same_in_every_run():
    root = str(Path(__file__).parents[4])
    run = subprocess.run(
        [sys.executable, "-c", ON_RAY],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    # Ray prints beside it
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    assert json.loads(lines[0]) == {
        "a": "",
        "deadly": "its worker was killed in each of 3 tries",
        "broken": BROKEN,
    }
