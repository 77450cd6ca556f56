"""Every program, ended at moments that events choose: it ends by the signal, leaves
nothing half-written, and the same command then makes what an uninterrupted run makes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from convert_weights.recipe import Recipe, stitching_entries
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.partial import YOUNG_SECONDS, lock_folder
from jaxportrait.whole import RESERVATION
from tests.inputs import write_wave
from tests.stopped import STOPPED
from tests.train.runs import TINY, World, weights_of
from tests.train.videos import save_tiny_checkpoint, write_mead_clip
from train.synthetic.espeak import open_library

ROOT = Path(__file__).parents[1]
KILL, TERM, INT, HUP = signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP
COMPILING = "Compiling jit("
"""Line that JAX prints before it compiles a program."""
MOST_SECONDS = 5.0
"""Time between a signal and the end of a program."""
MOMENTS = ("reading", "locking", "begun", "written", COMPILING)


@dataclass(frozen=True)
class Program:
    """A command, to be run in a folder of its own.

    Attributes:
      module: module that `python -m` runs.
      options: words of the command line; results are written into the working folder.
      result: path of what it makes, below that folder.
      moments: moments at which it can be ended.
      read: content of the result, for comparison.
    """

    module: str
    options: Sequence[str]
    result: str
    moments: tuple[str, ...] = MOMENTS
    read: Callable[[Path], object] = field(default=lambda path: read_files(path))


def read_files(path: Path) -> dict[str, bytes]:
    """Return the content of a file, or of a folder's files."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def read_dataset(path: Path) -> dict[str, bytes]:
    """Return the content of a data set, without the records of single clips."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def read_weights(path: Path) -> list[bytes]:
    checkpoint = open_checkpoint(path)
    arrays = [checkpoint.leaves(part) for part in checkpoint.parts]
    return [leaf.tobytes() for leaves in arrays for leaf in leaves.values()]


def read_run(path: Path) -> list[bytes]:
    weights, _ = weights_of(path)
    return [np.asarray(leaf).tobytes() for leaf in weights.values()]


def read_nothing(path: Path) -> bool:
    return path.exists()


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder of inputs, and of compiled programs."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def animate(shared, portrait, voice, tiny_checkpoint) -> Program:
    cv2.imwrite(str(shared / "face.png"), portrait[..., ::-1])
    write_wave(shared / "voice.wav", voice[:8_000])
    options = f"-s {shared}/face.png -d {shared}/voice.wav -o . --checkpoint {tiny_checkpoint}"
    more = f"--detector none --steps 2 --compilation-cache {shared}/cache"
    moments = ("reading", "locking", "written", COMPILING)
    words = [*options.split(), *more.split()]
    return Program("infer", words, "face--voice.mp4", moments)


@pytest.fixture(scope="session")
def warm_up(animate) -> Program:
    words = [*animate.options, "--warmup", "--compilation-cache", "cache"]
    return Program("infer", words, "cache", (COMPILING,), read_nothing)


@pytest.fixture(scope="session")
def convert(shared, golden) -> Program:
    entries = stitching_entries(Recipe(golden), "full")
    tensors = {
        entry: {name: torch.from_numpy(array) for name, array in arrays.items()}
        for entry, arrays in entries.items()
    }
    torch.save(tensors, shared / "stitching.pth")
    words = f"--stitching-retargeting {shared}/stitching.pth --output out".split()
    moments = ("reading", "locking", "begun", "written")
    return Program("convert_weights", words, "out", moments, read_weights)


@pytest.fixture(scope="session")
def mead(shared) -> Path:
    for subject in ("M003", "W009", "W011"):
        write_mead_clip(shared / "mead", subject, "angry", 1, "001", seconds=1.1)
    return shared / "mead"


def process_with(shared: Path, mead: Path, workers: int) -> Program:
    base = shared / "base"
    if not base.exists():
        save_tiny_checkpoint(base)
    options = f"--dataset-path {mead} --checkpoint {base} --output-path out"
    words = f"{options} --detector haar --workers {workers}".split()
    # Where there are several, the workers read and compile.
    moments = MOMENTS if workers == 1 else ("locking", "begun", "written")
    return Program("train.process", words, "out", moments, read_dataset)


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
    moments = ("locking", "begun", "written")
    return Program("train.frames", words.split(), "out", moments, read_dataset)


@pytest.fixture(scope="session")
def synthesize() -> Program:
    if open_library() is None:
        pytest.skip("espeak-ng is not installed")
    words = (
        "--output-path out --subjects 2 --clips 1 --seconds 0.5 --size 64 --workers 2"
    )
    return Program("train.synthetic", words.split(), "out", ("locking", "begun"))


@pytest.fixture(scope="session")
def world(shared) -> World:
    return World.make(shared / "world")


@pytest.fixture(scope="session")
def train(world) -> Program:
    options = f"--dataset-path {world.root}/clips --checkpoint {world.root}/base --work-dir out"
    more = "--steps 6 --batch-size 4 --log-every 1 --save-every 2 --validate-every 2"
    words = [*options.split(), "--peak-tflops", "0.1", *TINY, *more.split()]
    return Program("train", words, "out", (COMPILING,), read_run)


@pytest.fixture(scope="session")
def export(world) -> Program:
    command = world.arguments("run", "--steps", "4", "--batch-size", "4")
    status, _, errors = world.finish(command)
    assert status == 0, errors
    words = f"--work-dir {world.root}/run --checkpoint {world.root}/base --output out"
    moments = ("reading", "locking", "begun", "written")
    return Program("train.export", words.split(), "out", moments, read_weights)


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
    return Program("train.evaluate", words, "out", ("begun", "written", COMPILING))


PROGRAMS = (
    "animate",
    "warm_up",
    "convert",
    "process",
    "process_by_two",
    "frames_by_two",
    "synthesize",
    "train",
    "export",
    "evaluate",
)


def start(program: Program, folder: Path, moment: str) -> subprocess.Popen[str]:
    """Start a program in a folder, to stop at a moment."""
    is_line = moment == COMPILING
    words = ["never" if is_line else moment, program.module, *program.options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    # Programs that are in the cache are not compiled.
    environment["JAX_COMPILATION_CACHE_DIR"] = str(folder / "xla")
    environment["JAX_LOG_COMPILES"] = str(int(is_line))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.stopped", *words],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Return when a program has printed a line on stderr that begins so, or contains
    it."""
    assert process.stderr is not None
    lines = []
    for text in process.stderr:
        lines.append(text)
        if line in text:
            return
    raise AssertionError(f"it ended before {''.join(lines)}")


