"""The driving input of a clip: sound, a video, or motion, as its content tells."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from jaxportrait.animation import Animation, Portrait, Retargeting, Sampling
from jaxportrait.animator import Animator
from jaxportrait.media.audio import Audio
from jaxportrait.media.demux import open_media, video_streams
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.file import is_motion_file, load_motion
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.motion.template import is_template, read_template

DrivingKind = Literal["auto", "audio"]


@dataclass(frozen=True)
class ClipOptions:
    """Options of a clip, whatever drives it.

    Attributes:
      sampling: options of motion generation; only for sound.
      head: input whose motion moves all but the lips; only for sound.
      retargeting: options of the source's motion.
      output_fps: frames per second.
    """

    sampling: Sampling
    retargeting: Retargeting
    output_fps: float
    head: "DrivingMotion | DrivingVideo | None" = None


class Driving(Protocol):
    """A driving input, opened: it moves the portrait of a clip.

    Attributes:
      audio: sound of the clip; None for a silent one.
      fps: rate of the clip, unless another is asked for.
      uses_driver: True where the checkpoint's driver makes the motion.
      summary: a line for a user about what is used of the file; may be empty.
      stage: the name of the making of motion.
    """

    @property
    def audio(self) -> Audio | None: ...

    @property
    def fps(self) -> float: ...

    @property
    def uses_driver(self) -> bool: ...

    @property
    def summary(self) -> str: ...

    @property
    def stage(self) -> str: ...

    def animate(
        self, animator: Animator, portrait: Portrait, options: ClipOptions
    ) -> Animation: ...


@dataclass(frozen=True)
class DrivingSound:
    """Speech, of which the checkpoint's driver makes motion."""

    audio: Audio
    summary: str = ""
    fps: float = MOTION_FPS
    uses_driver: bool = True

    @property
    def stage(self) -> str:
        return f"making motion of {self.audio.duration:.1f} s of sound"

    def animate(
        self, animator: Animator, portrait: Portrait, options: ClipOptions
    ) -> Animation:
        head = None if options.head is None else options.head.motion(animator)
        return animator.animate(
            portrait,
            self.audio,
            sampling=options.sampling,
            head=head,
            retargeting=options.retargeting,
            output_fps=options.output_fps,
        )


@dataclass(frozen=True)
class DrivingMotion:
    """Motion of a file: of `save_motion`, or a template of LivePortrait."""

    clip: MotionClip
    audio: None = None
    summary: str = ""
    uses_driver: bool = False
    stage: str = "retargeting the motion"

    @property
    def fps(self) -> float:
        return self.clip.fps

    def motion(self, animator: Animator) -> MotionClip:
        return self.clip

    def animate(
        self, animator: Animator, portrait: Portrait, options: ClipOptions
    ) -> Animation:
        return animator.drive(
            portrait,
            self.clip,
            retargeting=options.retargeting,
            output_fps=options.output_fps,
        )


@dataclass(frozen=True)
class DrivingVideo:
    """A video, whose face moves the portrait, and whose sound is kept."""

    path: Path
    fps: float
    audio: Audio | None
    summary: str
    uses_driver: bool = False
    stage: str = "reading the motion of the video"

    def motion(self, animator: Animator) -> MotionClip:
        return animator.read_motion(self.path, self.fps)

    def animate(
        self, animator: Animator, portrait: Portrait, options: ClipOptions
    ) -> Animation:
        return animator.drive(
            portrait,
            self.motion(animator),
            audio=self.audio,
            retargeting=options.retargeting,
            output_fps=options.output_fps,
        )


def open_driving(path: Path, kind: DrivingKind = "auto") -> Driving:
    """Open a driving file, whose content tells what it is.

    Args:
      kind: "audio" uses only the sound of a video.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError, OSError: it cannot be read, or cannot drive.
    """
    # Files of motion first: PyAV would try to play them.
    if is_motion_file(path):
        return DrivingMotion(load_motion(path))
    if is_template(path):
        return DrivingMotion(read_template(path))
    if kind == "audio":
        return DrivingSound(Audio.open(path, allow_video=True))
    with open_media(path) as container:
        has_pictures = bool(video_streams(container))
        has_sound = bool(container.streams.audio)
    if not has_pictures:
        return DrivingSound(Audio.open(path))
    return _open_video(path, has_sound)


def open_head(path: Path, driving: Driving) -> DrivingMotion | DrivingVideo:
    """Open the file whose motion moves all but the lips.

    Args:
      driving: the driving input, which makes the lips' motion.

    Raises:
      ValueError: the driving input is no sound, or the file is one.
      OSError: it cannot be read.
    """
    if not driving.uses_driver:
        raise ValueError(
            "only sound leaves the head to another file: drive by a sound, or leave out that file"
        )
    head = open_driving(path)
    if isinstance(head, DrivingMotion | DrivingVideo):
        return head
    raise ValueError(f"{path} is a sound: the head needs a video or a file of motion")


def _open_video(path: Path, has_sound: bool) -> DrivingVideo:
    # A rate that the file does not state is 0.
    fps = float(VideoReader(path).fps) or MOTION_FPS
    audio = Audio.open(path, allow_video=True) if has_sound else None
    summary = f"{path.name} drives by its picture"
    if audio is not None:
        summary += ', and its sound is kept (driving kind "audio" uses only its sound)'
    return DrivingVideo(path, fps, audio, summary)


def clip_seconds(driving: Driving) -> float:
    """Return the length of sound for which programs are compiled ahead.

    Raises:
      ValueError: the driving input is no sound.
    """
    if not isinstance(driving, DrivingSound):
        raise ValueError("only clips of sound are compiled ahead: choose a sound file")
    return driving.audio.duration
