"""The request of a job: its clip, its networks, and the file that it leaves."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jaxportrait import demo
from jaxportrait.animation import AudioPriority, Retargeting, Sampling
from jaxportrait.animator import Animator, DType
from jaxportrait.checkpoint import AUTO_DRIVER, Checkpoint, open_checkpoint
from jaxportrait.checkpoint.kinds import DriverConfig
from jaxportrait.drivers.base import makes_logits, original_composition
from jaxportrait.drivers.video import DrivingCrop
from jaxportrait.driving import Driving, DrivingKind
from jaxportrait.media.faces import DetectorName
from jaxportrait.media.faces.box import Box
from jaxportrait.media.write import Encoder
from jaxportrait.models.parts import RENDERER
from jaxportrait.ranges import (
    BatchSize,
    Count,
    FrameRate,
    Natural,
    Quality,
    VideoSide,
    check_ranges,
)


class PictureRequest(Protocol):
    """The fields that requests of all jobs have; see `Request`."""

    @property
    def source(self) -> Path: ...

    @property
    def face(self) -> int | None: ...

    @property
    def box(self) -> Box | None: ...

    @property
    def max_size(self) -> int | None: ...

    @property
    def output(self) -> Path: ...

    @property
    def crf(self) -> int | None: ...

    @property
    def encoder(self) -> Encoder: ...


@dataclass(frozen=True)
class Request:
    """One clip.

    Attributes:
      source: picture or video with a face.
      driving: speech recording, driving video or picture, or file of motion.
      output: file to write, whose suffix decides the container, or `FOLDER/%06d.png`;
        a driving picture makes a picture. Its folder is created if it is missing.
      driving_kind: "audio" uses only the sound of a driving video.
      head_from: video or file of motion that moves all but the lips of a clip that is
        driven by sound.
      crop: the square that is cut out of driving pictures.
      lip_sync: change only the mouth of a source video; by default where sound drives
        it.
      audio_priority: the input whose sound is kept, where both source and driving file
        are videos with sound.
      face: number of the face to animate, 0 the largest; by default that, with a
        warning where there are more.
      box: left, top, width and height in pixels of a box around the face, which is then
        not detected.
      max_size: longest side of the video in pixels, to which a larger source is
        reduced; None leaves the source's size.
      sampling: options of motion generation.
      retargeting: options of the source's motion.
      template_out: file to which the motion is saved as well; see `save_motion`.
      side_by_side: show the driving face and the source on the left of every frame.
      output_fps: frames per second of the video; by default those of a source video, or
        else the motion's own.
      crf: constant rate factor of videos, 0 (lossless in H.264) to 51; by default 18.
      encoder: H.264 encoder.
    """

    source: Path
    driving: Path
    output: Path
    driving_kind: DrivingKind = "auto"
    head_from: Path | None = None
    crop: DrivingCrop = field(default_factory=DrivingCrop)
    lip_sync: bool | None = None
    audio_priority: AudioPriority = "driving"
    face: Natural | None = None
    box: Box | None = None
    max_size: VideoSide | None = None
    sampling: Sampling = field(default_factory=Sampling)
    retargeting: Retargeting = field(default_factory=Retargeting)
    template_out: Path | None = None
    side_by_side: bool = False
    output_fps: FrameRate | None = None
    crf: Quality | None = None
    encoder: Encoder = "auto"

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class ClipFile:
    """A clip that has been written.

    Attributes:
      path: file, or folder of pictures.
      seconds: duration.
      size: width and height in pixels.
    """

    path: Path
    seconds: float
    size: tuple[int, int]


@dataclass(frozen=True)
class Networks:
    """The networks and the face detector of a job; see `Animator.from_checkpoint`.

    Attributes:
      driver: name of the checkpoint's driver that makes motion of sound; "auto" is its
        only one.
    """

    checkpoint: Path = demo.CHECKPOINT
    driver: str = AUTO_DRIVER
    dtype: DType = "auto"
    batch_size: BatchSize | None = None
    devices: Count | None = None
    detector: DetectorName = "auto"
    detector_models: Path | None = None

    def __post_init__(self) -> None:
        check_ranges(self)

    def open(self, retargeting: Retargeting, driving: Driving) -> Checkpoint:
        """Open the checkpoint, and check that it can be driven so.

        Raises:
          CheckpointError: there is no checkpoint, it is damaged, or it has not the driver.
          ValueError: its networks cannot, or there is nothing for the driver to do.
        """
        checkpoint = open_checkpoint(self.checkpoint)
        checkpoint.require(RENDERER)
        driver = self.driver_config(checkpoint, driving)
        moves_head = driver is None or driver.moves_head
        has_logits = False
        if driver is not None:
            retargeting = retargeting.of_driver(original_composition(driver))
            has_logits = makes_logits(driver)
        retargeting.check_logits(has_logits=has_logits)
        retargeting.check(checkpoint.parts, moves_head=moves_head)
        return checkpoint

    def driver_config(
        self, checkpoint: Checkpoint, driving: Driving
    ) -> DriverConfig | None:
        """Return the config of the driver that makes motion of sound; None for a driving
        input that is motion itself."""
        if not driving.uses_driver:
            if self.driver != AUTO_DRIVER:
                raise ValueError(
                    f"driver {self.driver} makes motion of sound, and other motion needs none: leave it out"
                )
            return None
        name = None if self.driver == AUTO_DRIVER else self.driver
        return checkpoint.driver(name).config

    def load(
        self, checkpoint: Checkpoint | None = None, *, uses_driver: bool = True
    ) -> Animator:
        """Load the networks, of the open checkpoint if there is one.

        Args:
          uses_driver: load the driver as well.
        """
        driver = self.driver if uses_driver else None
        return Animator.from_checkpoint(
            checkpoint or self.checkpoint,
            driver=driver,
            dtype=self.dtype,
            batch_size=self.batch_size,
            devices=self.devices,
            detector=self.detector,
            detector_models=self.detector_models,
        )
