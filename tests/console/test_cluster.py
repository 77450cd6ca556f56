"""Workers on a Ray cluster: their shares of GPUs, and errors as values."""

from functools import partial

import pytest

from jaxportrait.console.cluster import Failure, Remote, gpu_share


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


def test_an_error_of_an_item_is_a_value():
    worker = Remote(partial(int, base=10), list)
    assert worker.work("12") == 12
    answer = worker.work("twelve")
    assert isinstance(answer, Failure)
    assert isinstance(answer.error, ValueError)
