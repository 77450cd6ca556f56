"""`data_workers` of all stages: worker processes read what threads read, and either
continues where the other one stopped."""

from collections.abc import Callable
from dataclasses import replace

import chex
import numpy as np
import pytest

from tests.train.diffusion import worlds as diffusion
from tests.train.flow import worlds as flow
from tests.train.frames import make_frames
from tests.train.runs import FEATURE_WIDTH, make_dataset
from train.data.batches import Batches, Rows
from train.data.dataset import Dataset
from train.data.frames import FrameDataset
from train.diffusion.config import SPACE
from train.diffusion.stage import DiffusionStage
from train.engine.config import StageConfig
from train.flow.stage import FlowStage
from train.renderer.config import RendererConfig
from train.renderer.stage import RendererStage
from train.stitching.config import StepConfig, StitchingTrainConfig
from train.stitching.stage import StitchingStage

ROWS = Rows(4)


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("motion") / "clips", "encoder")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameDataset:
    return make_frames(tmp_path_factory.mktemp("frames") / "clips")


def open_flow(config, dataset: Dataset) -> FlowStage:
    sizes = flow.SIZE.config("lip", FEATURE_WIDTH)
    return FlowStage(config, sizes, dataset, {}, {})


def open_diffusion(config, dataset: Dataset) -> DiffusionStage:
    step = diffusion.step_config(config)
    return DiffusionStage(step, SPACE, diffusion.STATISTICS, dataset, {}, {}, {})


def open_renderer(config, dataset: FrameDataset) -> RendererStage:
    return RendererStage(config, dataset, {}, {}, None)


def open_stitching(config, dataset: FrameDataset) -> StitchingStage:
    return StitchingStage(StepConfig(config, {}, 32), dataset, {}, {}, {})


@pytest.mark.parametrize(
    ("fixture", "open_stage", "config"),
    [
        ("motion", open_flow, flow.CONFIG),
        ("motion", open_diffusion, diffusion.CONFIG),
        ("frames", open_renderer, RendererConfig()),
        ("frames", open_stitching, StitchingTrainConfig()),
    ],
    ids=["flow", "diffusion", "renderer", "stitching"],
)
def test_workers_of_a_stage_read_what_its_threads_read(
    fixture: str,
    open_stage: Callable,
    config: StageConfig,
    request: pytest.FixtureRequest,
):
    dataset = request.getfixturevalue(fixture)

    def open_batches(workers: int) -> Batches:
        chosen = replace(config, data_workers=workers)
        return open_stage(chosen, dataset).batches(ROWS)

    threads, workers = open_batches(0), open_batches(2)
    expected = [next(threads) for _ in range(6)]
    # The known-bad case: another number is another batch.
    assert any(np.any(leaf != expected[1][name]) for name, leaf in expected[0].items())
    # Processes continue where threads stopped after two batches.
    workers.set_state({"batch": 2})
    for number in (2, 3, 4):
        chex.assert_trees_all_equal(next(workers), expected[number])
    # And threads where processes stopped.
    threads.set_state(workers.get_state())
    workers.close()
    chex.assert_trees_all_equal(next(threads), expected[5])
    threads.close()
