"""The options of the page's program."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from infer.address import Address, Port
from infer.config import DeviceOptions
from infer.jobs import JobLimits
from infer.limits import UploadLimits
from infer.web.files import TOTAL_MEGABYTES
from jaxportrait.job import Networks
from jaxportrait.media.faces import DetectorName
from jaxportrait.ranges import Count, OptionError, Positive, check_ranges


@dataclass(frozen=True)
class PageAddress(Address):
    """The address of the page.

    Attributes:
      host: address to listen on; 0.0.0.0 lets other machines in.
      port: port to listen on; 0 is any free one.
      public_name: name by which people know the page, behind a proxy.
    """

    port: Port = 7860


@dataclass(frozen=True)
class Limits:
    """Limits of files and jobs.

    Attributes:
      most_megabytes: size of a file, in units of 2^20 bytes.
      most_seconds: duration of sound, video or motion.
      most_pixels: pixels of a picture, and of each frame of a video.
      total_megabytes: size of all files that people have added, in the same units.
      most_waiting: jobs that wait.
      keep_minutes: minutes after its last use at which a file is deleted.
    """

    most_megabytes: Positive = UploadLimits.megabytes
    most_seconds: Positive = UploadLimits.seconds
    most_pixels: Count = UploadLimits.pixels
    total_megabytes: Positive = TOTAL_MEGABYTES
    most_waiting: Count = JobLimits.waiting
    keep_minutes: Positive = 30.0

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.total_megabytes < self.most_megabytes:
            raise OptionError(
                f"total_megabytes is {self.total_megabytes:g}, less than one file of "
                f"{self.most_megabytes:g}: raise it, or lower most_megabytes"
            )

    @property
    def uploads(self) -> UploadLimits:
        return UploadLimits(self.most_megabytes, self.most_seconds, self.most_pixels)

    @property
    def jobs(self) -> JobLimits:
        # A result is kept as long as an upload.
        return JobLimits(waiting=self.most_waiting, expiry=60 * self.keep_minutes)


@dataclass(frozen=True)
class Options:
    """Show the web page.

    Attributes:
      checkpoint: folders of checkpoints to choose from, beside the demo's; the first is
        the default.
      detector: face detector; `none` reads whole pictures as already cropped.
      detector_models: folder of detector model files (InsightFace, the face mesh, YuNet).
      address: the address of the page.
      limits: limits of files and jobs.
      device: device and precision.
      debug: show the traceback of an error.
    """

    # The demo is always there, and needs no name.
    checkpoint: Annotated[tuple[Path, ...], arg(metavar="CKPT")] = ()
    detector: DetectorName = "auto"
    detector_models: Annotated[Path | None, arg(metavar="DIR")] = None
    address: OmitArgPrefixes[PageAddress] = field(default_factory=PageAddress)
    limits: OmitArgPrefixes[Limits] = field(default_factory=Limits)
    device: OmitArgPrefixes[DeviceOptions] = field(default_factory=DeviceOptions)
    debug: bool = False

    def networks(self) -> Networks:
        """Return the options that all models share."""
        return Networks(
            dtype=self.device.dtype,
            batch_size=self.device.batch_size,
            devices=self.device.devices,
            detector=self.detector,
            detector_models=self.detector_models,
        )
