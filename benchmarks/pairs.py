"""`python -m benchmarks.pairs`: pairs of frames a second that renderer training reads.

The same clips of the demo's portrait, with landmarks of the face mesh, are written with a
record for each picture, as `train.frames` does, and with a record for each clip, as in
formats 1 and 2. Batches of both are read in turn, in one thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import cv2
import numpy as np
import tyro

from benchmarks.report import alternate, publish
from jaxportrait import demo
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.media.image import read_image
from train.data.batches import BatchSource, Rows
from train.data.frames import FrameDataset
from train.data.pictures import FrameRecord, encode_image, encode_record
from train.data.shards import write_shard
from train.data.source import RecordSource
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import write_frames
from train.prepare.split import Piece
from train.renderer.data import pairs

CLIPS, LANDMARKS = 40, 468
COLUMNS = ("pixels", "layout", "MB a batch", "pairs/s", "pairs/processor s")


@dataclass(frozen=True)
class Options:
    """Measure the reading of pairs of frames.

    Attributes:
      sizes: sides of the pictures, in pixels.
      frames: pictures of a clip.
      batch_size: pairs of a batch.
      batches: batches of each measurement.
      repeats: measurements of each layout; the median counts.
      json: file for the figures.
    """

    sizes: tuple[int, ...] = (256, 512)
    frames: int = 32
    batch_size: int = 32
    batches: int = 4
    repeats: int = 5
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    # As training does.
    keep_freed_memory()
    rows, figures = [], []
    for size in options.sizes:
        with TemporaryDirectory() as folder:
            layouts = write(Path(folder), size, options.frames)
            for name, (wall, cpu, volume) in measure(layouts, options).items():
                place = [str(size), name, f"{volume / 1e6:.1f}"]
                rows.append([*place, f"{wall:.0f}", f"{cpu:.0f}"])
                figures.append([size, name, volume, wall, cpu])
    publish(f"batches of {options.batch_size}", COLUMNS, rows, figures, options.json)


def measure(
    layouts: dict[str, FrameDataset], options: Options
) -> dict[str, tuple[float, float, float]]:
    """Return layout -> pairs a second, pairs a second of processor time, and bytes that
    a batch reads."""
    rows = Rows(options.batch_size)
    sources = {
        name: pairs(dataset, "train", 0, rows) for name, dataset in layouts.items()
    }
    runs: dict[str, Callable[[], None]] = {
        name: partial(read, source, options.batches) for name, source in sources.items()
    }
    # Pairs of a measurement.
    count = options.batches * options.batch_size
    return {
        name: (
            count / timing["median"],
            count / timing["cpu"],
            batch_bytes(sources[name]),
        )
        for name, timing in alternate(runs, options.repeats).items()
    }


def read(source: BatchSource, batches: int) -> None:
    """Read the first batches."""
    for number in range(batches):
        source[number]


def batch_bytes(source: BatchSource) -> int:
    """Return the bytes of the records that the first batch reads."""
    volume = 0
    original = RecordSource.read

    def count(records: RecordSource, indices: Sequence[int]) -> list[bytes]:
        nonlocal volume
        data = original(records, indices)
        volume += sum(map(len, data))
        return data

    with patch.object(RecordSource, "read", count):
        source[0]
    return volume


def write(folder: Path, size: int, frames: int) -> dict[str, FrameDataset]:
    """Write the same clips in both layouts."""
    # A real face: noise would make larger JPEG files.
    portrait = read_image(demo.PORTRAIT)
    picture = cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA)
    images = [encode_image(picture)] * frames
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(-1, 1, (frames, LANDMARKS, 2)).astype(np.float32)
    pose = np.zeros((frames, 3), np.float32)
    names = [f"{number}.mp4" for number in range(CLIPS)]
    records = {
        name: FrameRecord(name, "subject", images, landmarks, pose) for name in names
    }
    pieces = [Piece(name, "train", 0, frames) for name in names]
    recipe = FrameRecipe(size=size, detector="none")
    layouts = {}
    for layout in ("pictures", "clips"):
        path = folder / layout
        path.mkdir()
        layouts[layout] = write_frames(path, pieces, records.__getitem__, recipe)
    # Formats 1 and 2 have one record a clip.
    (shard,) = layouts["clips"].shards("train")
    write_shard(shard, map(encode_record, records.values()))
    layouts["clips"] = replace(layouts["clips"], format=2)
    return layouts


if __name__ == "__main__":
    main()
