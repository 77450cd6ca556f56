"""A run whose data are read by worker processes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.train.flow.worlds import CONFIG, FlowWorld
from tests.train.runs import weights_of

pytestmark = pytest.mark.usefixtures("optax_promotion")


def test_a_run_resumes_with_another_number_of_workers(tmp_path):
    world = FlowWorld.make(tmp_path)

    def train(run: str, steps: int, workers: int) -> dict[str, np.ndarray]:
        loop = replace(CONFIG.loop, steps=steps)
        config = replace(CONFIG, loop=loop, data_workers=workers)
        folder = world.train(run, world.open(config=config))
        weights, _ = weights_of(folder, "raw")
        return weights

    # Threads read the first update's batch, and a process the second one's.
    train("resumed", 1, 0)
    resumed = train("resumed", 2, 1)
    whole = train("whole", 2, 0)
    assert resumed.keys() == whole.keys()
    for name, leaf in whole.items():
        np.testing.assert_array_equal(resumed[name], leaf)
    # The known-bad case: an update changes them.
    first = train("first", 1, 0)
    assert any(np.any(first[name] != leaf) for name, leaf in whole.items())
