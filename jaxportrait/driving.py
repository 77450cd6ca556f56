"""The driving input of a clip: sound, a video, a picture or motion, as its content
tells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from jaxportrait.animation import Animation, AudioPriority, Retargeting, Sampling
from jaxportrait.animator import Animator
from jaxportrait.drivers.video import DrivingCrop, DrivingFace, Pictures
from jaxportrait.media.audio import Audio
from jaxportrait.media.demux import open_media, video_streams
from jaxportrait.media.image import holds_picture, read_image
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.file import is_motion_file, load_motion
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.motion.template import is_template, read_template
from jaxportrait.panels import place_side_by_side
from jaxportrait.pipeline.options import check_source_openness
from jaxportrait.portrait import AnyPortrait

DrivingKind = Literal["auto", "audio"]


@dataclass(frozen=True)
class ClipOptions:
    """Options of a clip, whatever drives it.

    Attributes:
      sampling: options of motion generation; only for sound.
      head: input whose motion moves all but the lips; only for sound.
      retargeting: options of the source's motion.
      output_fps: frames per second; None for those of a source video, or else of the
        motion.
      crop: the square that is cut out of driving pictures.
      keeps_openness: openness of eyes and lips is read with the motion, where the
        detector tells it.
      side_by_side: show the driving face and the source on the left of every frame.
      remark: called with a line for a user about the driving pictures.
      lip_sync: change only the mouth of a source video; by default where sound drives.
      audio_priority: the input whose sound is kept; see `Animator.drive`.
    """

    sampling: Sampling
    retargeting: Retargeting
    output_fps: float | None
    head: "DrivingMotion | DrivingPictures | None" = None
    crop: DrivingCrop = field(default_factory=DrivingCrop)
    keeps_openness: bool = False
    side_by_side: bool = False
    remark: Callable[[str], None] = lambda line: None
    lip_sync: bool | None = None
    audio_priority: AudioPriority = "driving"


class Driving(Protocol):
    """A driving input, opened: it moves the portrait of a clip.

    Attributes:
      audio: sound of the clip; None for a silent one.
      fps: rate of the clip, unless another is asked for.
      uses_driver: True where the checkpoint's driver makes the motion.
      is_still: one picture, which makes one picture.
      has_pictures: there are pictures, out of which a face is cropped.
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
    def is_still(self) -> bool: ...

    @property
    def has_pictures(self) -> bool: ...

    @property
    def summary(self) -> str: ...

    @property
    def stage(self) -> str: ...

    def animate(
        self, animator: Animator, portrait: AnyPortrait, options: ClipOptions
    ) -> Animation: ...


@dataclass(frozen=True)
class DrivingSound:
    """Speech, of which the checkpoint's driver makes motion."""

    audio: Audio
    summary: str = ""
    fps: float = MOTION_FPS
    uses_driver: bool = True
    is_still: bool = False
    has_pictures: bool = False

    @property
    def stage(self) -> str:
        return f"making motion of {self.audio.duration:.1f} s of sound"

    def animate(
        self, animator: Animator, portrait: AnyPortrait, options: ClipOptions
    ) -> Animation:
        head = None if options.head is None else options.head.motion(animator, options)
        animation = animator.animate(
            portrait,
            self.audio,
            sampling=options.sampling,
            head=head,
            retargeting=options.retargeting,
            output_fps=options.output_fps,
            lip_sync=options.lip_sync,
        )
        return _add_panels(animation, portrait, options)


@dataclass(frozen=True)
class DrivingMotion:
    """Motion of a file: of `save_motion`, or a template of LivePortrait."""

    clip: MotionClip
    audio: None = None
    summary: str = ""
    uses_driver: bool = False
    has_pictures: bool = False
    stage: str = "retargeting the motion"

    @property
    def is_still(self) -> bool:
        return len(self.clip) == 1

    @property
    def fps(self) -> float:
        return self.clip.fps

    def motion(self, animator: Animator, options: ClipOptions) -> MotionClip:
        return self.clip

    def animate(
        self, animator: Animator, portrait: AnyPortrait, options: ClipOptions
    ) -> Animation:
        animation = animator.drive(
            portrait,
            self.clip,
            retargeting=options.retargeting,
            output_fps=options.output_fps,
            lip_sync=bool(options.lip_sync),
            audio_priority=options.audio_priority,
        )
        return _add_panels(animation, portrait, options)


