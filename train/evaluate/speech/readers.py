"""The two regressors by which heads are read, learnt from truth frames of drawn
people."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, NoFaceError
from train.data.clips import Clip
from train.evaluate.speech.heads import (
    EYE,
    MOUTH,
    Region,
    cut_region,
    find_face,
    pictures_of,
    read_truth,
)
from train.evaluate.speech.regressor import (
    PATCH_SIDE,
    STEPS,
    Patches,
    Reader,
    train_reader,
)

REGIONS: dict[str, Region] = {"opening": MOUTH, "blink": EYE}
"""What is read, named as in the truth file, and where."""


@dataclass(frozen=True)
class Reading:
    """What is read of every frame of a video, or what the truth says of it."""

    opening: Float[np.ndarray, " f"]
    blink: Float[np.ndarray, " f"]


@dataclass(frozen=True)
class Readers:
    """A regressor each for the opening of the mouth and the blinking of the eyes."""

    opening: Reader
    blink: Reader

    def read(self, video: Path, box: FaceRectangle) -> Reading:
        """Read every frame of a video whose face is in `box`."""
        patches = cut_patches(video, box)
        return Reading(self.opening(patches["opening"]), self.blink(patches["blink"]))


def cut_patches(video: Path, box: FaceRectangle) -> dict[str, Patches]:
    """The regions of every frame, by what is read there."""
    pictures = pictures_of(video)
    return {
        name: np.stack(
            [cut_region(picture, box, region, PATCH_SIDE) for picture in pictures]
        )
        for name, region in REGIONS.items()
    }


def train_readers(
    clips: Iterable[Clip], detector: Detector, *, steps: int = STEPS
) -> Readers:
    """Learn from the truth frames of clips; those without a steady face are left out.

    Raises:
      NoFaceError: there is none in any of them.
      ValueError, OSError: a clip or its truth cannot be read.
    """
    patches: dict[str, list[Patches]] = {name: [] for name in REGIONS}
    values: dict[str, list[np.ndarray]] = {name: [] for name in REGIONS}
    for clip in clips:
        truth = read_truth(clip)
        try:
            cut = cut_patches(clip.video, find_face(clip.video, detector))
        except NoFaceError:
            continue
        for name in REGIONS:
            patches[name].append(cut[name])
            values[name].append(getattr(truth, name))
    if not values["opening"]:
        raise NoFaceError(
            f"the {detector.name} detector finds a steady face in none of the training clips"
        )
    trained = {
        name: train_reader(
            np.concatenate(patches[name]), np.concatenate(values[name]), steps=steps
        )
        for name in REGIONS
    }
    return Readers(**trained)
