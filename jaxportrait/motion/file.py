"""Motion on disk: a safetensors file, its rate and format version as metadata."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxportrait.motion.clip import FIELD_SHAPES, MotionClip
from jaxportrait.whole import write_whole

FORMAT = "jaxportrait motion 1"
UNSAVED = ("logits",)
"""Fields that say again what others do, in the way of one driver."""


class MotionFileError(ValueError):
    """A file that holds no motion, or motion that cannot be used."""


def save_motion(clip: MotionClip, path: str | Path) -> None:
    """Write a clip whole or not at all; a file at `path` is replaced.

    What only drivers of sound know is not written: logits, rest, performer and neutral
    motion. Motion that is read again counts from a rest of its own.

    Raises:
      OSError: the file cannot be written.
    """
    path = Path(path)
    arrays = {
        name: np.ascontiguousarray(array, np.float32)
        for name, array in clip.arrays().items()
        if name not in UNSAVED
    }
    metadata = {"format": FORMAT, "fps": repr(float(clip.fps))}
    try:
        with write_whole(path) as partial:
            save_file(arrays, partial, metadata)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def load_motion(path: str | Path) -> MotionClip:
    """Read a clip that `save_motion` wrote.

    Raises:
      FileNotFoundError: there is no such file.
      MotionFileError: it holds no motion, is damaged, or is of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no motion at {path}: pass a file of `save_motion`")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in _names(file)}
    except (SafetensorError, OSError) as error:
        raise MotionFileError(
            f"{path} is no motion file or damaged: {error}"
        ) from error
    if metadata.get("format") != FORMAT:
        raise MotionFileError(
            f"{path} is of format {metadata.get('format')!r}, this version reads "
            f"{FORMAT!r}: save the motion again"
        )
    return _check(path, metadata, arrays)


def is_motion_file(path: str | Path) -> bool:
    """Return whether a file is a safetensors file, as `save_motion` writes them."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(9)
    # The length of the header in 8 bytes, and then the header, which is JSON.
    return len(start) == 9 and start.endswith(b"{") and start[6:8] == b"\0\0"


def _names(file: safe_open) -> list[str]:
    return list(file.keys())


def _check(
    path: Path, metadata: dict[str, str], arrays: dict[str, np.ndarray]
) -> MotionClip:
    for name, array in arrays.items():
        if name not in FIELD_SHAPES:
            raise MotionFileError(
                f"{path} holds {name!r}, which is no part of motion: save it again"
            )
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise MotionFileError(
                f"{name} of {path} is not of finite float32 values: save it again"
            )
    # A field that the file does not hold is None.
    fields = dict.fromkeys(FIELD_SHAPES) | arrays
    try:
        clip = MotionClip(**fields, fps=float(metadata["fps"]))  # pyright: ignore
    except (KeyError, TypeError, ValueError) as error:
        raise MotionFileError(f"{path} holds no motion: {error}") from error
    if len(clip) == 0:
        raise MotionFileError(f"{path} holds no frame of motion: save at least one")
    return clip
