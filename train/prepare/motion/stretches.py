"""Stretches of a clip: parts that show the face and have sound, on the frames' clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, UInt8

from jaxportrait.media.crop import FaceRectangle, crop_face, network_input
from jaxportrait.media.track import Part
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.space import MOTION_FPS
from train.data.records import WINDOW_FRAMES, WINDOW_STEP
from train.prepare.motion.timeline import common_frames, motion_at
from train.prepare.quality.lips import LipReader
from train.prepare.quality.movement import MovementMeter
from train.prepare.quality.shots import longest_shot
from train.prepare.quality.view import View


@dataclass(frozen=True)
class Stretch:
    """A part of a clip that shows the face and has sound.

    Attributes:
      first: number of its first picture.
      times: seconds of its pictures on the file's clock.
      at: seconds of its frames on that clock.
      frames: numbers of its frames, 30 a second from the sound's start.
      rectangle: the square that holds the face.
    """

    first: int
    times: Float64[np.ndarray, " pictures"]
    at: Float64[np.ndarray, " frames"]
    frames: Int[np.ndarray, " frames"]
    rectangle: FaceRectangle

    @property
    def count(self) -> int:
        """Number of its pictures."""
        return len(self.times)

    @property
    def part(self) -> Part:
        return float(self.times[0]), float(self.times[-1])

    def span(self, start: int) -> tuple[int, int]:
        """Return its frames in a record that begins at frame `start`."""
        return int(self.frames[0]) - start, int(self.frames[-1]) + 1 - start


@dataclass(frozen=True)
class Reading:
    """Values read from the pictures of stretches.

    Attributes:
      motion: packed motion of every stretch's pictures.
      faces: mean canonical keypoints of every stretch.
      lips: lips of all pictures, by the face mesh.
      pictures: a few crops.
    """

    motion: Sequence[Float32[np.ndarray, "pictures 70"]]
    faces: Sequence[Float[np.ndarray, "k 3"]]
    lips: LipReader
    pictures: Sequence[UInt8[np.ndarray, "s s 3"]]


def find_stretches(
    scene: View, sound_start: float, sound_seconds: float
) -> list[Stretch]:
    """Return the stretches of a clip's shots, in order.

    Args:
      scene: shots of the clip.
      sound_start: start of the sound on the file's clock.
      sound_seconds: length of the sound.

    Raises:
      ValueError: no part has a second of pictures with sound.
    """
    stretches: list[Stretch] = []
    errors: dict[tuple[int, Part], ValueError] = {}
    for shot in scene.shots:
        for part in shot.track.parts:
            shown = np.flatnonzero(shot.track.shows([part]))
            times = shot.track.times[shown]
            try:
                frames = common_frames(times, sound_start, sound_seconds)
            except ValueError as error:
                # by identity: a shot holds arrays, which have no hash
                errors[id(shot), part] = error
                continue
            at = sound_start + frames / MOTION_FPS
            rectangle = shot.track.rectangle
            # number in the shot -> number in the file
            first = int(shown[0]) + shot.start
            stretches.append(Stretch(first, times, at, frames, rectangle))
    if not stretches:
        raise _explain(scene, errors)
    return _apart(stretches)


def _explain(scene: View, errors: Mapping[tuple[int, Part], ValueError]) -> ValueError:
    """Return the error of the longest part, with the times of absences."""
    shot = longest_shot(scene.shots)
    error = errors[id(shot), shot.track.longest_part]
    absences = scene.absences
    return ValueError(f"{error} ({absences})" if absences else str(error))


def _apart(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return stretches that share no frame: those at a cut may meet in one."""
    apart: list[Stretch] = []
    for stretch in stretches:
        frames = stretch.frames
        while apart and frames[0] <= apart[-1].frames[-1]:
            # by threes: a feature still starts with the stretch
            frames = frames[WINDOW_STEP:]
            if len(frames) < WINDOW_FRAMES:
                break
        if len(frames) >= WINDOW_FRAMES:
            skipped = len(stretch.frames) - len(frames)
            apart.append(replace(stretch, frames=frames, at=stretch.at[skipped:]))
    return apart


def crop_stretches(
    video: VideoReader,
    stretches: Sequence[Stretch],
    size: int,
    lips: LipReader,
    meter: MovementMeter,
) -> Iterator[UInt8[np.ndarray, "size size 3"]]:
    """Yield the crops of the stretches' pictures, one stretch after the other; their
    lips and movement are read as they pass."""
    remaining = list(stretches)
    for index, (seconds, picture) in enumerate(video):
        while remaining and index >= remaining[0].first + remaining[0].count:
            remaining.pop(0)
            meter.begin_shot()
            lips.begin_shot()
        if not remaining or index < remaining[0].first:
            continue
        rectangle = remaining[0].rectangle
        crop = network_input(crop_face(picture, rectangle), size)
        lips.read(seconds, picture, rectangle)
        meter.add(seconds, crop)
        yield crop


def join_motion(
    stretches: Sequence[Stretch], motion: Sequence[Float32[np.ndarray, "pictures 70"]]
) -> Float32[np.ndarray, "frames 70"]:
    """Return motion at the frames of stretches; the frames between them, which are not
    used, hold the last one before."""
    rows = []
    end = int(stretches[0].frames[0])
    for stretch, values in zip(stretches, motion, strict=True):
        gap = int(stretch.frames[0]) - end
        if gap:
            # the first stretch has no gap, so a row precedes this one
            rows.append(np.repeat(rows[-1][-1:], gap, axis=0))
        rows.append(motion_at(values, stretch.times, stretch.at))
        end = int(stretch.frames[-1]) + 1
    return np.concatenate(rows)


def face_distance(
    face: Float[np.ndarray, "k 3"], other: Float[np.ndarray, "k 3"]
) -> float:
    """Return how much two faces' canonical keypoints differ, in sizes of a face: root
    mean squares of distances from each other, and from their centre."""
    difference = np.sqrt(np.square(face - other).sum(axis=1).mean())
    size = np.sqrt(np.square(other - other.mean(axis=0)).sum(axis=1).mean())
    return float(difference / max(float(size), 1e-6))


def describe_part(part: Part) -> str:
    """Return a phrase for the times of a part."""
    start, stop = part
    return f"from {start:.2f} to {stop:.2f} s the clip"
