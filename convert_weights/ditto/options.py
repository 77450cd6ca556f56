"""Ditto's options: a pickle whose `default_kwargs` hold the reference character, the
blink curve, the limits of motion and the defaults.

Nothing of the file is executed; see `jaxportrait.motion.plain_pickle`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from convert_weights.networks.base import ConversionError
from convert_weights.tensors import read_pickle
from jaxportrait.drivers.ditto_condition import (
    EMOTIONS,
    Face,
    emotion_weights,
    pack_reference,
)
from jaxportrait.motion.binned import BINNED_WIDTH, BINS

DEFAULTS = "default_kwargs"
NETWORK = "audio2motion_cfg"
NETWORK_SWITCHES = ("use_emo", "use_sc", "use_eye_open", "use_eye_ball")
"""Parts of the condition; the published network reads all of them."""
CHARACTER_SIZES = {
    "scale": 1,
    "pitch": BINS,
    "yaw": BINS,
    "roll": BINS,
    "t": 3,
    "exp": 63,
}
"""Value of a frame of the character -> how many numbers it has."""
ANGLES = ("pitch", "yaw", "roll")
KEYPOINTS = 63


@dataclass(frozen=True)
class Character:
    """The face whose motion the network makes, whatever picture is driven.

    Attributes:
      face: its eyes and keypoints.
      reference: its first frame, which precedes the first window.
      scale: size of its head.
    """

    face: Face
    reference: Float32[np.ndarray, " 265"]
    scale: float


@dataclass(frozen=True)
class DittoOptions:
    """The options that a driver needs; None for those that a file does not have.

    Attributes:
      emotions: a vector a frame.
      character: the reference character.
      blink: offsets of the expression in each frame of a blink.
      limits: smallest and largest value of each number of motion.
      steps: steps of sampling.
      overlap: frames that two windows share.
      live: the options are for live sound.
    """

    emotions: Float32[np.ndarray, "m 8"]
    character: Character | None = None
    blink: Float32[np.ndarray, "b 63"] | None = None
    limits: Float32[np.ndarray, "2 265"] | None = None
    steps: int = 50
    overlap: int = 10
    live: bool = False


def read_options(path: Path) -> DittoOptions:
    """Read a file of options.

    Raises:
      ConversionError: there is no such file, it would run code, is damaged, or its
        values are of other shapes than the published ones.
    """
    content = read_pickle(path)
    try:
        return parse_options(content)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from error


def parse_options(content: Any) -> DittoOptions:
    """Return the options in the content of a file; see `read_options`."""
    # The network first: of another kind, its defaults mean nothing.
    check_network(_entry(content, NETWORK))
    values = _entry(content, DEFAULTS)
    character = values.get("ch_info")
    blink = values.get("delta_eye_arr")
    limits = values.get("v_min_max_for_clip")
    return DittoOptions(
        emotions=read_emotions(values.get("emo", EMOTIONS.index("neutral"))),
        character=None if character is None else read_character(character),
        blink=None if blink is None else _rows(blink, "delta_eye_arr", KEYPOINTS),
        limits=None if limits is None else read_limits(limits),
        steps=_whole(values, "sampling_timesteps", 50),
        overlap=_whole(values, "overlap_v2", 10),
        live=bool(values.get("online_mode", False)),
    )


def check_network(settings: Mapping[Any, Any]) -> None:
    """Raise a ConversionError unless the network reads the whole condition."""
    for switch in NETWORK_SWITCHES:
        # The network's own default is true.
        if not settings.get(switch, True):
            raise ConversionError(
                f"{NETWORK}[{switch!r}] is {settings[switch]!r}: only networks that read emotion, eyes and keypoints "
                "are converted"
            )


def read_emotions(value: Any) -> Float32[np.ndarray, "m 8"]:
    """Return the default emotion, a row a frame: of an array, or of one label."""
    if isinstance(value, np.ndarray):
        return _rows(value, "emo", len(EMOTIONS))
    try:
        return emotion_weights(value)[None]
    except (TypeError, ValueError) as error:
        raise ConversionError(
            f"emo is {value!r}: expected a label or rows of 8"
        ) from error


def read_limits(value: Any) -> Float32[np.ndarray, "2 265"]:
    """Return the smallest and the largest value of each number of motion."""
    # Further rows are statistics that no result depends on.
    limits = _rows(value, "v_min_max_for_clip", BINNED_WIDTH)[:2]
    if len(limits) < 2 or (limits[0] > limits[1]).any():
        raise ConversionError(
            "v_min_max_for_clip has no smallest and largest values: expected them in rows 0 and 1"
        )
    return limits


def read_character(content: Any) -> Character:
    """Return the reference character: eyes, keypoints and the first frame."""
    frames = content.get("x_s_info_lst") if isinstance(content, Mapping) else None
    if not isinstance(frames, list) or not frames:
        raise ConversionError("ch_info has no list x_s_info_lst")
    first = _entry({"x_s_info_lst[0]": frames[0]}, "x_s_info_lst[0]")
    # Arrays have a batch of one: (1, 66) becomes (66,).
    values = {
        name: _flat(first.get(name), f"{name} of ch_info", size)
        for name, size in CHARACTER_SIZES.items()
    }
    openness = _joined(content.get("eye_open_lst"), "eye_open_lst", 2)
    eyeballs = _joined(content.get("eye_ball_lst"), "eye_ball_lst", 6)
    if len(openness) != len(eyeballs):
        raise ConversionError(
            f"ch_info has {len(openness)} frames of eye_open_lst and {len(eyeballs)} of eye_ball_lst: expected as many"
        )
    face = Face(openness, eyeballs, _flat(content.get("sc"), "sc", KEYPOINTS))
    reference = pack_reference(
        values["scale"],
        [values[angle] for angle in ANGLES],
        values["t"],
        values["exp"],
    )
    return Character(face, reference, float(values["scale"][0]))


def _entry(content: Any, key: str) -> Mapping[Any, Any]:
    entry = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(entry, Mapping):
        raise ConversionError(f"it has no dictionary {key}: use a file of ditto_cfg")
    return entry


def _whole(values: Mapping[Any, Any], name: str, default: int) -> int:
    value = values.get(name, default)
    if type(value) is not int or value < 1:
        raise ConversionError(f"{name} is {value!r}: expected a number from 1")
    return value


def _flat(value: Any, name: str, size: int) -> Float32[np.ndarray, " size"]:
    """Return an array of so many finite numbers, in one row."""
    return _rows(np.reshape(_numbers(value, name), -1)[None], name, size)[0]


def _joined(value: Any, name: str, width: int) -> Float32[np.ndarray, "n width"]:
    """Return the rows of a list of arrays, one a frame of video."""
    if not isinstance(value, list) or not value:
        raise ConversionError(f"ch_info has no list {name}")
    arrays = [_rows(item, name, width) for item in value]
    return np.concatenate(arrays)


def _rows(value: Any, name: str, width: int) -> Float32[np.ndarray, "n width"]:
    """Return finite rows of this width."""
    # Files hold float64 as well; the network reads float32.
    array = _numbers(value, name)
    if array.ndim != 2 or array.shape[1] != width or len(array) == 0:
        raise ConversionError(
            f"{name} has the shape {array.shape}: expected rows of {width} numbers"
        )
    if not np.isfinite(array).all():
        raise ConversionError(f"{name} has values that are not finite")
    return array


def _numbers(value: Any, name: str) -> Float32[np.ndarray, "..."]:
    if not isinstance(value, np.ndarray):
        raise ConversionError(f"{name} is {type(value).__name__}: expected an array")
    return np.asarray(value, np.float32)
