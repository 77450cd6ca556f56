"""The two regressors that read heads, learnt from truth frames of the people that a
checkpoint was trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, NoFaceError
from train.data.clips import Clip
from train.data.landmarks import LEFT_EYE, MOUTH
from train.evaluate.speech.heads import (
    Region,
    TrueMotion,
    cut_region,
    find_face,
    pictures_of,
    read_motion_truth,
    read_points,
    region_around,
    relative_points,
)
from train.evaluate.speech.regressor import (
    PATCH_SIDE,
    STEPS,
    Patches,
    Reader,
    train_reader,
)

READ = {"opening": MOUTH, "blink": LEFT_EYE}
"""Values that are read, named as in the truth file -> groups of landmarks where."""

Regions = Mapping[str, Region]


@dataclass(frozen=True)
class Reading:
    """Values of every frame of a video, read or true."""

    opening: Float[np.ndarray, " f"]
    blink: Float[np.ndarray, " f"]


@dataclass(frozen=True)
class Readers:
    """A regressor each for the opening of the mouth and the blinking of the eyes.

    Attributes:
      regions: square of the face that each regressor reads.
    """

    opening: Reader
    blink: Reader
    regions: Regions

    def read(self, video: Path, box: FaceRectangle) -> Reading:
        """Read every frame of a video whose face is in `box`."""
        patches = cut_patches(video, box, self.regions)
        return Reading(self.opening(patches["opening"]), self.blink(patches["blink"]))


@dataclass(frozen=True)
class Lesson:
    """A training clip: its true motion, and the box of its face."""

    clip: Clip
    truth: TrueMotion
    box: FaceRectangle


def cut_patches(
    video: Path, box: FaceRectangle, regions: Regions
) -> dict[str, Patches]:
    """Cut the regions out of every frame."""
    pictures = pictures_of(video)
    patches = {}
    for name, region in regions.items():
        cuts = [cut_region(picture, box, region, PATCH_SIDE) for picture in pictures]
        patches[name] = np.stack(cuts)
    return patches


def train_readers(
    clips: Iterable[Clip], detector: Detector, *, steps: int = STEPS
) -> Readers:
    """Learn from the truth frames of clips; those without a steady face are left out.

    Raises:
      NoFaceError: there is none in any of them.
      ValueError, OSError: a clip or its truth cannot be read.
    """
    lessons = list(_lessons(clips, detector))
    if not lessons:
        raise NoFaceError(
            f"the {detector.name} detector finds a steady face in none of the training clips"
        )
    # held-out heads are read where training heads have their lips and lids
    regions = learn_regions(lessons)
    patches: dict[str, list[Patches]] = {name: [] for name in READ}
    values: dict[str, list[np.ndarray]] = {name: [] for name in READ}
    for lesson in lessons:
        cuts = cut_patches(lesson.clip.video, lesson.box, regions)
        for name in READ:
            patches[name].append(cuts[name])
            values[name].append(getattr(lesson.truth, name))
    readers = {}
    for name in READ:
        shown = np.concatenate(patches[name])
        readers[name] = train_reader(shown, np.concatenate(values[name]), steps=steps)
    return Readers(**readers, regions=regions)


def _lessons(clips: Iterable[Clip], detector: Detector) -> Iterable[Lesson]:
    for clip in clips:
        truth = read_motion_truth(clip)
        try:
            # a head that turns away too far is no lesson
            box = find_face(clip.video, detector)
        except NoFaceError:
            continue
        yield Lesson(clip, truth, box)


def learn_regions(lessons: Iterable[Lesson]) -> dict[str, Region]:
    """Return the regions where the landmarks of mouth and eye lie in all lessons."""
    points: dict[str, list[np.ndarray]] = {name: [] for name in READ}
    for lesson in lessons:
        frames = len(lesson.truth.opening)
        for name, groups in READ.items():
            landmarks = read_points(lesson.clip, groups, frames)
            points[name].append(relative_points(landmarks, lesson.box))
    return {name: region_around(np.concatenate(points[name])) for name in READ}
