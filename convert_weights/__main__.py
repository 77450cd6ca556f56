"""`python -m convert_weights --pretrained-weights DIR --output CKPT`: published weights
-> one checkpoint."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from convert_weights.bundle import Converted, convert_files, write
from convert_weights.convert import ConversionError
from convert_weights.sources import (
    download_liveportrait,
    download_whisper,
    find_published,
    whisper_names,
)
from jaxportrait.checkpoint import CheckpointError, check_destination


@dataclass(frozen=True)
class Options:
    """Convert published PyTorch weights to one jaxportrait checkpoint.

    Every part is optional: the checkpoint records which it holds. A part's own option
    goes before the folder's file.

    Attributes:
      output: the checkpoint to write.
      pretrained_weights: folder of published weights, as LivePortrait lays it out.
      animals: take the animal weights of that folder.
      download: fetch LivePortrait's published weights into that folder first;
        interrupted downloads go on.
      flow_transformer: `model.safetensors` of the audio-driven LivePortrait.
      statistics: its `statistic.pt`; optional, as the transformer holds its own, with
        which it must agree.
      whisper: a Whisper file, or a name such as `tiny`, which is fetched.
      appearance: `appearance_feature_extractor.pth`.
      motion: `motion_extractor.pth`.
      warping: `warping_module.pth`.
      generator: `spade_generator.pth`.
      stitching_retargeting: `stitching_retargeting_module.pth`.
      vgg: torchvision's `vgg19-dcbb9e9d.pth`, for the renderer's perceptual loss; in a
        checkpoint of its own.
      image_size: side of the picture that the networks read.
      overwrite: replace a checkpoint that stands at `output`.
    """

    output: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    pretrained_weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    animals: bool = False
    download: bool = False
    flow_transformer: Path | None = None
    statistics: Path | None = None
    whisper: str | None = None
    appearance: Path | None = None
    motion: Path | None = None
    warping: Path | None = None
    generator: Path | None = None
    stitching_retargeting: Path | None = None
    vgg: Path | None = None
    image_size: int = 256
    overwrite: bool = False


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    try:
        check_destination(options.output.absolute(), overwrite=options.overwrite)
        converted = convert_files(gather(options), options.statistics)
        write(
            converted,
            options.output,
            image_size=options.image_size,
            overwrite=options.overwrite,
        )
    except (ConversionError, CheckpointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    Console().print(report(converted))


def gather(options: Options) -> dict[str, Path]:
    """Part -> file, fetched where asked."""
    folder, files = options.pretrained_weights, {}
    if folder is None and (options.download or options.animals):
        raise ConversionError(
            "--download and --animals need --pretrained-weights DIR, the folder that they mean"
        )
    if folder is not None:
        if options.download:
            download_liveportrait(folder)
        files = find_published(folder, animals=options.animals)
    single = (
        "appearance",
        "motion",
        "warping",
        "generator",
        "stitching_retargeting",
        "flow_transformer",
    )
    files |= {
        part: path for part in single if (path := getattr(options, part)) is not None
    }
    if options.vgg is not None:
        files["perceptual"] = options.vgg
    if options.whisper is not None:
        path = Path(options.whisper)
        is_name = not path.is_file() and options.whisper in whisper_names()
        files["whisper"] = (
            download_whisper(
                options.whisper,
                (folder or Path("pretrained_weights")) / "audio_processor",
            )
            if is_name
            else path
        )
    if not files:
        raise ConversionError(
            "nothing to convert: pass --pretrained-weights DIR, or a part's own file"
        )
    return files


def report(converted: Converted) -> Table:
    """Parts, parameters and bytes, and what was left behind."""
    table = Table("part", "parameters", "MB", "left behind")
    counts = {
        part: sum(leaf.size for leaf in leaves.values())
        for part, leaves in converted.params.items()
    }
    for part, count in counts.items():
        reasons: dict[str, int] = {}
        for reason in converted.ignored[part].values():
            reasons[reason] = reasons.get(reason, 0) + 1
        left = "; ".join(
            f"{number} tensors: {reason}" for reason, number in reasons.items()
        )
        table.add_row(
            part,
            f"{count:,}",
            f"{count * np.dtype(np.float32).itemsize / 1e6:,.1f}",
            left,
        )
    total = sum(counts.values())
    table.add_row(
        "all",
        f"{total:,}",
        f"{total * np.dtype(np.float32).itemsize / 1e6:,.1f}",
        "",
        style="bold",
    )
    return table


if __name__ == "__main__":
    main()
