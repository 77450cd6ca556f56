"""Options and results of an animator: sampling and clips."""

import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Literal, Protocol, TypeVar

import numpy as np
from jaxtyping import Float

from jaxportrait.drivers.base import emotion_names, frame_count, has_face
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import Audio, mix_audio
from jaxportrait.media.rates import exact_rate
from jaxportrait.media.write import Encoder, VideoWriter, check_count, find_container
from jaxportrait.motion.clip import MotionClip
from jaxportrait.pipeline.options import Retargeting as Retargeting
from jaxportrait.portrait import Frame, Portrait, hold_last, paste_in_turn
from jaxportrait.ranges import FrameRate, OptionError, Seed, check_value
from jaxportrait.renderer import Renderer

T = TypeVar("T")
AudioPriority = Literal["driving", "source"]
"""The input whose sound a clip keeps."""


@dataclass(frozen=True)
class Sampling(MotionSampling):
    """Options of a driver: those of sampling, and a seed.

    Attributes:
      seed: decides everything: the same seed gives the same frames.
      natural_motion: add blinks and slight turns of the head to a driver that moves only
        the lips.
    """

    seed: Seed = 0
    natural_motion: bool = False

    def check_natural(
        self,
        *,
        moves_head: bool,
        head: bool,
        retargeting: Retargeting,
        is_video: bool = False,
    ) -> None:
        """Raise an OptionError if natural motion was asked for and has no place.

        Args:
          moves_head: whether the driver moves the head.
          head: whether the head is another clip's.
          is_video: whether the source is a video.
        """
        if not self.natural_motion:
            return
        # The first reason that applies is told.
        reason = ""
        if moves_head:
            reason = "the driver moves the head already"
        elif is_video:
            reason = "the head of a source video moves already"
        elif head:
            reason = "another file moves the head already"
        elif retargeting.region == "lips":
            reason = "only the region lips moves"
        elif retargeting.composition == "original":
            reason = 'composition "original" moves only lips'
        elif not retargeting.relative_motion:
            reason = "natural motion counts from the source's own"
        if reason:
            raise OptionError(f"{reason}: leave out natural motion")

    def check_clip(
        self,
        driver: Any,
        *,
        head: bool,
        retargeting: Retargeting,
        is_video: bool,
        lip_sync: bool | None,
    ) -> None:
        """Raise an OptionError for an option that has no place in a clip.

        Args:
          driver: the driver, or its config.
          head: whether the head is another clip's.
          is_video: whether the source is a video.
          lip_sync: whether only its mouth changes; by default for every video.
        """
        self.check_natural(
            moves_head=driver.moves_head,
            head=head,
            retargeting=retargeting,
            is_video=is_video,
        )
        self.check_face(has_face=has_face(driver), emotion_names=emotion_names(driver))
        if self.condition == "source" and is_video:
            raise OptionError(
                'condition "source" is for pictures, and the source is a video: leave it out'
            )
        if self.blinks == "model":
            return
        eyes = ("all", "expression", "eyes")
        if head:
            raise OptionError("another file moves the eyes already: leave out blinks")
        if is_video if lip_sync is None else lip_sync:
            raise OptionError("lip_sync leaves the eyes to the video: leave out blinks")
        if retargeting.region not in eyes:
            raise OptionError(
                f"the region {retargeting.region} has no eyes: leave out blinks"
            )


class MakeFrames(Protocol):
    """Makes all frames of a clip in order; `finish` is applied to each in the thread
    that has made it."""

    def __call__(self, finish: Callable[[Frame], T]) -> Iterator[T]: ...


