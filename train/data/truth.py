"""The truth beside a video: facts about its frames that nobody has to detect.

`train.synthetic` writes a truth file for every clip; other data sets may do the same.
A file holds any of the arrays of `Truth`; docs/synthetic.md describes them all.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float64

from train.data.landmarks import LandmarkGroups, group_points

GROUPS = "landmark_groups"
"""Array of a truth file with the name of each landmark's group."""


CLOSURES = "closures"
"""Array of a truth file with the times at which lips are shut for p, b and m."""


@dataclass(frozen=True)
class Truth:
    """Landmarks and head pose of a clip's frames; None where unknown.

    Attributes:
      landmarks: x and y in pixels of the video.
      pose: pitch, yaw and roll in degrees.
      landmark_groups: groups of the landmarks; empty if unknown.
    """

    landmarks: Float64[np.ndarray, "frames l 2"] | None = None
    pose: Float64[np.ndarray, "frames 3"] | None = None
    landmark_groups: LandmarkGroups = field(default_factory=dict)


WIDTHS = {"landmarks": 2, "pose": 3}


def truth_path(video: Path) -> Path:
    """Return the path of a video's truth file, which need not exist."""
    return video.with_suffix(".npz")


def read_truth(video: Path, frames: int) -> Truth:
    """Read the truth beside a video; it is empty if there is no such file.

    Raises:
      ValueError: the file is damaged, or describes another number of frames.
    """
    path = truth_path(video)
    if not path.is_file():
        return Truth()
    # a truth file has many more arrays, which are not decompressed
    arrays = read_arrays(path, (*WIDTHS, GROUPS))
    for name, width in WIDTHS.items():
        if name in arrays:
            _check_shape(path, name, arrays[name].shape, frames, width)
    values = {
        name: array.astype(np.float64)
        for name, array in arrays.items()
        if name in WIDTHS
    }
    return Truth(**values, landmark_groups=groups_of(path, arrays))


def read_closures(video: Path) -> Float64[np.ndarray, "k 2"] | None:
    """Read the start and the end, in seconds, of the closures of p, b and m from the
    truth beside a video; None where there is none.

    Raises:
      ValueError: the file is damaged, or its closures are no pairs of times.
    """
    path = truth_path(video)
    arrays = read_arrays(path, [CLOSURES]) if path.is_file() else {}
    if CLOSURES not in arrays:
        return None
    # a clip without closures may have an array of no axes
    values = arrays[CLOSURES].astype(np.float64)
    closures = values.reshape(-1, 2) if values.size == 0 else values
    is_pairs = closures.ndim == 2 and closures.shape[1] == 2
    if not (is_pairs and np.isfinite(closures).all()):
        raise ValueError(
            f"the {CLOSURES} of {path} are of shape {values.shape}: make them pairs of finite seconds, or "
            "remove them"
        )
    return closures


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Read those of the named arrays that a truth file holds.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return {name: arrays[name] for name in names if name in arrays}
    except (BadZipFile, EOFError, ValueError, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged ({error}): make it again, or remove it"
        ) from error


def groups_of(path: Path, arrays: Mapping[str, np.ndarray]) -> LandmarkGroups:
    """Return the groups of a truth file's landmarks; none if the file names none.

    Raises:
      ValueError: the groups are not those of the landmarks.
    """
    if GROUPS not in arrays or "landmarks" not in arrays:
        return {}
    # one name a landmark
    names = arrays[GROUPS]
    points = arrays["landmarks"].shape[1]
    if names.shape != (points,):
        raise ValueError(
            f"{path} names the groups of {names.size} of {points} landmarks: make it again"
        )
    return group_points(names.tolist())


def _check_shape(
    path: Path, name: str, shape: tuple[int, ...], frames: int, width: int
) -> None:
    if shape[0] != frames or shape[-1] != width:
        raise ValueError(
            f"the {name} of {path} are of shape {shape}, the video has {frames} frames: "
            "make both again, or remove the truth"
        )
