"""LivePortrait's motion templates: the motion of a driving video in a `.pkl` file.

Source: LivePortrait, `make_motion_template`, with the keys of its older versions.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxportrait.motion.clip import FIELD_SHAPES, MotionClip
from jaxportrait.motion.plain_pickle import PlainPickleError, load_plain

FIELD_KEYS = {
    "expression": ("exp",),
    "rotation": ("R", "R_d"),
    "translation": ("t",),
    "scale": ("scale",),
}
"""Field of a frame -> its keys in a template, the newer first."""
OPENNESS_KEYS = {
    "eyes": ("c_eyes_lst", "c_d_eyes_lst"),
    "lips": ("c_lip_lst", "c_d_lip_lst"),
}
"""Field of openness -> its keys; templates may lack them."""
DEFAULT_FPS = 25.0
"""Rate of a template that does not say it. Source: LivePortrait, `output_fps`."""
LARGEST_SKEW = 1e-3
"""Largest difference between a rotation times its transpose and the identity."""


class TemplateError(ValueError):
    """A file that is no motion template, or one that cannot be used."""


def is_template(path: str | Path) -> bool:
    """Return whether a file is a pickle of protocol 2 or later, as templates are."""
    path = Path(path)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(2)
    # Older protocols have no mark at their start; LivePortrait writes protocol 4.
    return len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5


def read_template(path: str | Path) -> MotionClip:
    """Read a template; nothing of the file is executed.

    Raises:
      FileNotFoundError: there is no such file.
      TemplateError: it is damaged, holds more than arrays and plain containers, or no
        motion.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no template at {path}: check the name")
    try:
        return clip_of_template(load_plain(path.read_bytes()))
    except (PlainPickleError, TemplateError) as error:
        raise TemplateError(f"{path} is no motion template: {error}") from error


def clip_of_template(content: Any) -> MotionClip:
    """Return the motion in the content of a template.

    Raises:
      TemplateError: it lacks motion, or values are not finite or of another shape.
    """
    motion = content.get("motion") if isinstance(content, dict) else None
    if not isinstance(motion, list) or not motion:
        raise TemplateError('it has no list "motion"')
    # Names of arrays only: a template states no rest.
    fields: dict[str, Any] = {name: _frames(motion, name) for name in FIELD_KEYS}
    _check_rotations(fields["rotation"])
    openness: dict[str, Any] = {
        name: _openness(content, name, len(motion)) for name in OPENNESS_KEYS
    }
    try:
        fps = float(content.get("output_fps", DEFAULT_FPS))
        return MotionClip(**fields, **openness, fps=fps)
    except (TypeError, ValueError, OverflowError) as error:
        # Whole numbers of a pickle may exceed every float.
        raise TemplateError(str(error)) from error


def _frames(motion: list[Any], field: str) -> Float32[np.ndarray, "n ..."]:
    values = []
    for number, frame in enumerate(motion):
        if not isinstance(frame, dict):
            raise TemplateError(f"frame {number} is no dictionary")
        value = _lookup(frame, FIELD_KEYS[field])
        if value is None:
            raise TemplateError(f"frame {number} has no {FIELD_KEYS[field][0]!r}")
        values.append(_array(value, field, number))
    return np.stack(values)


def _openness(
    content: dict[str, Any], field: str, count: int
) -> Float32[np.ndarray, "n r"] | None:
    values = _lookup(content, OPENNESS_KEYS[field])
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != count:
        raise TemplateError(f"it has {count} frames, and another number of {field}")
    return np.stack([_array(value, field, i) for i, value in enumerate(values)])


def _lookup(values: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((values[key] for key in keys if key in values), None)


def _array(value: Any, field: str, frame: int) -> Float32[np.ndarray, "..."]:
    shape = FIELD_SHAPES[field]
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise TemplateError(f"{field} of frame {frame} is not of numbers") from None
    # Arrays have a batch of one: (1, 21, 3) becomes (21, 3).
    if array.size != np.prod(shape):
        raise TemplateError(f"{field} of frame {frame} has the shape {array.shape}")
    if not np.isfinite(array).all():
        raise TemplateError(f"{field} of frame {frame} is not finite")
    return array.reshape(shape)


def _check_rotations(rotation: Float32[np.ndarray, "n 3 3"]) -> None:
    products = rotation @ rotation.transpose(0, 2, 1)
    skew = np.abs(products - np.eye(3)).max(axis=(1, 2))
    if (skew > LARGEST_SKEW).any():
        raise TemplateError(f"the rotation of frame {int(skew.argmax())} is none")