@dataclass(frozen=True)
class Animation:
    """A clip whose frames are made while they are iterated over, in bounded memory.

    Attributes:
      size: width and height.
      fps: frames a second.
      audio: sound of the clip; None for a silent one.
      motion: motion of every frame, before retargeting.
      keypoints: driving keypoints of every frame.
      make_frames: makes the frames.
    """

    size: tuple[int, int]
    fps: float
    audio: Audio | None
    motion: MotionClip
    keypoints: Float[np.ndarray, "frames k 3"]
    make_frames: MakeFrames

    def __len__(self) -> int:
        return len(self.keypoints)

    def __repr__(self) -> str:
        width, height = self.size
        return (
            f"Animation({len(self)} frames of {width}x{height}, {self.fps:g} a second)"
        )

    def _repr_html_(self) -> str:
        """Return the clip for a notebook: the whole mp4 is within the page."""
        file = BytesIO()
        self.save(file, format="mp4")
        data = b64encode(file.getvalue()).decode()
        width, height = self.size
        return (
            f'<video controls width="{width}" height="{height}" '
            f'src="data:video/mp4;base64,{data}"></video>'
        )

    @property
    def seconds(self) -> float:
        """Duration of the clip."""
        return len(self) / self.fps

    def __iter__(self) -> Iterator[Frame]:
        return self.make_frames(lambda frame: frame)

    def save(
        self,
        target: str | Path | BinaryIO,
        *,
        format: str | None = None,
        crf: int | None = None,
        encoder: Encoder = "auto",
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the clip, whole or not at all.

        The suffix decides how: .mp4, .mkv and .webm hold the sound as well, .gif and
        .webp do not; `FOLDER/%06d.png` or `.jpg` makes a folder of pictures, and
        `NAME.png` or `.jpg` a picture of a clip with one frame.

        Args:
          target: path to write to, where an earlier clip is replaced; or a binary file
            object, which gets the clip once it is complete.
          format: suffix that a clip in a file object would have; a path has its own.
          crf: constant rate factor of videos, 0 (lossless in H.264) to 51; by default
            18. Other clips have none.
          encoder: H.264 encoder, for mp4 and mkv.
          on_frame: called after each frame.

        Raises:
          ValueError: an unknown suffix or format, or options that do not fit it.
          OSError: the target cannot be written to.
        """
        if isinstance(target, str | Path):
            path = Path(target)
            if format not in (None, path.suffix.removeprefix(".")):
                raise ValueError(
                    f"format {format!r} does not fit {path}, whose suffix decides"
                )
            self._save_file(path, crf, encoder, on_frame)
            return
        suffix = check_stream_format(format)
        # Containers are not written from their start to their end.
        with TemporaryDirectory(prefix="jaxportrait-") as folder:
            path = Path(folder, f"clip.{suffix}")
            self._save_file(path, crf, encoder, on_frame)
            with path.open("rb") as file:
                shutil.copyfileobj(file, target)

    def _save_file(
        self,
        path: Path,
        crf: int | None,
        encoder: Encoder,
        on_frame: Callable[[], None],
    ) -> None:
        # Before the first frame, which takes seconds.
        check_count(path, len(self))
        with VideoWriter(
            path,
            size=self.size,
            fps=self.fps,
            audio=self.audio,
            crf=crf,
            encoder=encoder,
        ) as writer:
            # Colours are converted in the threads that paste, not in this one.
            for picture in self.make_frames(writer.convert):
                writer.append(picture)
                on_frame()


def usable_rate(output_fps: float) -> float:
    """Return the exact rate of a clip, such as 30000/1001 for 29.97.

    Raises:
      ValueError: clips cannot be made at so many frames a second.
    """
    check_value("output_fps", output_fps, FrameRate)
    return float(exact_rate(output_fps))


def choose_rate(
    output_fps: float | None, source_fps: float | None, motion_fps: float
) -> float:
    """Return the exact rate of a clip: the one asked for, or that of a source video, or
    else the motion's.

    Raises:
      ValueError: clips cannot be made at so many frames a second.
    """
    for fps in (output_fps, source_fps):
        if fps is not None:
            return usable_rate(fps)
    return usable_rate(motion_fps)


def choose_sound(
    source: Audio | None, driving: Audio | None, priority: AudioPriority
) -> Audio | None:
    """Return the sound of a clip; that of the other where the preferred has none.

    Source: LivePortrait, `audio_priority`.
    """
    if priority == "source":
        return source or driving
    return driving or source


def match_length(
    motion: MotionClip, fps: float, most_frames: int | None
) -> tuple[MotionClip, int]:
    """Return motion at another rate, and the frames of the clip.

    Args:
      most_frames: frames of a source video, which a clip does not exceed; motion of one
        frame is held over all of them.
    """
    if most_frames is None:
        count = frame_count(len(motion) / motion.fps, fps)
        return motion.resample(fps, count), count
    if len(motion) == 1:
        return motion, most_frames
    count = min(most_frames, frame_count(len(motion) / motion.fps, fps))
    return motion.resample(fps, count), count


def check_stream_format(format: str | None) -> str:
    """Return the suffix of a clip in a file object.

    Raises:
      ValueError: none was chosen, or one of a folder.
    """
    if format is None:
        raise ValueError('a file object has no suffix: choose a format, such as "mp4"')
    if find_container(format).is_folder:
        raise ValueError(
            f"format {format!r} is a folder of pictures: save it to a path"
        )
    return format


def frame_counts(seconds: float, output_fps: float, fps: float) -> tuple[int, int]:
    """Return how many frames a clip has, and how many of motion it is resampled from.

    Args:
      seconds: length of the sound.
      output_fps: rate of the clip.
      fps: rate of the driver's motion.
    """
    count = frame_count(seconds, output_fps)
    return count, int(np.ceil((count - 1) * fps / output_fps)) + 1


def check_together(
    portraits: Sequence[Portrait], animations: Sequence[Animation]
) -> None:
    """Raise a ValueError unless each face has a clip, and all clips one rate."""
    if not portraits or len(portraits) != len(animations):
        raise ValueError(
            f"there are {len(portraits)} faces and {len(animations)} clips: pass one clip a face"
        )
    rates = {animation.fps for animation in animations}
    if len(rates) > 1:
        names = ", ".join(f"{rate:g}" for rate in sorted(rates))
        raise ValueError(f"the clips have {names} frames a second: make them at one")


def combine(
    portraits: Sequence[Portrait],
    animations: Sequence[Animation],
    renderer: Renderer,
) -> Animation:
    """Return one clip in which several faces of a picture move; see
    `Animator.combine`."""
    check_together(portraits, animations)
    longest = max(animations, key=len)
    keypoints = [
        hold_last(animation.keypoints, len(longest)) for animation in animations
    ]
    sounds = [
        animation.audio for animation in animations if animation.audio is not None
    ]
    make_frames = partial(paste_in_turn, portraits, renderer, keypoints)
    audio = mix_audio(sounds) if sounds else None
    return replace(longest, audio=audio, make_frames=make_frames)
