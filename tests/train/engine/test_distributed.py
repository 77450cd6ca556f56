"""The same training on one device, on eight, with weights spread over four of them, and
in two processes."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.train.runs import World

EIGHT = "--xla_force_host_platform_device_count=8"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.train.ten_steps", "clips", *arguments]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("distributed"))


@pytest.fixture(scope="module")
def one_device(world: World) -> dict[str, np.ndarray]:
    status, _, err = world.finish(command("one.npz", "1"))
    assert status == 0, err
    return dict(np.load(world.root / "one.npz"))


def check_equal(path: Path, one: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Equal fresh weights; losses and gradients of steps within 1e-5, weights within
    1e-3 of how far they moved."""
    ours = dict(np.load(path))
    assert np.any(one["fresh"])
    for name in ("fresh", "before"):
        np.testing.assert_array_equal(ours[name], one[name])
    np.testing.assert_allclose(ours["losses"], one["losses"], rtol=1e-5)
    difference = np.linalg.norm(ours["gradients"] - one["gradients"], axis=1)
    assert (difference <= 1e-5 * np.linalg.norm(one["gradients"], axis=1)).all()
    moved = np.linalg.norm(one["after"] - one["before"])
    assert moved > 0
    assert np.linalg.norm(ours["after"] - one["after"]) <= 1e-3 * moved
    return ours


@pytest.mark.parametrize("fsdp", [pytest.param(1, marks=pytest.mark.full), 4])
def test_eight_devices_train_as_one(
    world: World, one_device: dict[str, np.ndarray], fsdp: int
):
    status, _, err = world.finish(command(f"eight{fsdp}.npz", str(fsdp)), flags=EIGHT)
    assert status == 0, err
    ours = check_equal(world.root / f"eight{fsdp}.npz", one_device)
    assert (ours["spread"] > 0) == (fsdp > 1)


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def test_two_processes_train_as_one(world: World, one_device: dict[str, np.ndarray]):
    address = free_address()
    pair = [
        world.start(command("two.npz", "2", address, "2", str(index)))
        for index in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], "\n".join(errors)
    check_equal(world.root / "two.npz", one_device)


def start_pair(world: World, steps: int) -> list[subprocess.Popen[str]]:
    """The program in two processes, up to so many updates; it saves every other one."""
    address, intervals = (
        free_address(),
        ("validate-every", "save-every", "log-every", "plot-every"),
    )
    words = [
        "--batch-size",
        "8",
        "--steps",
        str(steps),
        *(word for name in intervals for word in (f"--{name}", "2")),
    ]
    return [
        world.start(
            world.arguments(
                "pair",
                "--coordinator",
                address,
                "--processes",
                "2",
                "--process",
                str(index),
                *words,
            )
        )
        for index in range(2)
    ]


@pytest.mark.full
def test_two_processes_resume_and_heed_sigterm_together(world: World):
    for steps in (2, 4):
        pair = start_pair(world, steps)
        said = [process.communicate(timeout=300) for process in pair]
        assert [process.returncode for process in pair] == [0, 0], said
        assert f"from step {steps - 2} to {steps} on 2 device(s)" in " ".join(
            said[0][0].split()
        )
    pair = start_pair(world, 100_000)
    saved = world.root / "pair" / "checkpoints"
    while not any(
        int(path.name) > 4 for path in saved.iterdir() if path.name.isdecimal()
    ):
        assert [process.poll() for process in pair] == [None, None], [
            process.communicate() for process in pair
        ]
        time.sleep(0.2)
    pair[1].terminate()
    said = [process.communicate(timeout=300) for process in pair]
    assert [process.returncode for process in pair] == [143, 143], said
