"""Where the points of a face are known from, and where they lie in a crop."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, Float32, UInt8

from jaxportrait.media.crop import (
    CROP_SIZE,
    FaceRectangle,
    image_to_crop,
    resize_matrix,
)
from jaxportrait.media.faces import Detector

MARKING_DETECTORS = ("insightface", "yunet")
"""Those whose faces have landmarks."""


@dataclass(frozen=True)
class Truth:
    """What is known of a clip's frames without looking at them; None where it is not.

    Attributes:
      landmarks: in pixels of the video.
      pose: pitch, yaw and roll in degrees.
    """

    landmarks: Float32[np.ndarray, "frames l 2"] | None = None
    pose: Float32[np.ndarray, "frames 3"] | None = None


def truth_path(video: Path) -> Path:
    """Where the truth of a video lies, if it has one: as `train.synthetic` writes
    it."""
    return video.with_suffix(".npz")


def read_truth(video: Path, frames: int) -> Truth:
    """The truth beside a video; nothing where there is no such file.

    Raises:
      ValueError: it is damaged, or not of a video of so many frames.
    """
    path = truth_path(video)
    if not path.is_file():
        return Truth()
    try:
        with path.open("rb") as file, np.load(file) as truth:
            found = {
                name: truth[name].astype(np.float32)
                for name in ("landmarks", "pose")
                if name in truth
            }
    except (BadZipFile, EOFError, ValueError, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged ({error}): make it again, or remove it"
        ) from error
    for name, width in (("landmarks", 2), ("pose", 3)):
        if name in found and (
            len(found[name]) != frames or found[name].shape[-1] != width
        ):
            raise ValueError(
                f"the {name} of {path} are of shape {found[name].shape}, the video has {frames} frames: "
                "make both again, or remove the truth"
            )
    return Truth(**found)


def find_landmarks(
    image: UInt8[np.ndarray, "h w 3"], rectangle: FaceRectangle, detector: Detector
) -> Float[np.ndarray, "l 2"] | None:
    """The points that the detector sees of the face nearest to the crop's centre, in
    pixels; None if it sees none."""
    if detector.name not in MARKING_DETECTORS:
        return None
    distances = [
        (np.hypot(*np.subtract(face.hull.center, rectangle.center)), face)
        for face in detector.find(image)
    ]
    inside = [
        (distance, face)
        for distance, face in distances
        if distance < rectangle.size / 2
    ]
    if not inside:
        return None
    face = min(inside, key=lambda each: each[0])[1]
    return face.landmarks if face.fine_landmarks is None else face.fine_landmarks


def normalise(
    points: Float[np.ndarray, "l 2"], rectangle: FaceRectangle, size: int
) -> Float32[np.ndarray, "l 2"]:
    """Pixels of the picture -> places in a crop of `size` pixels; -1 and 1 are the
    centres of its first and last."""
    matrix = resize_matrix((CROP_SIZE, CROP_SIZE), (size, size)) @ image_to_crop(
        rectangle
    )
    pixels = points @ matrix[:2, :2].T + matrix[:2, 2]
    return np.asarray(pixels * 2 / (size - 1) - 1, np.float32)


def stack_landmarks(
    points: list[Float32[np.ndarray, "l 2"] | None],
) -> Float32[np.ndarray, "frames l 2"]:
    """The points of a clip's frames; NaN in frames without any, and no points if no
    frame has any."""
    count = max((len(each) for each in points if each is not None), default=0)
    unknown = np.full((count, 2), np.nan, np.float32)
    return np.stack([unknown if each is None else each for each in points])
