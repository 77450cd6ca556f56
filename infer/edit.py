"""`python -m infer.edit [-s IMAGE] [--smile 1 ...]`: change the face of a picture by
numbers, or over time by keyframes."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import DisallowNone, OmitArgPrefixes, arg

from infer.__main__ import configure
from infer.config import DeviceOptions, FaceDetection, choose_networks
from jaxportrait import demo
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.job import JobDisplay
from jaxportrait.console.options import parse_options
from jaxportrait.console.output import is_terminal, print_result, printable
from jaxportrait.job import Networks
from jaxportrait.job.edit import CropScale, EditRequest, run_edit
from jaxportrait.media.crop import SOURCE_SCALE
from jaxportrait.media.write import CONTAINERS, Encoder, has_suffix
from jaxportrait.pipeline.edits import Edits
from jaxportrait.ranges import VideoSide

SUMMARY = """Change the face of a picture: turn the head, move eyes, brows and lips.

Numbers make a picture, a file of keyframes makes a video. The picture and the networks
are the demo's by default."""
EXAMPLE = "-s portrait.jpg --smile 1 --yaw 10 -o smile.png"


@dataclass(frozen=True)
class Inputs:
    """Picture and networks; each is the demo's by default.

    Attributes:
      source: picture with a face.
      checkpoint: networks, written by `python -m convert_weights` or `python -m
        train.export`.
      keyframes: TOML file of numbers at times, in place of the sliders below.
      crop_scale: side of the crop in sides of the face, from 1.8 to 3.2.
      stitching: correct the keypoints so that shoulders and crop border stay in place;
        by default where the checkpoint has a network for it.
    """

    source: Annotated[Path, arg(aliases=["-s"], metavar="IMAGE")] = demo.PORTRAIT
    checkpoint: Annotated[Path, arg(metavar="CKPT")] = demo.CHECKPOINT
    keyframes: Annotated[Path | None, arg(metavar="FILE")] = None
    crop_scale: CropScale = SOURCE_SCALE
    stitching: bool | None = None


@dataclass(frozen=True)
class Output:
    """The picture or the video.

    Attributes:
      output: file to write: a picture (.png, .jpg), or for keyframes a video (.mp4,
        or .mkv, .webm, .gif and .webp) or pictures FOLDER/%06d.png or .jpg; or a folder
        for `SOURCE--edit.png` or `SOURCE--KEYFRAMES.mp4`, created if it is missing.
      max_size: longest side of the result in pixels, to which a larger picture is
        reduced; by default the picture's.
      crf: constant rate factor of mp4, mkv (0: lossless) and webm, to 51; 18 by default.
      encoder: H.264 encoder, of mp4 and mkv; `auto` is NVENC where it works.
    """

    output: Annotated[Path, arg(aliases=["-o", "--output-dir"], metavar="FILE|DIR")] = (
        Path("generated")
    )
    max_size: VideoSide | None = None
    crf: int | None = None
    encoder: Encoder = "auto"


@dataclass(frozen=True)
class Options:
    """Change the face of a picture.

    Attributes:
      input: picture and networks.
      edits: the sliders.
      output: the picture or the video.
      detection: the face in the picture.
      device: device and precision.
      debug: show the traceback of an error.
    """

    # Stitching is a flag, though by default neither on nor off.
    input: OmitArgPrefixes[DisallowNone[Inputs]] = field(default_factory=Inputs)
    edits: OmitArgPrefixes[DisallowNone[Edits]] = field(default_factory=Edits)
    output: OmitArgPrefixes[Output] = field(default_factory=Output)
    detection: OmitArgPrefixes[FaceDetection] = field(default_factory=FaceDetection)
    device: OmitArgPrefixes[DeviceOptions] = field(default_factory=DeviceOptions)
    debug: bool = False

    def request(self) -> EditRequest:
        """Return the edit that these options ask for."""
        return EditRequest(
            source=self.input.source,
            output=self.result_path(),
            edits=self.edits,
            keyframes=self.input.keyframes,
            stitching=self.input.stitching,
            crop_scale=self.input.crop_scale,
            face=self.detection.number,
            box=self.detection.read_box(),
            max_size=self.output.max_size,
            crf=self.output.crf,
            encoder=self.output.encoder,
        )

    def result_path(self) -> Path:
        """Return the name of the result.

        Raises:
          ValueError: --output ends in a suffix that is of no picture or video.
        """
        target = self.output.output
        if has_suffix(target):
            return target
        if target.suffix and not target.is_dir():
            choices = ", ".join(f".{name}" for name in CONTAINERS)
            raise ValueError(
                f"{target} ends in {target.suffix}: results end in {choices}; make the folder first if it is one"
            )
        # One folder holds edits of many pictures.
        source = self.input.source.stem
        if self.input.keyframes is None:
            return target / f"{source}--edit.png"
        return target / f"{source}--{self.input.keyframes.stem}.mp4"

    def networks(self) -> Networks:
        """Return the networks and the face detector that these options name."""
        return choose_networks(self.input.checkpoint, self.device, self.detection)


def main() -> None:
    options = parse_options(Options, "infer.edit", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error(debug=options.debug):
        if options.device.warmup:
            raise ValueError("--warmup is for clips of sound: leave it out")
        # The options of faces are shared with the program of clips.
        if options.detection.face == "all":
            raise ValueError("one face is edited at a time: pass its number as --face")
        configure(options.device)
        run(options)


def run(options: Options) -> None:
    """Make the picture or the video."""
    with JobDisplay() as display:
        clip = run_edit(options.request(), options.networks(), display)
        # The path is all that goes to stdout, for scripts; a user reads the next line.
        if not is_terminal(sys.stdout):
            print_result(printable(str(clip.path)))
        display.show_file(clip)


def program() -> None:
    """Run `main` in a process of its own."""
    # The allocator reads its settings before `main` allocates anything.
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
