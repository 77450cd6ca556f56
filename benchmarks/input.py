"""`python -m benchmarks.input`: windows a second of the input pipeline, by the length of
clips.

Data sets of random motion, features and sound, of about ten minutes each, are written to
a temporary folder in several layouts. Threads and worker processes read each in turn, so
that other work on the machine slows all of them down. The time in which worker processes start is not counted. Layouts
are `blocks`, as `train.process` writes them; `overlap`, records of five seconds that
overlap by a window less three frames; and `records`, a compressed record for each 20
seconds of a clip, as in formats 1 and 2.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import tyro

from benchmarks.report import publish
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.motion.space import MOTION_FPS, MOTION_WIDTH
from train.data.batches import Batches, Rows
from train.data.blocks import encode_clips
from train.data.dataset import Dataset, WindowSplitSize, write_description
from train.data.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    encode_record,
    features_needed,
    samples_needed,
    window_count,
)
from train.data.shards import (
    RANDOM_ACCESS,
    UNPACKED,
    Split,
    shard_name,
    write_shard,
)
from train.diffusion.config import SPACE, DenoiserSize
from train.diffusion.data import PairCut
from train.diffusion.data import batches as pair_batches
from train.flow.data import batches as window_batches

Layout = Literal["blocks", "overlap", "records"]
TOTAL_SECONDS = 600
OVERLAP_FRAMES = 150
LONGEST_FRAMES = 600
WARM_BATCHES = 20
COLUMNS = ("clips", "layout", "MB", "workers", "windows/s", "windows/processor s")


@dataclass(frozen=True)
class Options:
    """Measure the input pipeline.

    Attributes:
      seconds: lengths of the clips, in seconds.
      layouts: layouts of the shards.
      workers: numbers of worker processes; 0 for threads.
      stage: windows of the flow transformer, or pairs of windows of the denoiser.
      feature_width: values of an audio feature; Whisper "tiny" has 384.
      batch_size: windows of a batch.
      measured: seconds of each measurement.
      repeats: measurements of each kind; the median counts.
      json: file for the figures.
    """

    seconds: tuple[int, ...] = (1, 4, 60, 600)
    layouts: tuple[Layout, ...] = ("blocks", "overlap", "records")
    workers: tuple[int, ...] = (0,)
    stage: Literal["flow", "diffusion"] = "flow"
    feature_width: int = 384
    batch_size: int = 64
    measured: float = 1.0
    repeats: int = 3
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    # As training does.
    keep_freed_memory()
    rows, figures = [], []
    for seconds in options.seconds:
        for layout in options.layouts:
            with TemporaryDirectory() as folder:
                dataset = write(Path(folder), seconds, layout, options.feature_width)
                size = sum(shard.stat().st_size for shard in dataset.shards("train"))
                for workers, (wall, cpu) in measure(dataset, options).items():
                    place = [f"{seconds} s", layout, f"{size / 1e6:.0f}", str(workers)]
                    rows.append([*place, f"{wall:.0f}", f"{cpu:.0f}"])
                    figures.append([seconds, layout, size, workers, wall, cpu])
    title = f"{options.stage}: batches of {options.batch_size}"
    publish(title, COLUMNS, rows, figures, options.json)


def measure(dataset: Dataset, options: Options) -> dict[int, tuple[float, float]]:
    """Return number of workers -> windows a second, and a second of processor time."""
    readers = {
        workers: open_batches(dataset, options, workers) for workers in options.workers
    }
    rates: dict[int, list[tuple[float, float]]] = {number: [] for number in readers}
    for _ in range(options.repeats):
        for workers, batches in readers.items():
            rates[workers].append(measure_once(batches, options))
    for batches in readers.values():
        batches.close()
    return {
        workers: (
            median(wall for wall, _ in measured),
            median(cpu for _, cpu in measured),
        )
        for workers, measured in rates.items()
    }


def measure_once(batches: Batches, options: Options) -> tuple[float, float]:
    """Return windows a second, and a second of processor time."""
    # Past the start of processes and the batches that are read ahead.
    for _ in range(WARM_BATCHES):
        next(batches)
    start, start_cpu = time.perf_counter(), processor_time()
    count = 0
    while time.perf_counter() - start < options.measured:
        next(batches)
        count += options.batch_size
    wall = time.perf_counter() - start
    cpu = processor_time() - start_cpu
    return count / wall, count / cpu


def processor_time() -> float:
    """Return seconds of processor time of this process and of its workers."""
    processes = [os.getpid(), *(child.pid for child in active_children())]
    ticks = 0
    for process in processes:
        stat = Path(f"/proc/{process}/stat").read_text()
        # User and system time follow the name, which may hold spaces.
        fields = stat.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def open_batches(dataset: Dataset, options: Options, workers: int) -> Batches:
    """Open the batches of a stage."""
    rows = Rows(options.batch_size)
    if options.stage == "flow":
        return window_batches(dataset, "lip", 0, rows, workers)
    # Pairs of windows of four seconds.
    sizes = DenoiserSize().config(options.feature_width)
    cut = PairCut(sizes, SPACE, dataset.statistics(SPACE), sound=False)
    return pair_batches(dataset, cut, 0, rows, workers)


def write(folder: Path, seconds: int, layout: Layout, width: int) -> Dataset:
    """Write a data set of clips of equal length."""
    encode, packing, cut = LAYOUTS[layout]
    frames = seconds * MOTION_FPS
    count = max(1, TOTAL_SECONDS // seconds)
    pieces = [piece for _ in range(count) for piece in cut(frames)]
    records = (random_clip(piece, number, width) for number, piece in enumerate(pieces))
    write_shard(folder / shard_name("train", 0, 1), encode(records), packing)
    windows = sum(map(window_count, pieces))
    sizes: dict[Split, WindowSplitSize] = {
        "train": WindowSplitSize(1, len(pieces), sum(pieces), windows),
        "validation": WindowSplitSize(0, 0, 0, 0),
    }
    mean, deviation = np.zeros(MOTION_WIDTH), np.ones(MOTION_WIDTH)
    dataset = Dataset(folder, sizes, width, "", "lip", mean, deviation)
    # Formats 1 and 2 have one record a clip.
    dataset = replace(dataset, format=3 if layout == "blocks" else 2)
    write_description(dataset)
    return dataset


def overlapping(frames: int) -> Iterator[int]:
    """Yield the lengths of records that have each window start of a clip once."""
    step = OVERLAP_FRAMES - WINDOW_FRAMES + WINDOW_STEP
    for start in range(0, max(1, frames - WINDOW_FRAMES + 1), step):
        yield min(OVERLAP_FRAMES, frames - start)


def equal_parts(frames: int) -> list[int]:
    """Return the lengths of the records of a clip in formats 1 and 2."""
    parts = -(-frames // LONGEST_FRAMES)
    return [frames // parts] * parts


def encode_whole(clips: Iterable[ClipRecord]) -> Iterator[bytes]:
    return map(encode_record, clips)


LAYOUTS: dict[Layout, tuple[Callable, str, Callable[[int], Iterable[int]]]] = {
    "blocks": (encode_clips, UNPACKED, lambda frames: [frames]),
    "overlap": (encode_whole, UNPACKED, overlapping),
    "records": (encode_whole, RANDOM_ACCESS, equal_parts),
}


def random_clip(frames: int, number: int, width: int) -> ClipRecord:
    """Return a clip of random values, which hardly get smaller when they are packed."""
    rng = np.random.default_rng(number)
    features = rng.standard_normal((features_needed(frames), width), np.float32)
    sound = rng.integers(-3000, 3000, samples_needed(frames), np.int16)
    return ClipRecord(
        f"{number}.mp4",
        "subject",
        rng.standard_normal((frames, MOTION_WIDTH), np.float32),
        features.astype(np.float16),
        rng.uniform(size=frames).astype(np.float32),
        sound=sound,
    )


if __name__ == "__main__":
    main()
