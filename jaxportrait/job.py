"""One job: from a request to a video file.

The command line, a batch, a page and a service all run jobs. A job prints nothing: it
reports stages, frames and warnings as events to a callback.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jax
import numpy as np
from jaxtyping import UInt8

from jaxportrait import demo
from jaxportrait.animation import (
    Animation,
    Portrait,
    Retargeting,
    Sampling,
)
from jaxportrait.animator import Animator, DType
from jaxportrait.checkpoint import DRIVER, Checkpoint, open_checkpoint
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.driving import Driving, DrivingKind, open_driving
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import MESH_REMEDY, DetectorName
from jaxportrait.media.image import read_image
from jaxportrait.media.write import (
    Encoder,
    Encoding,
    check_place,
    choose_container,
    final_place,
)
from jaxportrait.media.write.containers import H264
from jaxportrait.media.write.level import longest_side, passes_level
from jaxportrait.ranges import (
    BatchSize,
    Count,
    FrameRate,
    Natural,
    Quality,
    VideoSide,
    check_ranges,
)

COMPILE_EVENTS = (
    "/jax/core/compile/backend_compile_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
)
"""Events by which JAX reports the seconds of a compilation."""


@dataclass(frozen=True)
class Request:
    """One clip.

    Attributes:
      source: picture with a face.
      driving: speech recording, driving video, or file of motion.
      output: file to write, whose suffix decides the container, or `FOLDER/%06d.png`;
        its folder is created if it is missing.
      driving_kind: "audio" uses only the sound of a driving video.
      face: number of the face to animate, 0 the largest; by default that, with a
        warning where there are more.
      max_size: longest side of the video in pixels, to which a larger picture is
        reduced; None leaves the picture's size.
      sampling: options of motion generation.
      retargeting: options of the source's motion.
      output_fps: frames per second of the video; by default the motion's own rate.
      crf: constant rate factor of H.264, 0 (lossless) to 51.
      encoder: H.264 encoder.
    """

    source: Path
    driving: Path
    output: Path
    driving_kind: DrivingKind = "auto"
    face: Natural | None = None
    max_size: VideoSide | None = None
    sampling: Sampling = field(default_factory=Sampling)
    retargeting: Retargeting = field(default_factory=Retargeting)
    output_fps: FrameRate | None = None
    crf: Quality = 18
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
    """The networks and the face detector of a job; see `Animator.from_checkpoint`."""

    checkpoint: Path = demo.CHECKPOINT
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
          CheckpointError: there is no checkpoint, or it is damaged.
          ValueError: its networks cannot.
        """
        checkpoint = open_checkpoint(self.checkpoint)
        driver = checkpoint.drivers.get(DRIVER)
        moves_head = not driving.uses_driver
        if driver is not None and isinstance(driver.config, FlowDriverConfig):
            moves_head |= driver.config.moves_head
        retargeting.check(checkpoint.parts, moves_head=moves_head)
        return checkpoint

    def load(
        self, checkpoint: Checkpoint | None = None, *, driver: str | None = DRIVER
    ) -> Animator:
        """Load the networks, of the open checkpoint if there is one."""
        return Animator.from_checkpoint(
            checkpoint or self.checkpoint,
            driver=driver,
            dtype=self.dtype,
            batch_size=self.batch_size,
            devices=self.devices,
            detector=self.detector,
            detector_models=self.detector_models,
        )


@dataclass(frozen=True)
class StageStarted:
    """A stage begins.

    Attributes:
      frames: number of frames it will make; 0 for a stage that makes none.
    """

    name: str
    frames: int = 0


@dataclass(frozen=True)
class FrameDone:
    """One more frame of the stage is done.

    Attributes:
      done: frames done so far.
      total: frames of the stage.
    """

    done: int
    total: int


@dataclass(frozen=True)
class StageEnded:
    """A stage has ended without an error.

    Attributes:
      seconds: duration of the stage.
      compile_seconds: part of `seconds` that JAX spent compiling.
      frames: number of frames it made.
    """

    name: str
    seconds: float
    compile_seconds: float
    frames: int = 0


