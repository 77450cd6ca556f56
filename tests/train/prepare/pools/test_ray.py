"""Work on a Ray cluster, whose workers cannot start or are killed."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from jaxportrait.console.cluster import Failure, Remote
from tests.train.recipes import BROKEN, NameRecipe, clip_of
from train.prepare.pools.local import extract_clip, load_worker
from train.prepare.recipe import ExtractorError, Outcome


def remote(recipe: NameRecipe) -> Remote:
    return Remote(partial(extract_clip, recipe), partial(load_worker, recipe))


def test_a_worker_of_a_cluster_answers_why_it_cannot_start():
    answer = remote(NameRecipe("broken")).work(clip_of("a"))
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, ExtractorError)
    assert str(answer.error) == BROKEN
    outcome = remote(NameRecipe()).work(clip_of("a"))
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
@pytest.mark.usefixtures("only_cluster")
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
