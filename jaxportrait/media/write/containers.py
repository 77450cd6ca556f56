"""The containers of clips, chosen by the suffix of a name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from jaxportrait.media.colors import PixelForm

MAX_FPS = 1000  # of a file; programs that make clips may allow less
GIF_MAX_FPS = 50
"""Browsers play a frame of less than 20 ms slower, for 100 ms."""
NUMBER = re.compile(r"%0?\d*d")
"""The place of a picture's number in its name, as in `%06d.png`."""


@dataclass(frozen=True)
class Codec:
    """A codec of pictures.

    Attributes:
      encoders: FFmpeg's names of its encoders, the preferred first.
      pixels: form of the pictures that they take.
      max_crf: largest constant rate factor; 0 where there is none.
      options: options of every encoder.
    """

    encoders: tuple[str, ...]
    pixels: PixelForm
    max_crf: int = 0
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """A form of clips on disk.

    Attributes:
      muxer: FFmpeg's name.
      pictures: codec of the pictures.
      sound: encoder of the sound; None where a container holds no sound.
      max_fps: largest frame rate.
      is_folder: a clip is a folder of numbered pictures.
      is_still: it holds one picture and no clip.
      options: options of the muxer.
    """

    muxer: str
    pictures: Codec
    sound: str | None = None
    max_fps: int = MAX_FPS
    is_folder: bool = False
    is_still: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


H264 = Codec(("h264_nvenc", "libx264"), "yuv420p", max_crf=51)
# A hundred times faster than libvpx's slowest choices, and little worse.
VP9 = Codec(
    ("libvpx-vp9",),
    "yuv420p",
    max_crf=63,
    options={"deadline": "good", "cpu-used": "4", "row-mt": "1"},
)
GIF = Codec(("gif",), "rgb24")
WEBP = Codec(("libwebp_anim",), "bgra", options={"quality": "85"})
PNG = Codec(("png",), "rgb24")
# 2 is the finest of FFmpeg's scales of quantisation for JPEG, in steps of 118.
JPEG = Codec(
    ("mjpeg",), "yuvj420p", options={"flags": "+qscale", "global_quality": "236"}
)

CONTAINERS = {
    # The index comes first, so that players start at once.
    "mp4": Container("mp4", H264, "aac", options={"movflags": "+faststart"}),
    "mkv": Container("matroska", H264, "aac"),
    "webm": Container("webm", VP9, "libopus"),
    "gif": Container("gif", GIF, max_fps=GIF_MAX_FPS),
    "webp": Container("webp", WEBP, options={"loop": "0"}),
    "png": Container("image2", PNG, is_folder=True),
    "jpg": Container("image2", JPEG, is_folder=True),
    "jpeg": Container("image2", JPEG, is_folder=True),
}
"""Suffix -> container."""
STILLS = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes of files that hold one picture."""


def find_container(name: str) -> Container:
    """Return the container with a name such as `mp4`.

    Raises:
      ValueError: there is none.
    """
    if name.lower() not in CONTAINERS:
        choices = ", ".join(CONTAINERS)
        raise ValueError(f"there is no format {name!r}: choose one of {choices}")
    return CONTAINERS[name.lower()]


def has_suffix(path: Path) -> bool:
    """Return whether a name ends in the suffix of a container."""
    return path.suffix.lower().removeprefix(".") in CONTAINERS


def choose_container(path: Path) -> Container:
    """Return the container that a clip's name asks for; a picture's name without a number
    asks for one picture.

    Raises:
      ValueError: a suffix of no container, or numbered pictures without a folder.
    """
    if not has_suffix(path):
        choices = ", ".join(f".{name}" for name in CONTAINERS)
        raise ValueError(f"{path} is no name of a clip: end it in one of {choices}")
    container = find_container(path.suffix.removeprefix("."))
    if not container.is_folder:
        return container
    if "%" not in path.name:
        # FFmpeg numbers pictures, unless it replaces one by the next.
        options = {"update": "1"}
        return replace(container, is_folder=False, is_still=True, options=options)
    _check_pattern(path)
    return container


def check_count(path: Path, frames: int) -> None:
    """Raise a ValueError for more than one frame where a name asks for one picture."""
    if frames > 1 and choose_container(path).is_still:
        raise ValueError(
            f"{path} holds one picture, and the clip has {frames} frames: "
            f"end the name in .mp4, or number the pictures, FOLDER/%06d{path.suffix}"
        )


def _check_pattern(path: Path) -> None:
    has_number = len(NUMBER.findall(path.name)) == path.name.count("%") == 1
    if not has_number or not path.parent.name:
        raise ValueError(
            f"{path} does not number the pictures of a clip: name them FOLDER/%06d{path.suffix}"
        )