@dataclass(frozen=True)
class DrivingPictures:
    """A video or a picture, whose face moves the portrait; a video's sound is kept.

    Attributes:
      pictures: times and pictures, read again for every use.
    """

    pictures: Pictures
    fps: float
    audio: Audio | None = None
    summary: str = ""
    is_still: bool = False
    uses_driver: bool = False
    has_pictures: bool = True

    @property
    def stage(self) -> str:
        kind = "picture" if self.is_still else "video"
        return f"reading the motion of the {kind}"

    def motion(self, animator: Animator, options: ClipOptions) -> MotionClip:
        _, motion = self._read(animator, options)
        return motion

    def _read(
        self, animator: Animator, options: ClipOptions
    ) -> tuple[DrivingFace, MotionClip]:
        driver = animator.video_driver(
            self.fps, crop=options.crop, reads_openness=options.keeps_openness
        )
        face = driver.follow(self.pictures)
        if face.track.absences:
            options.remark(
                f"{face.track.absences} in the driving video, and the motion goes straight from before to after it"
            )
        return face, driver.read_face(face)

    def animate(
        self, animator: Animator, portrait: AnyPortrait, options: ClipOptions
    ) -> Animation:
        # Both before the pictures are read, which takes long.
        check_source_openness(options.retargeting, portrait.openness)
        if options.retargeting.retargets and not animator.detector.tells_openness:
            raise ValueError(
                f"the detector {animator.detector.name} does not tell how far the driving eyes and lips open: "
                "use a face detector with landmarks, such as mesh or insightface"
            )
        face, motion = self._read(animator, options)
        animation = animator.drive(
            portrait,
            motion,
            audio=self.audio,
            retargeting=options.retargeting,
            output_fps=options.output_fps,
            lip_sync=bool(options.lip_sync),
            audio_priority=options.audio_priority,
        )
        return _add_panels(animation, portrait, options, face)


def _add_panels(
    animation: Animation,
    portrait: AnyPortrait,
    options: ClipOptions,
    face: DrivingFace | None = None,
) -> Animation:
    """Return a clip beside the driving face, if there is one, and the source, where that
    is asked for."""
    if not options.side_by_side:
        return animation
    count = len(animation)
    # A source video is shown in the order of the clip.
    columns = [portrait.play(animation.fps, count).originals]
    if face is not None:
        columns.insert(0, partial(face.crops_at, animation.fps, count))
    return place_side_by_side(animation, columns)


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
    # Before PyAV, which plays a picture as a video of one frame.
    if holds_picture(path):
        return DrivingPictures([(0.0, read_image(path))], MOTION_FPS, is_still=True)
    with open_media(path) as container:
        has_pictures = bool(video_streams(container))
        has_sound = bool(container.streams.audio)
    if not has_pictures:
        return DrivingSound(Audio.open(path))
    return _open_video(path, has_sound)


def open_head(path: Path, driving: Driving) -> DrivingMotion | DrivingPictures:
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
    if isinstance(head, DrivingMotion | DrivingPictures) and not head.is_still:
        return head
    kind = "one picture" if head.is_still else "a sound"
    raise ValueError(f"{path} is {kind}: the head needs a video or a file of motion")


def makes_picture(path: Path, kind: DrivingKind = "auto") -> bool:
    """Return whether a driving file makes one picture: a picture, or motion of one
    frame.

    Raises:
      ValueError, OSError: it cannot be read.
    """
    if kind == "audio":
        return False
    # Only files of motion are opened: a video would be decoded.
    holds_motion = is_motion_file(path) or is_template(path)
    return open_driving(path).is_still if holds_motion else holds_picture(path)


def _open_video(path: Path, has_sound: bool) -> DrivingPictures:
    # A rate that the file does not state is 0.
    video = VideoReader(path)
    fps = float(video.fps) or MOTION_FPS
    audio = None
    if has_sound:
        # The clip begins with the first picture.
        audio = Audio.open(path, allow_video=True).since(video.start)
    summary = f"{path.name} drives by its picture"
    if audio is not None:
        summary += ', and its sound is kept (driving kind "audio" uses only its sound)'
    return DrivingPictures(video, fps, audio, summary)


def clip_seconds(driving: Driving) -> float:
    """Return the length of sound for which programs are compiled ahead.

    Raises:
      ValueError: the driving input is no sound.
    """
    if not isinstance(driving, DrivingSound):
        raise ValueError("only clips of sound are compiled ahead: choose a sound file")
    return driving.audio.duration