@dataclass(frozen=True)
class JobWarning:
    """A remark that does not stop the job.

    Attributes:
      kind: subject of the remark, for programs.
      message: one line for a user, with the remedy.
    """

    kind: Literal["networks", "detector", "faces", "sound", "level"]
    message: str


@dataclass(frozen=True)
class JobNote:
    """A choice that the job has made, in one line for a user."""

    message: str


Event = StageStarted | FrameDone | StageEnded | JobWarning | JobNote
Notify = Callable[[Event], None]
Stage = Callable[..., AbstractContextManager[None]]


def run_job(
    request: Request,
    networks: Networks | Animator,
    notify: Notify = lambda event: None,
) -> ClipFile:
    """Make the clip of a request, and return what was written.

    Checks that cost little come first, before networks are loaded. The file is written
    whole or not at all.

    Args:
      networks: an animator, or a description of one to load after the first checks.
      notify: called with every event, in the thread of the caller; it may raise to end
        the job, which then leaves no file.

    Raises:
      ValueError, OSError: the request cannot be fulfilled.
    """
    # All that can fail cheaply fails here.
    driving, image = read_inputs(request)
    fps = request.output_fps or driving.fps
    _send(notify, sound_warning(driving.audio))
    _send(notify, level_warning(request, image.shape, fps))
    if driving.summary:
        notify(JobNote(driving.summary))
    with time_stages(notify) as stage:
        if isinstance(networks, Networks):
            # Loading takes seconds, so known remarks come before.
            _send(notify, photograph_warning(request, networks))
            checkpoint = networks.open(request.retargeting, driving)
            driver = DRIVER if driving.uses_driver else None
            with stage("loading the networks"):
                animator = networks.load(checkpoint, driver=driver)
            if networks.detector == "auto":
                notify(JobNote(animator.detector.summary))
            _send(notify, detector_warning(request, networks, animator))
        else:
            animator = networks
        if driving.uses_driver:
            animator.check_retargeting(request.retargeting)
        with stage("encoding the source"):
            portrait = animator.prepare(image, face=request.face)
        _send(notify, faces_warning(request, portrait))
        _send(notify, uncertain_warning(portrait))
        with stage(driving.stage):
            animation = driving.animate(
                animator,
                portrait,
                sampling=request.sampling,
                retargeting=request.retargeting,
                output_fps=fps,
            )
        # Frames are made while the file is written.
        with stage("rendering", len(animation)):
            save(animation, request, notify)
        if isinstance(networks, Networks):
            # Again, where a user looks for the result.
            _send(notify, photograph_warning(request, networks))
    path = final_place(request.output)
    return ClipFile(path, animation.seconds, animation.size)


def read_inputs(request: Request) -> tuple[Driving, UInt8[np.ndarray, "h w 3"]]:
    """Open the driving file, read the picture, and check that the requested video can be written.

    Raises:
      ValueError, OSError: an input or an option is not usable.
    """
    container = choose_container(request.output)
    check_place(request.output)
    check_folder(final_place(request.output).parent)
    check_inputs_stay(request)
    driving = open_driving(request.driving, request.driving_kind)
    image = read_image(request.source, request.max_size)
    size = (image.shape[1], image.shape[0])
    Encoding.choose(
        container,
        size=size,
        fps=request.output_fps or driving.fps,
        crf=request.crf,
        encoder=request.encoder,
    )
    return driving, image


def check_folder(folder: Path) -> None:
    """Check that `folder` can be created and written to.

    Raises:
      OSError: it cannot.
    """
    path = folder.absolute()
    # The folder may be missing: what counts is the deepest one that exists.
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise OSError(
            f"{folder} cannot be written to ({nearest} is no folder or is protected): choose another folder"
        )


def check_inputs_stay(request: Request) -> None:
    """Raise a ValueError if the clip would replace a file that it is made of."""
    # A folder of pictures is replaced with all that is in it.
    place = final_place(request.output).resolve()
    for source in (request.source, request.driving):
        path = source.resolve()
        if place in (path, *path.parents):
            raise ValueError(
                f"{request.output} would replace {source}: choose another name for the output"
            )


