"""The options of the live service."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import DisallowNone, OmitArgPrefixes, arg

from infer.address import Address, Port
from infer.config import DeviceOptions, FaceDetection, choose_networks
from infer.jobs import JobLimits
from infer.limits import UploadLimits
from infer.serve.app import ServerLimits
from infer.serve.avatar import LiveOptions
from infer.serve.connection import SessionLimits
from jaxportrait import demo
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.checkpoint import AUTO_DRIVER
from jaxportrait.job import Networks
from jaxportrait.ranges import Count, Positive, VideoSide, check_ranges

TOKEN_VARIABLE = "JAXPORTRAIT_TOKEN"


@dataclass(frozen=True)
class Inputs:
    """Portrait and networks; each is the demo's by default.

    Attributes:
      source: picture with a face, for sessions and jobs that bring none.
      checkpoint: networks, written by `python -m convert_weights` or `python -m
        train.export`.
      driver: driver of the checkpoint that makes motion of speech, where it has
        several; `auto` is its only one.
      max_size: longest side of the frames of sessions in pixels, to which a larger
        picture is reduced.
    """

    source: Annotated[Path, arg(aliases=["-s"], metavar="IMAGE")] = demo.PORTRAIT
    checkpoint: Annotated[Path, arg(metavar="CKPT")] = demo.CHECKPOINT
    driver: Annotated[str, arg(metavar="NAME")] = AUTO_DRIVER
    max_size: VideoSide = 512


@dataclass(frozen=True)
class Server(Address):
    """Address and access.

    Attributes:
      host: address to listen on; 0.0.0.0 is every network of this machine.
      port: port to listen on; 0 is a free one.
      public_name: name by which clients know the server, behind a proxy.
      token: bearer token that clients need, by default that of the environment variable
        JAXPORTRAIT_TOKEN, which other users of the machine do not see.
    """

    port: Port = 8765
    token: Annotated[str | None, arg(metavar="TOKEN")] = None

    # Never a part of error messages or logs.
    def read_token(self) -> str | None:
        """Return the token; an empty one is none."""
        return self.token or os.environ.get(TOKEN_VARIABLE) or None


@dataclass(frozen=True)
class Limits:
    """Limits of sessions, files and jobs.

    Attributes:
      slots: live sessions at once.
      ahead: seconds of sound that a client may be ahead of its frames.
      session_seconds: longest session.
      quiet_seconds: longest time without sound from a session's client.
      upload_megabytes: largest file, in units of 2^20 bytes.
      upload_seconds: longest sound, video or motion.
      upload_pixels: pixels of the largest picture.
      jobs: jobs that wait.
      jobs_each: jobs of one client that wait.
      job_expiry: seconds for which a result is kept.
    """

    slots: Count = 2
    ahead: Positive = 4.0
    session_seconds: Positive = 3600.0
    quiet_seconds: Positive = 300.0
    upload_megabytes: Positive = 100.0
    upload_seconds: Positive = 300.0
    upload_pixels: Count = 4096 * 4096
    jobs: Count = 32
    jobs_each: Count = 8
    job_expiry: Positive = 900.0

    def __post_init__(self) -> None:
        check_ranges(self)

    def limits(self) -> ServerLimits:
        """Return these limits by what they limit."""
        sessions = SessionLimits(
            self.slots, self.ahead, self.session_seconds, self.quiet_seconds
        )
        uploads = UploadLimits(
            self.upload_megabytes, self.upload_seconds, self.upload_pixels
        )
        jobs = JobLimits(self.jobs, self.jobs_each, self.job_expiry)
        return ServerLimits(sessions, uploads, jobs)


@dataclass(frozen=True)
class Options:
    """Serve a portrait that speaks.

    Attributes:
      input: portrait and networks.
      server: address and access.
      live: live motion.
      limits: limits of sessions, files and jobs.
      sampling: generation of motion from sound, in sessions.
      composition: use of the motion on the portrait, in sessions.
      detection: the face in the picture.
      device: device and precision.
      debug: show the traceback of an error.
    """

    input: OmitArgPrefixes[Inputs] = field(default_factory=Inputs)
    server: OmitArgPrefixes[DisallowNone[Server]] = field(default_factory=Server)
    live: OmitArgPrefixes[DisallowNone[LiveOptions]] = field(
        default_factory=LiveOptions
    )
    limits: OmitArgPrefixes[Limits] = field(default_factory=Limits)
    sampling: OmitArgPrefixes[Sampling] = field(default_factory=Sampling)
    # Stitching is a flag, though by default neither on nor off.
    composition: OmitArgPrefixes[DisallowNone[Retargeting]] = field(
        default_factory=Retargeting
    )
    detection: OmitArgPrefixes[FaceDetection] = field(default_factory=FaceDetection)
    device: OmitArgPrefixes[DeviceOptions] = field(default_factory=DeviceOptions)
    debug: bool = False

    def networks(self) -> Networks:
        """Return the networks and the face detector that these options name."""
        return choose_networks(
            self.input.checkpoint, self.device, self.detection, self.input.driver
        )
