"""`python -m benchmarks.input`: windows a second of the input pipeline, by the length of
clips.

Data sets of random motion, features and sound, of about ten minutes each, are written to
a temporary folder in several layouts: `blocks`, as `train.process` writes them;
`overlap`, records of five seconds that overlap by a window less three frames; and
`records`, a compressed record for each 20 seconds of a clip, as in formats 1 and 2.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import tyro

from benchmarks.report import publish
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
      seconds: lengths of the clips.
      layouts: layouts of the shards.
      workers: numbers of worker processes; 0 for threads.
      stage: windows of the flow transformer, or pairs of windows of the denoiser.
      feature_width: values of an audio feature; Whisper "tiny" has 384.
      batch_size: windows of a batch.
      measured: seconds of each measurement.
      json: file for the figures.
    """

    seconds: tuple[int, ...] = (1, 4, 60, 600)
    layouts: tuple[Layout, ...] = ("blocks", "overlap", "records")
    workers: tuple[int, ...] = (0,)
    stage: Literal["flow", "diffusion"] = "flow"
    feature_width: int = 384
    batch_size: int = 64
    measured: float = 4.0
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    rows, figures = [], []
    for seconds in options.seconds:
        for layout in options.layouts:
            with TemporaryDirectory() as folder:
                dataset = write(Path(folder), seconds, layout, options.feature_width)
                size = sum(shard.stat().st_size for shard in dataset.shards("train"))
                for workers in options.workers:
                    wall, cpu = measure(dataset, options, workers)
                    place = [f"{seconds} s", layout, f"{size / 1e6:.0f}", str(workers)]
                    # The time of worker processes isn't that of this one.
                    rate = "" if workers else f"{cpu:.0f}"
                    rows.append([*place, f"{wall:.0f}", rate])
                    figures.append([seconds, layout, size, workers, wall, cpu])
    title = f"{options.stage}: batches of {options.batch_size}"
    publish(title, COLUMNS, rows, figures, options.json)


def measure(dataset: Dataset, options: Options, workers: int) -> tuple[float, float]:
    """Return windows a second, and a second of this process's processor time."""
    iterator = open_batches(dataset, options, workers)
    # Past the start of processes and the batches that are read ahead.
    for _ in range(WARM_BATCHES):
        next(iterator)
    start, start_cpu = time.perf_counter(), time.process_time()
    count = 0
    while time.perf_counter() - start < options.measured:
        next(iterator)
        count += options.batch_size
    wall = time.perf_counter() - start
    cpu = time.process_time() - start_cpu
    iterator.close()
    return count / wall, count / cpu


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