def save(animation: Animation, request: Request, notify: Notify) -> None:
    """Write the video, with an event after every frame."""
    done = 0

    def report_frame() -> None:
        nonlocal done
        done += 1
        notify(FrameDone(done, len(animation)))

    # Only now, so that a refused job leaves no folder.
    final_place(request.output).parent.mkdir(parents=True, exist_ok=True)
    animation.save(
        request.output,
        crf=request.crf,
        encoder=request.encoder,
        on_frame=report_frame,
    )


def sound_warning(audio: Audio | None) -> JobWarning | None:
    """Warn of stretches of the recording that silence replaces."""
    if audio is None or not audio.flaw:
        return None
    message = f"{audio.path}: {audio.flaw}, use an intact copy if there is one"
    return JobWarning("sound", message)


def level_warning(
    request: Request, shape: tuple[int, ...], fps: float
) -> JobWarning | None:
    """Warn of a video that many players cannot show."""
    height, width = shape[:2]
    is_h264 = choose_container(request.output).pictures == H264
    if not is_h264 or not passes_level((width, height), fps):
        return None
    side = longest_side((width, height), fps)
    return JobWarning(
        "level",
        f"a video of {width}x{height} pixels at {fps:g} frames/s is beyond H.264's level 5.2, "
        f"and many players do not show it: limit its longest side to {side} by max_size",
    )


def photograph_warning(request: Request, networks: Networks) -> JobWarning | None:
    """Warn of a picture that the demo's networks were not trained for."""
    if networks.checkpoint != demo.CHECKPOINT or request.source == demo.PORTRAIT:
        return None
    return JobWarning(
        "networks",
        "the demo's networks know only drawn heads, and photographs come out smeared: use another checkpoint",
    )


def detector_warning(
    request: Request, networks: Networks, animator: Animator
) -> JobWarning | None:
    """Warn where only the Haar cascade is available, and say how to get the face mesh."""
    detector = animator.detector
    # The demo's own picture is found as well by the cascade.
    if request.source == demo.PORTRAIT or not detector.is_fallback:
        return None
    message = (
        "the Haar cascade frames faces less exactly than the face mesh, and misses rolled ones: "
        f"to get the mesh, {MESH_REMEDY}"
    )
    # A folder that was named should have held a better one.
    if networks.detector_models is not None:
        message += f" ({'; '.join(detector.passed_over)})"
    return JobWarning("detector", message)


def uncertain_warning(portrait: Portrait) -> JobWarning | None:
    """Warn of a face that the detector is not sure of."""
    if portrait.doubt is None:
        return None
    return JobWarning(
        "faces", f"{portrait.doubt}: look at the video, or use another picture"
    )


def faces_warning(request: Request, portrait: Portrait) -> JobWarning | None:
    """Warn of faces among which the largest was chosen."""
    if not portrait.passed_over or request.face is not None:
        return None
    count = portrait.passed_over + 1
    return JobWarning(
        "faces",
        f"{count} faces found, animating the largest: choose another with face=N",
    )


@contextmanager
def time_stages(notify: Notify) -> Iterator[Stage]:
    """Yield a function `stage(name, frames=0)` that times the block under it.

    Events report its start and its end, with the seconds of compilation apart.
    """
    with count_compile_seconds() as compile_seconds:

        @contextmanager
        def stage(name: str, frames: int = 0) -> Iterator[None]:
            notify(StageStarted(name, frames))
            start = time.perf_counter()
            compiled = compile_seconds()
            yield
            # Not reached after an error: the stage has not ended.
            seconds = time.perf_counter() - start
            notify(StageEnded(name, seconds, compile_seconds() - compiled, frames))

        yield stage


@contextmanager
def count_compile_seconds() -> Iterator[Callable[[], float]]:
    """Yield a function that returns the seconds JAX has spent compiling so far."""
    total = 0.0

    def count(event: str, duration_secs: float, **_: str | int) -> None:
        nonlocal total
        if event in COMPILE_EVENTS:
            total += duration_secs

    # Listeners are global, so every one must be removed.
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield lambda: total
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


def _send(notify: Notify, warning: JobWarning | None) -> None:
    if warning is not None:
        notify(warning)
