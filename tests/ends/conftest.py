"""The programs whose ends are tested, each as a user starts it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import torch

from convert_weights.recipe import Recipe, stitching_entries
from tests.ends.programs import (
    Program,
    is_there,
    read_batch,
    read_dataset,
    read_run,
    read_weights,
)
from tests.ends.running import ROOT, finish
from tests.inputs import write_wave
from tests.media.published import serve
from tests.train.runs import TINY, World
from tests.train.videos import save_tiny_checkpoint, write_mead_clip
from train.synthetic.espeak import open_library


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder of inputs, and of compiled programs."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def animate(shared, portrait, voice, tiny_checkpoint) -> Program:
    cv2.imwrite(str(shared / "face.png"), portrait[..., ::-1])
    # Half a second at 16 kHz.
    write_wave(shared / "voice.wav", voice[:8_000])
    options = f"-s {shared}/face.png -d {shared}/voice.wav -o . --checkpoint {tiny_checkpoint}"
    more = f"--detector none --steps 2 --compilation-cache {shared}/cache"
    words = [*options.split(), *more.split()]
    return Program("infer", words, "face--voice.mp4")


@pytest.fixture(scope="session")
def batch(animate, shared, tiny_checkpoint) -> Program:
    # A folder of pictures, so that a worker's first write is one of Python's.
    rows = "source,driving,output\nface.png,voice.wav,one/%06d.png\nface.png,voice.wav,two.mp4"
    (shared / "rows.csv").write_text(rows)
    options = f"{shared}/rows.csv -o out --checkpoint {tiny_checkpoint} --detector none"
    more = f"--steps 2 --output-fps 10 --workers 1 --compilation-cache {shared}/cache"
    return Program("infer.batch", [*options.split(), *more.split()], "out", read_batch)


@pytest.fixture(scope="session")
def edit(animate, shared, tiny_checkpoint) -> Program:
    options = f"-s {shared}/face.png -o . --checkpoint {tiny_checkpoint} --smile 0.5"
    more = f"--detector none --compilation-cache {shared}/cache"
    words = [*options.split(), *more.split()]
    return Program("infer.edit", words, "face--edit.png")


@pytest.fixture(scope="session")
def warm_up(animate) -> Program:
    words = [*animate.options, "--warmup", "--compilation-cache", "cache"]
    return Program("infer", words, "cache", is_there)


@pytest.fixture(scope="session")
def convert(shared, golden) -> Program:
    entries = stitching_entries(Recipe(golden), "full")
    tensors = {
        entry: {name: torch.from_numpy(array) for name, array in arrays.items()}
        for entry, arrays in entries.items()
    }
    torch.save(tensors, shared / "stitching.pth")
    words = f"--stitching-retargeting {shared}/stitching.pth --output out".split()
    return Program("convert_weights", words, "out", read_weights)


@pytest.fixture(scope="session")
def download() -> Iterator[Program]:
    with serve() as server:
        words = ["faces", "--output-dir", "out", "--address", server.address]
        yield Program("tests.ends.small_download", words, "out")


@pytest.fixture(scope="session")
def mead(shared) -> Path:
    # One of three subjects validates; a clip must last a second.
    for subject in ("M003", "W009", "W011"):
        write_mead_clip(shared / "mead", subject, "angry", 1, "001", seconds=1.1)
    return shared / "mead"


def process_with(shared: Path, mead: Path, workers: int) -> Program:
    base = shared / "base"
    if not base.exists():
        save_tiny_checkpoint(base)
    options = f"--dataset-path {mead} --checkpoint {base} --output-path out"
    words = f"{options} --detector haar --workers {workers}".split()
    return Program("train.process", words, "out", read_dataset)


@pytest.fixture(scope="session")
def process(shared, mead) -> Program:
    return process_with(shared, mead, 1)


@pytest.fixture(scope="session")
def process_by_two(shared, mead) -> Program:
    return process_with(shared, mead, 2)


@pytest.fixture(scope="session")
def frames_by_two(mead) -> Program:
    words = (
        f"--dataset-path {mead} --output-path out --size 64 --detector haar --workers 2"
    )
    return Program("train.frames", words.split(), "out", read_dataset)


@pytest.fixture(scope="session")
def synthesize() -> Program:
    if open_library() is None:
        pytest.skip("espeak-ng is not installed")
    words = (
        "--output-path out --subjects 2 --clips 1 --seconds 0.5 --size 64 --workers 2"
    )
    return Program("train.synthetic", words.split(), "out")


@pytest.fixture(scope="session")
def world(shared) -> World:
    return World.make(shared / "world")


@pytest.fixture(scope="session")
def train(world) -> Program:
    options = f"--dataset-path {world.root}/clips --checkpoint {world.root}/base --work-dir out"
    more = "--steps 6 --batch-size 4 --log-every 1 --save-every 2 --validate-every 2"
    words = [*options.split(), "--peak-tflops", "0.1", *TINY, *more.split()]
    return Program("train", words, "out", read_run)


@pytest.fixture(scope="session")
def export(world) -> Program:
    command = world.arguments("run", "--steps", "4", "--batch-size", "4")
    status, _, errors = world.finish(command)
    assert status == 0, errors
    words = f"--work-dir {world.root}/run --checkpoint {world.root}/base --output out"
    return Program("train.export", words.split(), "out", read_weights)


@pytest.fixture(scope="session")
def evaluate(world, export) -> Program:
    checkpoint = world.root / "exported"
    if not checkpoint.exists():
        words = [*export.options[:-1], str(checkpoint)]
        command = [sys.executable, "-m", "train.export", *words]
        subprocess.run(command, check=True, cwd=ROOT)
    options = (
        f"--dataset-path {world.root}/clips --checkpoint {checkpoint} --output out"
    )
    words = f"{options} --steps 1 --guidance 1 --clips 1 --seeds 2".split()
    return Program("train.evaluate", words, "out")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Callable[[Program], object]:
    """Return a function that returns what an uninterrupted run makes."""
    results: dict[str, object] = {}

    def content(program: Program) -> object:
        key = " ".join([program.module, *program.options])
        if key not in results:
            folder = tmp_path_factory.mktemp("finished")
            finish(program, folder)
            results[key] = program.read(folder / program.result)
        return results[key]

    return content