def finish(program: Program, folder: Path) -> str:
    """Run a program to its end; return what it has printed on stderr."""
    process = start(program, folder, "never")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if "partial" in path.name]


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # A zombie has ended.
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    members = []
    waiting = [pid]
    while waiting:
        offspring = children.get(waiting.pop(), [])
        members += offspring
        waiting += offspring
    return members


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def age(folder: Path) -> None:
    """Let partial folders look older than those that always stay."""
    when = time.time() - 2 * YOUNG_SECONDS
    for partial in folder.rglob(".*.partial"):
        for path in (*partial.rglob("*"), partial):
            os.utime(path, (when, when))


def end(program: Program, folder: Path, moment: str, number: int) -> str:
    """End a program at a moment; return a row about it."""
    process = start(program, folder, moment)
    wait_for(process, COMPILING if moment == COMPILING else STOPPED)
    workers = descendants(process.pid)
    before = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - before
    assert process.returncode == -number, errors
    assert seconds < MOST_SECONDS
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() - before < MOST_SECONDS + 1, workers
        time.sleep(0.05)
    assert "Traceback" not in errors
    if number != KILL:
        lines = [line for line in errors.splitlines() if COMPILING not in line]
        words = ("interrupted", "terminated", "hung up")
        assert any(line.startswith(words) for line in lines), errors
        assert leftovers(folder) == []
    return f"{-process.returncode} | {seconds:.2f} | {len(leftovers(folder))}"


def resume(program: Program, folder: Path) -> None:
    """Run the same command again, later; nothing is left of the first."""
    # A reservation is taken over, which needs no line.
    left = [name for name in leftovers(folder) if f".{RESERVATION}." not in name]
    had_leftovers = bool(left)
    age(folder)
    errors = finish(program, folder)
    assert leftovers(folder) == []
    assert ("left behind by a run" in errors) == had_leftovers


