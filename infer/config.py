"""The options of the inference program."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import DisallowNone, OmitArgPrefixes, arg

from jaxportrait import demo
from jaxportrait.animation import AudioPriority, Retargeting, Sampling
from jaxportrait.animator import DType
from jaxportrait.checkpoint import AUTO_DRIVER
from jaxportrait.drivers.video import DrivingCrop
from jaxportrait.driving import DrivingKind, makes_picture
from jaxportrait.job import Networks, Request
from jaxportrait.job.faces import FacesRequest
from jaxportrait.media.faces import DetectorName
from jaxportrait.media.faces.box import Box
from jaxportrait.media.footage import is_video
from jaxportrait.media.write import (
    CONTAINERS,
    MAX_NAME_BYTES,
    Encoder,
    has_suffix,
    shorten,
)
from jaxportrait.ranges import VideoSide


@dataclass(frozen=True)
class Inputs:
    """Picture, driving file and networks; each is the demo's by default.

    Attributes:
      source: picture or video with a face.
      driving: speech recording (wav, mp3, m4a, flac, ogg, ...), video or picture whose
        face moves the portrait, motion template of LivePortrait (.pkl), or motion (.safetensors).
      checkpoint: networks, written by `python -m convert_weights` or `python -m
        train.export`; the demo's know only drawn heads.
      driver: driver of the checkpoint that makes motion of speech, where it has
        several; `auto` is its only one.
      animal: the source and the checkpoint are of animals; short for --composition
        animal.
      other_driving: driving files of the second face and of the following ones, the
        largest first, for `--face all`; by default --driving moves all of them.
      head_from: video or file of motion that moves all but the lips, for speech.
      lip_sync: change only the mouth of a source video, by default where speech drives
        it; its head and eyes move as before.
      audio_priority: the input whose sound is kept, where --source and --driving are
        videos with sound.
      driving_kind: `audio` uses only the sound of a video passed as --driving.
    """

    source: Annotated[Path, arg(aliases=["-s"], metavar="FILE")] = demo.PORTRAIT
    driving: Annotated[Path, arg(aliases=["-d"], metavar="FILE")] = demo.SENTENCE
    checkpoint: Annotated[Path, arg(metavar="CKPT")] = demo.CHECKPOINT
    driver: Annotated[str, arg(metavar="NAME")] = AUTO_DRIVER
    animal: bool = False
    other_driving: Annotated[tuple[Path, ...], arg(metavar="FILE")] = ()
    head_from: Annotated[Path | None, arg(metavar="FILE")] = None
    lip_sync: DisallowNone[bool | None] = None
    audio_priority: AudioPriority = "driving"
    driving_kind: DrivingKind = "auto"


@dataclass(frozen=True)
class Output:
    """The video.

    Attributes:
      output: file to write, in the container of its suffix (.mp4, .mkv, .webm,
        or .gif and .webp), or pictures FOLDER/%06d.png or .jpg; NAME.png or .jpg for a
        driving picture; or a folder for `SOURCE--DRIVING.mp4` (.png), created if it is missing.
      side_by_side: show the driving face (of a video or picture) and the source on the
        left of every frame.
      output_fps: frame rate, in frames per second; by default that of a source video, or
        else of the motion: for speech the driver's, 30 of a flow transformer and 25 of JoyVASA.
      template_out: file (.safetensors) to which the motion is saved as well, to drive
        other pictures by it.
      max_size: longest side of the video in pixels, to which a larger source is
        reduced; by default the source's.
      crf: constant rate factor of mp4, mkv (0: lossless) and webm, to 51; by default 18.
      encoder: H.264 encoder, of mp4 and mkv; `auto` is NVENC where it works.
    """

    # Relative to the folder the program is started in.
    output: Annotated[Path, arg(aliases=["-o", "--output-dir"], metavar="FILE|DIR")] = (
        Path("generated")
    )
    template_out: Annotated[Path | None, arg(metavar="FILE")] = None
    side_by_side: bool = False
    output_fps: float | None = None
    max_size: VideoSide | None = None
    crf: int | None = None
    encoder: Encoder = "auto"


def clip_name(source: str, driving: str, suffix: str = ".mp4") -> str:
    """Return a name for the clip of a picture and a recording.

    It has both names, so that one folder holds many clips. Where that is too long, each
    of them has at least half of the room.
    """
    room = MAX_NAME_BYTES - len(f"--{suffix}")
    half = room // 2
    driving = shorten(driving, max(half, room - len(os.fsencode(source))))
    source = shorten(source, room - len(os.fsencode(driving)))
    return f"{source}--{driving}{suffix}"


@dataclass(frozen=True)
class FaceDetection:
    """The face in the picture.

    Attributes:
      detector: face detector; `none` reads the whole picture as already cropped.
      detector_models: folder of detector model files (InsightFace, the face mesh, YuNet).
      face: number of the face to animate, 0 the largest, which is the default; or `all`.
      box: box around the face in pixels of the picture (left, top, width, height),
        for animals and other faces that no detector finds.
    """

    detector: DetectorName = "auto"
    detector_models: Annotated[Path | None, arg(metavar="DIR")] = None
    face: int | Literal["all"] | None = None
    box: Annotated[str | None, arg(metavar="X,Y,W,H")] = None

    @property
    def number(self) -> int | None:
        """Number of the only face that is animated."""
        return None if self.face == "all" else self.face

    def read_box(self) -> Box | None:
        """Return the numbers of the box.

        Raises:
          ValueError: they are not four numbers.
        """
        if self.box is None:
            return None
        try:
            left, top, width, height = map(float, self.box.split(","))
        except ValueError:
            raise ValueError(
                f"the box is {self.box}: pass left, top, width and height, as in --box 120,80,300,300"
            ) from None
        return left, top, width, height


@dataclass(frozen=True)
class DeviceOptions:
    """Device and precision.

    Attributes:
      platform: device to run on; `auto` is an accelerator if there is one.
      devices: number of the platform's devices that share the frames; by default all.
      dtype: number format of the frames' networks (motion is in bfloat16 unless this
        is float32); `auto` is float16 on a GPU, bfloat16 on a TPU, float32 on a CPU.
      batch_size: frames that a device renders at once; by default 8 on an accelerator,
        and on a CPU 1, or 4 with networks for small pictures.
      compilation_cache: folder in which compiled programs are kept between
        runs; `none` keeps none.
      warmup: only compile, into that cache, the programs for clips as long
        as --driving or shorter with these options; writes no video.
    """

    platform: Literal["auto", "cpu", "cuda", "tpu"] = "auto"
    devices: int | None = None
    dtype: DType = "auto"
    batch_size: int | None = None
    # A string, since `none` is no folder.
    compilation_cache: str | None = None
    warmup: bool = False


@dataclass(frozen=True)
class Options:
    """Animate a portrait with a speech recording.

    Attributes:
      input: picture, sound and networks.
      output: the video.
      sampling: generation of motion from sound.
      composition: use of the motion on the source.
      crop: the face in a driving video or picture.
      detection: the face in the picture.
      device: device and precision.
      debug: show the traceback of an error.
    """

    input: OmitArgPrefixes[Inputs] = field(default_factory=Inputs)
    output: OmitArgPrefixes[Output] = field(default_factory=Output)
    sampling: OmitArgPrefixes[DisallowNone[Sampling]] = field(default_factory=Sampling)
    # Stitching is a flag, though by default neither on nor off.
    composition: OmitArgPrefixes[DisallowNone[Retargeting]] = field(
        default_factory=Retargeting
    )
    crop: OmitArgPrefixes[DrivingCrop] = field(default_factory=DrivingCrop)
    detection: OmitArgPrefixes[FaceDetection] = field(default_factory=FaceDetection)
    device: OmitArgPrefixes[DeviceOptions] = field(default_factory=DeviceOptions)
    debug: bool = False

    def request(self) -> Request:
        """Return the clip that these options ask for."""
        return Request(
            source=self.input.source,
            driving=self.input.driving,
            output=self.clip_path(),
            driving_kind=self.input.driving_kind,
            head_from=self.input.head_from,
            crop=self.crop,
            lip_sync=self.input.lip_sync,
            audio_priority=self.input.audio_priority,
            face=self.detection.number,
            box=self.detection.read_box(),
            max_size=self.output.max_size,
            sampling=self.sampling,
            retargeting=self.retargeting(),
            template_out=self.output.template_out,
            side_by_side=self.output.side_by_side,
            output_fps=self.output.output_fps,
            crf=self.output.crf,
            encoder=self.output.encoder,
        )

    def retargeting(self) -> Retargeting:
        """Return the options of the source's motion.

        Raises:
          ValueError: an animal with the composition of people.
        """
        options = self.composition
        if not self.input.animal:
            return options
        if options.composition not in ("source", "animal"):
            raise ValueError(
                f"--animal and --composition {options.composition} exclude each other: leave out either"
            )
        return replace(options, composition="animal")

    def faces_request(self) -> FacesRequest | None:
        """Return the clip of all faces, where these options ask for it.

        Raises:
          ValueError: there are several driving files for one face.
        """
        # Files of other faces have no meaning for one.
        others = self.input.other_driving
        if self.detection.face == "all":
            return FacesRequest(self.request(), others)
        if others:
            raise ValueError(
                f"{others[0]} is to move another face, and one face moves: pass --face all"
            )
        return None

    def clip_path(self) -> Path:
        """Return the name of the clip.

        Raises:
          ValueError: --output ends in a suffix that is of no container.
        """
        target = self.output.output
        if has_suffix(target):
            return target
        if target.suffix and not target.is_dir():
            choices = ", ".join(f".{name}" for name in CONTAINERS)
            raise ValueError(
                f"{target} ends in {target.suffix}: clips end in {choices}; make the folder first if it is one"
            )
        driving = self.input.driving
        is_picture = makes_picture(driving, self.input.driving_kind)
        # Over a source video, a picture makes a clip too.
        is_picture &= not is_video(self.input.source)
        suffix = ".png" if is_picture else ".mp4"
        return target / clip_name(self.input.source.stem, driving.stem, suffix)

    def networks(self) -> Networks:
        """Return the networks and the face detector that these options name."""
        return choose_networks(
            self.input.checkpoint, self.device, self.detection, self.input.driver
        )


def choose_networks(
    checkpoint: Path,
    device: DeviceOptions,
    detection: FaceDetection,
    driver: str = AUTO_DRIVER,
) -> Networks:
    """Return the networks and the face detector that options name."""
    return Networks(
        checkpoint=checkpoint,
        driver=driver,
        dtype=device.dtype,
        batch_size=device.batch_size,
        devices=device.devices,
        detector=detection.detector,
        detector_models=detection.detector_models,
    )
