"""`python -m convert_weights --pretrained-weights DIR --output CKPT`: published weights
-> one checkpoint."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import OmitArgPrefixes, arg

from convert_weights import ctranslate2
from convert_weights.bundle import Converted, convert_files, write
from convert_weights.convert import ConversionError
from convert_weights.ditto import files as ditto_files
from convert_weights.ditto.files import DittoFiles
from convert_weights.joyvasa.files import JoyVASAFiles
from convert_weights.sources import (
    JOYVASA_FOLDER,
    JOYVASA_MODEL,
    JOYVASA_TEMPLATE,
    download_ditto,
    download_joyvasa,
    download_liveportrait,
    download_whisper,
    find_published,
    whisper_names,
)
from jaxportrait.checkpoint import check_destination
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.media.faces.download import ADDRESS, download_faces
from jaxportrait.models.motion_diffusion import Positions
from jaxportrait.ranges import ImageSize, check_ranges
from jaxportrait.whole import reserve

SINGLE_PARTS = (
    "appearance",
    "motion",
    "warping",
    "generator",
    "stitching_retargeting",
    "flow_transformer",
)
"""Parts that have an option and a file of the same name."""


SUMMARY = """Convert published PyTorch weights to one checkpoint.

Every part is optional: the checkpoint records which it holds."""
EXAMPLE = "--pretrained-weights pretrained_weights --download --output checkpoints/liveportrait"


@dataclass(frozen=True)
class Published:
    """Weights as LivePortrait publishes them.

    Attributes:
      pretrained_weights: folder of published weights, as LivePortrait lays it out.
      animals: use the animal weights of that folder.
      joyvasa: use JoyVASA's model and template of the folder `JoyVASA` in that folder:
        motion from sound.
      ditto: use Ditto's network, options and HuBERT of the folder `ditto` in that
        folder: motion from sound. Its copies of LivePortrait's networks are used where
        the folder has none of LivePortrait's own.
      download: first download LivePortrait's published weights into that folder,
        with --joyvasa and --ditto theirs too, and MediaPipe's face mesh into the user's data folder;
        an interrupted download resumes.
    """

    pretrained_weights: Annotated[Path | None, arg(metavar="DIR")] = None
    animals: bool = False
    joyvasa: bool = False
    ditto: bool = False
    download: bool = False


@dataclass(frozen=True)
class PartFiles:
    """Files of single parts; each replaces the file of that part in the folder.

    Attributes:
      flow_transformer: `model.safetensors` of the audio-driven LivePortrait.
      statistics: its `statistic.pt`; optional, since the transformer holds its own,
        with which it must agree.
      whisper: a Whisper file, a folder of faster-whisper's (CTranslate2), or a name
        such as `tiny`, which is downloaded.
      appearance: `appearance_feature_extractor.pth`.
      motion: `motion_extractor.pth`.
      warping: `warping_module.pth`.
      generator: `spade_generator.pth`.
      stitching_retargeting: `stitching_retargeting_module.pth`.
      joyvasa_model: `motion_generator_hubert_chinese.pt` of JoyVASA, which holds its
        HuBERT.
      joyvasa_template: its `motion_template.pkl`, of the same download.
      joyvasa_positions: positions that the model was trained with, by
        default `constant` as the published one; `sequence` since JoyVASA's
        commit 74290f6.
      ditto_model: `lmdm_v0.4_hubert.pth` of Ditto.
      ditto_options: its `v0.4_hubert_cfg_trt_online.pkl`.
      ditto_hubert: its `hubert_streaming_fix_kv.onnx`, which encodes sound.
      vgg: torchvision's `vgg19-dcbb9e9d.pth`, for the renderer's perceptual loss; in a
        checkpoint of its own.
    """

    flow_transformer: Path | None = None
    statistics: Path | None = None
    whisper: str | None = None
    appearance: Path | None = None
    motion: Path | None = None
    warping: Path | None = None
    generator: Path | None = None
    stitching_retargeting: Path | None = None
    joyvasa_model: Path | None = None
    joyvasa_template: Path | None = None
    joyvasa_positions: Positions | None = None
    ditto_model: Path | None = None
    ditto_options: Path | None = None
    ditto_hubert: Path | None = None
    vgg: Path | None = None


@dataclass(frozen=True)
class Options:
    """Convert published PyTorch weights to one jaxportrait checkpoint.

    Attributes:
      output: the checkpoint to write.
      published: weights as LivePortrait publishes them.
      parts: files of single parts.
      image_size: side of the picture that the networks read, in pixels.
      overwrite: replace an existing checkpoint at `output`.
    """

    output: Annotated[Path, arg(metavar="CKPT")]
    published: OmitArgPrefixes[Published] = field(default_factory=Published)
    parts: OmitArgPrefixes[PartFiles] = field(default_factory=PartFiles)
    image_size: ImageSize = 256
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)


def main() -> None:
    options = parse_options(
        Options, "convert_weights", summary=SUMMARY, example=EXAMPLE
    )
    with exit_on_error(resume="the same command resumes a download"):
        # Before any download: a taken output would waste it.
        check_destination(options.output.absolute(), overwrite=options.overwrite)
        with reserve(options.output):
            files = gather(options.published, options.parts)
            joyvasa = find_joyvasa(options.published, options.parts)
            ditto = find_ditto(options.published, options.parts)
            if not files and joyvasa is None and ditto is None:
                raise ConversionError(
                    "nothing to convert: pass --pretrained-weights DIR, or a part's own file"
                )
            converted = convert_files(files, options.parts.statistics, joyvasa, ditto)
            write(
                converted,
                options.output,
                image_size=options.image_size,
                animals=options.published.animals,
                overwrite=options.overwrite,
            )
        Console(markup=False).print(report(converted))


def gather(published: Published, single: PartFiles) -> dict[str, Path]:
    """Return the file of every part to convert but JoyVASA's; download what is asked
    for."""
    # Files of single parts come second, so that they win.
    files = find_folder(published)
    for part in SINGLE_PARTS:
        path = getattr(single, part)
        if path is not None:
            files[part] = path
    if single.vgg is not None:
        files["perceptual"] = single.vgg
    if single.whisper is not None:
        folder = published.pretrained_weights or Path("pretrained_weights")
        files["whisper"] = find_whisper(single.whisper, folder)
    return files


def find_folder(published: Published) -> dict[str, Path]:
    """Return the files of the folder of published weights, if there is one.

    Raises:
      ConversionError: an option needs the folder.
    """
    folder = published.pretrained_weights
    if folder is None:
        uses = (published.download, published.animals, published.joyvasa)
        if any(uses) or published.ditto:
            raise ConversionError(
                "--download, --animals, --joyvasa and --ditto need --pretrained-weights DIR, the folder that they mean"
            )
        return {}
    # Downloaded into the same folder that is searched next.
    if published.download:
        remarks = [download_liveportrait(folder, animals=published.animals)]
        if published.joyvasa:
            remarks.append(download_joyvasa(folder))
        if published.ditto:
            remarks.append(download_ditto(folder))
        for remark in filter(None, remarks):
            print(f"note: {remark}", file=sys.stderr)
        fetch_faces()
    return find_published(folder, animals=published.animals, ditto=published.ditto)


def fetch_faces(address: str = ADDRESS) -> None:
    """Fetch the face mesh's files into the user's data folder.

    They are no part of a checkpoint, so that without them there is only a warning.
    """
    try:
        download_faces(address=address)
    except OSError as error:
        print(f"warning: {error}", file=sys.stderr)


def find_joyvasa(published: Published, single: PartFiles) -> JoyVASAFiles | None:
    """Return JoyVASA's files, if they are asked for.

    Raises:
      ConversionError: one of the two is missing.
    """
    model = single.joyvasa_model
    template = single.joyvasa_template
    if published.joyvasa and published.pretrained_weights is not None:
        folder = published.pretrained_weights / JOYVASA_FOLDER
        # A file that is named wins over that of the folder.
        model = model or folder / JOYVASA_MODEL
        template = template or folder / JOYVASA_TEMPLATE
    if model is None and template is None:
        if single.joyvasa_positions is not None:
            raise ConversionError(
                f"--joyvasa-positions {single.joyvasa_positions} belongs to a model of JoyVASA, and none is given: "
                "pass --joyvasa or --joyvasa-model"
            )
        return None
    if model is None or template is None:
        raise ConversionError(
            "JoyVASA's model and its template belong together: pass --joyvasa-model and --joyvasa-template"
        )
    return JoyVASAFiles(model, template, single.joyvasa_positions or "constant")


def find_ditto(published: Published, single: PartFiles) -> DittoFiles | None:
    """Return Ditto's files, if they are asked for.

    Raises:
      ConversionError: one of the three is missing.
    """
    paths = {
        ditto_files.MODEL_FILE: single.ditto_model,
        ditto_files.OPTIONS_FILE: single.ditto_options,
        ditto_files.HUBERT_FILE: single.ditto_hubert,
    }
    if published.ditto and published.pretrained_weights is not None:
        folder = published.pretrained_weights / ditto_files.FOLDER
        # A file that is named wins over that of the folder.
        paths = {name: path or folder / name for name, path in paths.items()}
    model, options, hubert = paths.values()
    if model is None and options is None and hubert is None:
        return None
    if model is None or options is None or hubert is None:
        raise ConversionError(
            "Ditto's network, its options and its HuBERT belong together: pass --ditto-model, --ditto-options and "
            "--ditto-hubert"
        )
    return DittoFiles(model, options, hubert)


def find_whisper(name: str, folder: Path) -> Path:
    """Return a Whisper file or folder; one that is named by its size is downloaded."""
    path = Path(name)
    # A file or a model's folder of that name wins over a size.
    exists = path.is_file() or ctranslate2.is_model(path)
    if not exists and name in whisper_names():
        return download_whisper(name, folder / "audio_processor")
    return path


def report(converted: Converted) -> Table:
    """Return a table of parts, parameters, bytes and tensors left behind."""
    table = Table("part", "parameters", "MB", "left behind")
    # Parameters of each part; weights are stored in float32.
    counts = {
        part: sum(leaf.size for leaf in leaves.values())
        for part, leaves in converted.params.items()
    }
    for part, count in counts.items():
        # Tensors that were left behind for one reason are one entry.
        reasons: dict[str, int] = {}
        for reason in converted.ignored[part].values():
            reasons[reason] = reasons.get(reason, 0) + 1
        summary = "; ".join(
            f"{number} tensors: {reason}" for reason, number in reasons.items()
        )
        table.add_row(
            part,
            f"{count:,}",
            f"{count * np.dtype(np.float32).itemsize / 1e6:,.1f}",
            summary,
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
