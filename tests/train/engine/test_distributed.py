"""The same training on one device, on eight, with weights sharded over four of them,
and in two processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.train.runs import MOST_SECONDS, QUICK, World, free_address

EIGHT = f"{QUICK} --xla_force_host_platform_device_count=8"


def command(*arguments: str, stage: str = "flow") -> list[str]:
    return [sys.executable, "-m", "tests.train.ten_steps", stage, "clips", *arguments]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("distributed"))


@pytest.fixture(scope="module")
def one_device(world: World) -> dict[str, np.ndarray]:
    status, _, err = world.finish(command("one.npz", "1"))
    assert status == 0, err
    return dict(np.load(world.root / "one.npz"))


def check_equal(path: Path, one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Check equal fresh weights, losses and gradients of steps within 1e-5, and weights
    within 1e-3 of the distance that they moved."""
    figures = dict(np.load(path))
    assert np.any(one["fresh"])
    for name in ("fresh", "before"):
        np.testing.assert_array_equal(figures[name], one[name])
    np.testing.assert_allclose(figures["losses"], one["losses"], rtol=1e-5)
    # A gradient a step, as a row.
    gradients = one["gradients"]
    errors = np.linalg.norm(figures["gradients"] - gradients, axis=1)
    norms = np.linalg.norm(gradients, axis=1)
    assert (errors <= 1e-5 * norms).all()
    # Adam amplifies the rounding of small gradients.
    way = np.linalg.norm(one["after"] - one["before"])
    error = np.linalg.norm(figures["after"] - one["after"])
    assert way > 0
    assert error <= 1e-3 * way
    return figures


@pytest.mark.parametrize("fsdp", [pytest.param(1, marks=pytest.mark.full), 4])
def test_eight_devices_train_as_one(
    world: World, one_device: dict[str, np.ndarray], fsdp: int
):
    status, _, err = world.finish(command(f"eight{fsdp}.npz", str(fsdp)), flags=EIGHT)
    assert status == 0, err
    figures = check_equal(world.root / f"eight{fsdp}.npz", one_device)
    assert (figures["sharded"] > 0) == (fsdp > 1)


@pytest.mark.full
def test_adapters_train_on_eight_devices_as_on_one(world: World):
    one = command("adapters1.npz", "1", stage="adapters")
    eight = command("adapters8.npz", "4", stage="adapters")
    status, _, err = world.finish(one, flags=QUICK)
    assert status == 0, err
    status, _, err = world.finish(eight, flags=f"{EIGHT} {QUICK}")
    assert status == 0, err
    expected = dict(np.load(world.root / "adapters1.npz"))
    figures = check_equal(world.root / "adapters8.npz", expected)
    # The weights that stay are sharded.
    assert figures["sharded"] > 0


@pytest.fixture(scope="module")
def one_denoiser(world: World) -> dict[str, np.ndarray]:
    words = command("denoiser1.npz", "1", stage="diffusion")
    status, _, err = world.finish(words)
    assert status == 0, err
    figures = np.load(world.root / "denoiser1.npz")
    return dict(figures)


def test_a_denoiser_trains_on_eight_devices_as_on_one(
    world: World, one_denoiser: dict[str, np.ndarray]
):
    # These weights are too small to be sharded: batches are.
    words = command("denoiser8.npz", "4", stage="diffusion")
    status, _, err = world.finish(words, flags=EIGHT)
    assert status == 0, err
    check_equal(world.root / "denoiser8.npz", one_denoiser)


def train_in_two(world: World, output: str, stage: str = "flow") -> Path:
    """Train in two processes; return the file of their figures."""
    address = free_address()
    pair = []
    for process in ("0", "1"):
        words = command(output, "2", address, "2", process, stage=stage)
        pair.append(world.start(words))
    finish_pair(pair, 0)
    return world.root / output


def test_two_processes_train_as_one(world: World, one_device: dict[str, np.ndarray]):
    check_equal(train_in_two(world, "two.npz"), one_device)


@pytest.mark.full
def test_two_processes_train_a_denoiser_as_one(
    world: World, one_denoiser: dict[str, np.ndarray]
):
    path = train_in_two(world, "denoiser2.npz", "diffusion")
    check_equal(path, one_denoiser)


def start_pair(world: World, steps: int) -> list[subprocess.Popen[str]]:
    """Start the program in two processes, up to so many updates; it saves every other
    one."""
    pair = f"--coordinator {free_address()} --processes 2"
    intervals = "--validate-every 2 --save-every 2 --log-every 2 --plot-every 2"
    words = f"{pair} {intervals} --batch-size 8 --steps {steps}".split()
    return [
        world.start(world.arguments("pair", *words, "--process", str(index)))
        for index in range(2)
    ]


def finish_pair(pair: list[subprocess.Popen[str]], status: int) -> str:
    """Wait for both processes; return the output of the first."""
    outputs = [process.communicate(timeout=MOST_SECONDS) for process in pair]
    assert [process.returncode for process in pair] == [status] * 2, outputs
    return " ".join(outputs[0][0].split())


@pytest.mark.full
def test_two_processes_resume_and_heed_sigterm_together(world: World):
    for steps in (2, 4):
        output = finish_pair(start_pair(world, steps), 0)
        assert f"from step {steps - 2} to {steps} on 2 device(s)" in output
    pair = start_pair(world, 100_000)
    checkpoints = world.root / "pair" / "checkpoints"
    # Until the first checkpoint of the third start.
    while last_step(checkpoints) <= 4:
        statuses = [process.poll() for process in pair]
        assert statuses == [None, None]
        time.sleep(0.2)
    pair[1].terminate()
    finish_pair(pair, -signal.SIGTERM)


def last_step(checkpoints: Path) -> int:
    """Return the last saved step, from the names of folders."""
    names = [path.name for path in checkpoints.iterdir()]
    return max(int(name) for name in names if name.isdecimal())
