"""Regions of the face in which a renderer's pictures are measured: mouth and eyes."""

from dataclasses import dataclass

from train.data.frames import FrameDataset
from train.data.landmarks import LEFT_EYE, MOUTH, RIGHT_EYE, points_of
from train.evaluate.renderer.report import Regions

Indices = tuple[int, ...] | None
GROUPS = {"mouth": MOUTH, "left_eye": LEFT_EYE, "right_eye": RIGHT_EYE}
"""Name of a box -> groups of landmarks that it holds."""
BOXES = {"mouth": ("mouth",), "eyes": ("left_eye", "right_eye")}
"""Region -> its boxes."""


@dataclass(frozen=True)
class RegionOptions:
    """Landmarks of the regions; by default those that the data set names.

    Attributes:
      mouth: landmarks around the mouth.
      left_eye: landmarks around the eye on the left of the picture.
      right_eye: landmarks around the eye on the right of the picture.
    """

    mouth: Indices = None
    left_eye: Indices = None
    right_eye: Indices = None


def find_regions(options: RegionOptions, dataset: FrameDataset) -> Regions:
    """Return the landmarks of mouth and eyes; unknown ones are left out.

    Raises:
      ValueError: the data set does not have such a landmark.
    """
    points = {name: _points(name, options, dataset) for name in GROUPS}
    regions = {}
    for region, names in BOXES.items():
        # a profile may show one eye only
        boxes = [points[name] for name in names if points[name]]
        if boxes:
            regions[region] = boxes
    return regions


def _points(
    name: str, options: RegionOptions, dataset: FrameDataset
) -> tuple[int, ...]:
    points: Indices = getattr(options, name)
    if points is None:
        return points_of(dataset.landmark_groups, GROUPS[name])
    unknown = [index for index in points if not 0 <= index < dataset.landmarks]
    if unknown:
        raise ValueError(
            f"--{name.replace('_', '-')} names landmark {unknown[0]}, and {dataset.path} has "
            f"{dataset.landmarks}: pass its own"
        )
    return points
