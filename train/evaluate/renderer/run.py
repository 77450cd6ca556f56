"""An evaluation of a renderer: pictures of people that it has not seen, compared with the
truth, and shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.console.progress import track
from jaxportrait.ranges import Count, check_ranges
from jaxportrait.renderer import Renderer
from jaxportrait.whole import hold_folder
from train.data.frames import FrameDataset, open_frames
from train.data.pictures import FrameRecord
from train.data.shards import SPLITS, DatasetError, Split, write_json
from train.evaluate.renderer.pairs import Pair, make_pairs
from train.evaluate.renderer.regions import RegionOptions, find_regions
from train.evaluate.renderer.report import Measures, measure, table
from train.evaluate.renderer.sheets import cross_sheet, own_sheet, write_png

SHEET_ROWS = 6
SHEET_COLUMNS = 6
CROSS_SHEETS = 2
BATCH = 4
"""Frames that a device renders at once."""

People = Literal["held-out", "all"]
PEOPLE: dict[People, tuple[Split, ...]] = {"held-out": ("validation",), "all": SPLITS}


@dataclass(frozen=True)
class Options:
    """Measure a checkpoint's renderer on people that it has not seen, and draw sheets
    to look at.

    Attributes:
      dataset_path: frames, made by `python -m train.frames` with the checkpoint's zoom.
      checkpoint: checkpoint with F, M, W and G, as `python -m train.export` writes it.
      output: folder for `evaluation.json` and the sheets.
      pairs: driving frames in all, shared evenly among the clips.
      people: held-out people; or all, of a data set with none that the renderer was
        trained on.
      regions: landmarks of the regions that are measured; by default those that the
        data set names.
    """

    dataset_path: Annotated[Path, tyro.conf.arg(metavar="FRAMES")]
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("evaluation")
    pairs: Count = 64
    people: People = "held-out"
    regions: tyro.conf.OmitArgPrefixes[RegionOptions] = field(
        default_factory=RegionOptions
    )

    def __post_init__(self) -> None:
        check_ranges(self)


def evaluate(options: Options, console: Console) -> None:
    """Render, measure, and write the table, the JSON and the sheets.

    Raises:
      ValueError, OSError: options, a data set or a checkpoint that do not fit together.
    """
    # Wrong options end the program before networks are loaded.
    dataset = open_frames(options.dataset_path)
    checkpoint = open_checkpoint(options.checkpoint)
    regions = find_regions(options.regions, dataset)
    check_zoom(dataset, checkpoint)
    records = find_records(dataset, options)
    renderer = Renderer(checkpoint, dtype="float32", batch_size=BATCH)
    with hold_folder(options.output):
        source = make_pairs(renderer, records, options.pairs)
        pairs = list(track(source, options.pairs, console, unit="pairs"))
        measures = measure(pairs, regions)
        draw_sheets(options.output, renderer, records, pairs)
        _report(options, console, measures, pairs)


def check_zoom(dataset: FrameDataset, checkpoint: Checkpoint) -> None:
    """Raise a DatasetError unless the frames are cropped as the checkpoint's were."""
    zoom = checkpoint.crop.zoom
    if zoom != dataset.zoom:
        raise DatasetError(
            f"{dataset.path} was cut out with --zoom {dataset.zoom:g}, and {checkpoint.path} was trained on "
            f"{zoom:g}: make frames of that zoom"
        )


def find_records(dataset: FrameDataset, options: Options) -> list[FrameRecord]:
    """Return clips of the people to measure, at most one a pair, evenly spaced.

    Raises:
      DatasetError: there are none.
    """
    records = []
    for split in PEOPLE[options.people]:
        records += dataset.evenly_spaced(split, options.pairs)
    # a single frame has nothing to drive it
    records = [record for record in records if record.frames > 1]
    if not records:
        raise DatasetError(
            f"data set {dataset.path} holds no clip out: process more subjects, or longer clips"
        )
    return records


def draw_sheets(
    output: Path,
    renderer: Renderer,
    records: Sequence[FrameRecord],
    pairs: Sequence[Pair],
) -> None:
    """Write `own.png`, and `cross-N.png` if there are two people or more."""
    # one pair a clip: dictionaries keep the last
    by_clip = list({pair.clip: pair for pair in pairs}.values())
    rows = min(SHEET_ROWS, len(by_clip))
    shown = [by_clip[row * len(by_clip) // rows] for row in range(rows)]
    write_png(output / "own.png", own_sheet(shown))
    people = list({record.subject: record for record in records}.values())
    if len(people) < 2:
        return
    for number, driving in enumerate(people[:CROSS_SHEETS], start=1):
        others = [record for record in people if record is not driving]
        sheet = cross_sheet(renderer, others[:SHEET_ROWS], driving, SHEET_COLUMNS)
        write_png(output / f"cross-{number}.png", sheet)


def _report(
    options: Options, console: Console, measures: Measures, pairs: Sequence[Pair]
) -> None:
    clips = sorted({pair.clip for pair in pairs})
    size = len(pairs[0].true)
    facts = {
        "dataset": str(options.dataset_path),
        "checkpoint": str(options.checkpoint),
        "people": options.people,
        "pairs": len(pairs),
        "clips": clips,
        "size": size,
    }
    write_json(options.output / "evaluation.json", {**facts, "measures": measures})
    console.print(table(measures))
    console.print(
        f"{len(pairs)} pairs of {len(clips)} clips ({options.people} people) at {size} pixels; "
        f"figures and sheets in {options.output}",
        highlight=False,
        soft_wrap=True,
    )