QUICK = [
    ("animate", "written", TERM),
    ("animate", COMPILING, INT),
    ("convert", "begun", KILL),
    ("process_by_two", "begun", HUP),
]
ALL = [
    (name, moment, number)
    for name in PROGRAMS
    for moment in MOMENTS
    for number in (KILL, TERM, INT, HUP)
]


@pytest.mark.parametrize(("name", "moment", "number"), QUICK)
def test_a_program_that_is_ended_leaves_nothing_and_resumes(
    name, moment, number, request, tmp_path
):
    program = request.getfixturevalue(name)
    end(program, tmp_path, moment, number)
    resume(program, tmp_path)
    assert program.read(tmp_path / program.result)


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


@pytest.mark.full
@pytest.mark.parametrize(("name", "moment", "number"), ALL)
def test_every_program_ends_whole_at_every_moment(
    name, moment, number, request, tmp_path, finished
):
    program = request.getfixturevalue(name)
    if moment not in program.moments:
        pytest.skip("it has no such moment")
    row = end(program, tmp_path, moment, number)
    resume(program, tmp_path)
    content = program.read(tmp_path / program.result)
    assert content == finished(program)
    sign = signal.Signals(number).name
    # The table of docs/inference.md, with `pytest -s`.
    print(f"| {name} | {moment} | {sign} | {row} | {len(leftovers(tmp_path))} |")


@pytest.mark.full
def test_a_run_does_not_touch_the_partial_folder_of_a_living_one(
    animate, tmp_path, shared
):
    first = start(animate, tmp_path, "written")
    wait_for(first, STOPPED)
    (partial,) = tmp_path.glob(".*.partial")
    age(tmp_path)
    finish(animate, tmp_path)
    # The second is whole, and the first still at work.
    assert [path.name for path in tmp_path.glob(".*.partial")] == [partial.name]
    first.terminate()
    first.communicate()
    assert leftovers(tmp_path) == []
    assert (tmp_path / animate.result).is_file()


@pytest.mark.full
@pytest.mark.parametrize("name", ["process", "frames_by_two", "synthesize", "evaluate"])
def test_a_second_run_into_one_folder_is_refused(name, request, tmp_path):
    program = request.getfixturevalue(name)
    (tmp_path / "out").mkdir()
    lock = lock_folder(tmp_path / "out")
    assert lock is not None
    second = start(program, tmp_path, "never")
    _, errors = second.communicate(timeout=120)
    os.close(lock)
    assert second.returncode == 2
    assert "error: out is in use by another run: wait until it ends" in errors
    assert len(errors.splitlines()) == 1


SMALL_DISK = """
mount -t tmpfs -o size=$0 none disk && cd disk && "$@"
status=$?
ls -A . out 2>/dev/null
exit $status
"""
"""Shell program: run a command on a disk of so many bytes, and list what is there."""


def can_mount() -> bool:
    command = ["unshare", "-rm", "true"]
    try:
        return subprocess.run(command, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.full
@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("animate", "16k"),
        ("convert", "16k"),
        ("convert", "600k"),
        ("process", "16k"),
        ("process_by_two", "16k"),
        ("frames_by_two", "32k"),
        ("synthesize", "32k"),
        ("export", "16k"),
        ("train", "100k"),
        ("evaluate", "16k"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(name, size, request, tmp_path):
    program = request.getfixturevalue(name)
    (tmp_path / "disk").mkdir()
    words = [sys.executable, "-m", program.module, *program.options]
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, size, *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(result.stdout, result.stderr)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "error" in line.lower()]
    assert line.startswith("error: ")
    assert "cannot be written" in line
    assert ".partial" not in result.stdout


@pytest.mark.full
def test_a_damaged_entry_of_the_cache_is_compiled_again(animate, tmp_path):
    words = [*animate.options, "--compilation-cache", str(tmp_path / "cache")]
    program = Program(animate.module, words, animate.result)
    assert "compiling" in finish(program, tmp_path)
    video = program.read(tmp_path / program.result)
    assert "compiling" not in finish(program, tmp_path)
    entries = list((tmp_path / "cache").rglob("*-cache"))
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:100])
    assert entries
    assert "compiling" in finish(program, tmp_path)
    assert program.read(tmp_path / program.result) == video
