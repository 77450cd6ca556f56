"""An evaluation of a renderer: what it makes of people whom it does not know, compared
with the truth, and shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import track

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.renderer import Renderer
from train.data.frames import FrameDataset, FrameRecord, open_frames
from train.data.shards import SPLITS, DatasetError, Split, write_json
from train.evaluate.renderer.pairs import Pair, make_pairs
from train.evaluate.renderer.report import Measures, Regions, measure, table
from train.evaluate.renderer.sheets import cross_sheet, own_sheet, write_png
from train.synthetic.landmarks import COUNT, GROUPS

SHEET_ROWS, SHEET_COLUMNS, CROSS_SHEETS = 6, 6, 2
BATCH = 4
"""Frames that a device renders at once."""

Indices = tuple[int, ...] | None


@dataclass(frozen=True)
class Options:
    """Measure a checkpoint's renderer on people that it has not seen, and draw sheets
    to look at.

    Attributes:
      dataset_path: made by `python -m train.frames`, with the checkpoint's zoom.
      checkpoint: with F, M, W and G, as `python -m train.export` writes it.
      output: folder for `evaluation.json` and the sheets.
      pairs: driving frames in all, shared out evenly over the clips.
      people: those who were held out; or all, of a data set with none that the renderer
        was trained on.
      mouth: landmarks around the mouth; where left out, those of drawn heads, if the
        data set has their 82 points.
      left_eye: landmarks around the eye on the left, likewise.
      right_eye: landmarks around the eye on the right, likewise.
    """

    dataset_path: Annotated[Path, tyro.conf.arg(metavar="FRAMES")]
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("evaluation")
    pairs: int = 64
    people: Literal["held-out", "all"] = "held-out"
    mouth: Indices = None
    left_eye: Indices = None
    right_eye: Indices = None


def evaluate(options: Options, console: Console) -> None:
    """Make, measure, and write the table, the JSON and the sheets.

    Raises:
      ValueError, OSError: options, a data set or a checkpoint that do not fit together.
    """
    if options.pairs < 1:
        raise ValueError(f"--pairs must be at least 1, got {options.pairs}")
    dataset, checkpoint = (
        open_frames(options.dataset_path),
        open_checkpoint(options.checkpoint),
    )
    regions = find_regions(options, dataset)
    renderer = Renderer(checkpoint, dtype="float32", batch_size=BATCH)
    if checkpoint.config.crop_zoom != dataset.zoom:
        raise DatasetError(
            f"{dataset.path} was cut out with --zoom {dataset.zoom:g}, and {checkpoint.path} was trained on "
            f"{checkpoint.config.crop_zoom:g}: make frames of that zoom"
        )
    splits: tuple[Split, ...] = (
        ("validation",) if options.people == "held-out" else SPLITS
    )
    found = [
        record
        for split in splits
        for record in dataset.evenly_spaced(split, options.pairs)
    ]
    records = [record for record in found if record.frames > 1]
    if not records:
        raise DatasetError(
            f"data set {dataset.path} holds no clip out: process more subjects, or longer clips"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    made = make_pairs(renderer, records, options.pairs)
    pairs = list(
        track(
            made,
            "pairs",
            options.pairs,
            console=console,
            disable=not console.is_terminal,
        )
    )
    measures = measure(pairs, regions)
    draw_sheets(options.output, renderer, records, pairs)
    _report(options, console, measures, pairs)


def find_regions(options: Options, dataset: FrameDataset) -> Regions:
    """The landmarks of mouth and eyes; those that are not known are left out.

    Raises:
      ValueError: a landmark that the data set has not.
    """
    drawn = dataset.landmarks == COUNT
    names = {
        "mouth": ("lips_outer", "lips_inner"),
        "left_eye": ("eye_left",),
        "right_eye": ("eye_right",),
    }
    found: dict[str, tuple[int, ...]] = {}
    for option, groups in names.items():
        known = (
            tuple(index for group in groups for index in range(COUNT)[GROUPS[group]])
            if drawn
            else ()
        )
        given = getattr(options, option)
        found[option] = known if given is None else given
        if unknown := [
            index for index in found[option] if not 0 <= index < dataset.landmarks
        ]:
            raise ValueError(
                f"--{option.replace('_', '-')} names landmark {unknown[0]}, and {dataset.path} has "
                f"{dataset.landmarks}: give its own"
            )
    regions = {
        "mouth": [found["mouth"]],
        "eyes": [found["left_eye"], found["right_eye"]],
    }
    return {
        name: kept
        for name, boxes in regions.items()
        if (kept := [box for box in boxes if box])
    }


def draw_sheets(
    output: Path,
    renderer: Renderer,
    records: Sequence[FrameRecord],
    pairs: Sequence[Pair],
) -> None:
    """Write `own.png`, and `cross-N.png` where there are two people or more."""
    of_clips = list({pair.clip: pair for pair in pairs}.values())
    rows = min(SHEET_ROWS, len(of_clips))
    write_png(
        output / "own.png",
        own_sheet([of_clips[row * len(of_clips) // rows] for row in range(rows)]),
    )
    people = list({record.subject: record for record in records}.values())
    if len(people) < 2:
        return
    for number in range(min(CROSS_SHEETS, len(people))):
        driving = people[number]
        others = [record for record in people if record is not driving][:SHEET_ROWS]
        sheet = cross_sheet(renderer, others, driving, SHEET_COLUMNS)
        write_png(output / f"cross-{number + 1}.png", sheet)


def _report(
    options: Options, console: Console, measures: Measures, pairs: Sequence[Pair]
) -> None:
    facts = {
        "dataset": str(options.dataset_path),
        "checkpoint": str(options.checkpoint),
        "people": options.people,
        "pairs": len(pairs),
        "clips": sorted({pair.clip for pair in pairs}),
        "size": len(pairs[0].true),
    }
    write_json(options.output / "evaluation.json", {**facts, "measures": measures})
    console.print(table(measures))
    console.print(
        f"{len(pairs)} pairs of {len(facts['clips'])} clips ({options.people} people) at {facts['size']} pixels; "
        f"figures and sheets in {options.output}",
        highlight=False,
        soft_wrap=True,
    )
