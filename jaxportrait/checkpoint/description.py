"""The JSON that describes a checkpoint: format 2, and the upgrade of format 1.

Format 2:

    {"format": 2,
     "crop": {"image_size", "zoom", "detector"},
     "parts": {name: {"kind": a row of `models.parts.NETWORKS`, sizes ...}},
     "drivers": {name: {"kind": a row of `kinds.DRIVERS`, the fields of its config ...}},
     "keypoints": {"eyes", "brows", "lips"},
     "files": {name: {"bytes", "sha256"}},        optional
     "sha256": {part: {path of an array: ...}}}   optional; also of "statistics.DRIVER"
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from reprlib import repr as shorten
from typing import Any, TypeVar

import msgspec

from jaxportrait.checkpoint.contents import DRIVER, Crop
from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.checkpoint.kinds import described_kinds, driver_config, driver_kind
from jaxportrait.models.parts import NETWORKS, kind_of
from jaxportrait.motion.space import KeypointGroups

T = TypeVar("T")
JSON = Mapping[str, Any]
FORMAT = 2

STATISTICS_NAME = "statistics.{}"
"""Name of the checksums of a driver's statistics, beside those of the parts."""

FORMAT_1_KINDS = {
    "lip_retargeting": "stitching",
    "eye_retargeting": "stitching",
    "perceptual": "vgg",
}
"""Kinds of the parts of format 1 whose names are not their kinds."""
FORMAT_1_FIELDS = {"image_size", "crop_zoom", "crop_detector", "cfg_scale"}
"""Settings of format 1. Only the demo's checkpoint names the detector of its crops."""
FORMAT_1_KEYPOINTS = KeypointGroups(eyes=(2, 11, 13, 15, 16, 18), brows=(1, 3))
"""Groups for every checkpoint of format 1. Eyes and brows are LivePortrait's (11, 13,
15, 16 and 18; 1 and 2) and the demo's (1 and 3 are brows, 2 and 18 irises)."""


@dataclass(frozen=True)
class FileRecord:
    """A file that a checkpoint holds beside its arrays, such as an ONNX graph."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Description:
    """The decoded JSON of format 2, before statistics join the drivers.

    Attributes:
      parts: name -> config.
      drivers: name -> config.
      files: name -> size and checksum of a file.
      sha256: part, or `STATISTICS_NAME` of a driver -> path of an array -> checksum;
        empty where none were stored.
    """

    crop: Crop = field(default_factory=Crop)
    parts: dict[str, Any] = field(default_factory=dict)
    drivers: dict[str, Any] = field(default_factory=dict)
    keypoints: KeypointGroups = field(default_factory=KeypointGroups)
    files: dict[str, FileRecord] = field(default_factory=dict)
    sha256: dict[str, dict[str, str]] = field(default_factory=dict)


def encode(description: Description) -> dict[str, Any]:
    """Return the JSON of format 2."""
    return {
        "format": FORMAT,
        "crop": asdict(description.crop),
        "parts": encode_parts(description.parts),
        "drivers": {
            name: {"kind": driver_kind(config), **asdict(config)}
            for name, config in description.drivers.items()
        },
        "keypoints": asdict(description.keypoints),
        "files": {name: asdict(file) for name, file in description.files.items()},
        "sha256": description.sha256,
    }


def encode_parts(parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the JSON of parts: the kind and the sizes of each."""
    return {
        name: {"kind": kind_of(config), **asdict(config)}
        for name, config in parts.items()
    }


def decode_parts(blocks: JSON) -> dict[str, Any]:
    """Return the config of each part from its JSON; see `decode`."""

    # Every registered network is allowed, VGG of a perceptual loss included.
    def network_config(kind: str) -> type[Any]:
        return NETWORKS[kind].config

    return decode_by_kind(blocks, list(NETWORKS), network_config, "part")


def decode_drivers(blocks: JSON) -> dict[str, Any]:
    """Return the config of each driver from its JSON; see `decode`."""
    return decode_by_kind(blocks, described_kinds(), driver_config, "driver")


def decode(values: JSON) -> Description:
    """Return the description that JSON of format 2 holds.

    Raises:
      CheckpointError: another format, a field that does not exist, a value of another
        type, or a kind that is not registered.
    """
    # Format 1 is upgraded before it gets here.
    values = _mapping(values, "the config")
    if values.get("format") != FORMAT:
        raise CheckpointError(
            f"it is of format {shorten(values.get('format'))}, this version reads 1 and {FORMAT}: convert it again"
        )
    # An unknown field is an error: a newer version may rely on it.
    blocks = {name: block for name, block in values.items() if name != "format"}
    check_fields(blocks, Description, "the config")
    return Description(
        decode_block(blocks.get("crop", {}), Crop, "crop"),
        decode_parts(blocks.get("parts", {})),
        decode_drivers(blocks.get("drivers", {})),
        decode_block(blocks.get("keypoints", {}), KeypointGroups, "keypoints"),
        {
            name: decode_block(record, FileRecord, f"file {name}")
            for name, record in _mapping(blocks.get("files", {}), "files").items()
        },
        convert(blocks.get("sha256", {}), dict[str, dict[str, str]], "sha256"),
    )


def decode_by_kind(
    blocks: Any, kinds: Sequence[str], find: Callable[[str], type[Any]], noun: str
) -> dict[str, Any]:
    """Return the config of each block, whose class its `kind` chooses.

    Args:
      blocks: name -> JSON of a config.
      kinds: kinds that are registered.
      find: returns the config class of a kind.
      noun: name of the blocks in messages.
    """
    decoded = {}
    for name, block in _mapping(blocks, f"{noun}s").items():
        # A copy, since `kind` is removed.
        sizes = dict(_mapping(block, f"{noun} {name}"))
        kind = sizes.pop("kind", None)
        if not isinstance(kind, str) or kind not in kinds:
            kind = kind if isinstance(kind, str) else shorten(kind)
            raise CheckpointError(
                f"{noun} {name} is of kind {kind}, this version knows {', '.join(kinds)}"
            )
        decoded[name] = decode_block(sizes, find(kind), f"{noun} {name}")
    return decoded


def decode_block(values: Any, kind: type[T], name: str) -> T:
    """Return a flat dataclass from its JSON, strictly."""
    check_fields(_mapping(values, name), kind, name)
    return convert(values, kind, name)


def check_fields(values: JSON, kind: type[Any], name: str) -> None:
    """Raise a CheckpointError if a field is not one of the dataclass `kind`."""
    names = [item.name for item in fields(kind)]
    for key in values:
        if key not in names:
            raise CheckpointError(
                f"{name} has no field {key} (it has: {', '.join(names)})"
            )


def convert(values: Any, kind: type[T], name: str) -> T:
    """Return JSON values as `kind`; raise a CheckpointError if a type differs."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{name}: {error}{_value(error, values)}") from error


def _value(error: msgspec.ValidationError, values: Any) -> str:
    """Return the value of the field that msgspec's message names, if it names one."""
    # A place is such as "at `$.widths[1]`".
    place = re.search(r"at `\$\.(\w+)", str(error))
    if place is None:
        return ""
    return f" ({place[1]} is {shorten(values[place[1]])})"


def upgrade(values: JSON, statistics: JSON) -> tuple[dict[str, Any], JSON]:
    """Return the JSON and the statistics of format 1 as format 2.

    Format 1 had one block, with a field for each part (null where it was absent) and
    the settings of the crop and of the only driver beside them. Its statistics were
    those of that driver, without its name.
    """
    # A mapping is a part; any other value is a setting, or null for an absent part.
    parts, settings = {}, {}
    portrait = _mapping(values.get("portrait"), "portrait")
    for name, value in portrait.items():
        if isinstance(value, Mapping):
            parts[name] = upgrade_part(name, value)
        elif name in FORMAT_1_FIELDS:
            settings[name] = value
        elif value is not None:
            raise CheckpointError(f"portrait has no field {name}")
    # Fields that format 1 did not have get their defaults in `decode`.
    upgraded: dict[str, Any] = {
        "format": FORMAT,
        "crop": {
            "image_size": settings.get("image_size", Crop.image_size),
            "zoom": settings.get("crop_zoom", Crop.zoom),
            "detector": settings.get("crop_detector", Crop.detector),
        },
        "parts": parts,
        "keypoints": {
            name: list(group) for name, group in asdict(FORMAT_1_KEYPOINTS).items()
        },
    }
    # A checkpoint of only the renderer.
    if "flow_transformer" not in parts:
        return upgraded, {}
    # The transformer's sizes named its motion space, which belongs to the driver.
    default = driver_config("flow")()
    space = portrait["flow_transformer"].get("motion_space", default.space)
    upgraded["drivers"] = {
        DRIVER: {
            "kind": "flow",
            "features": "log_mel" if "log_mel" in parts else "whisper",
            "space": space,
            "cfg_scale": settings.get("cfg_scale", default.cfg_scale),
        }
    }
    return upgraded, {DRIVER: statistics}


def upgrade_part(name: str, sizes: JSON) -> dict[str, Any]:
    """Return the JSON of a part of format 1 as format 2, with its kind."""
    upgraded = {"kind": FORMAT_1_KINDS.get(name, name), **sizes}
    # It is a field of the driver now.
    upgraded.pop("motion_space", None)
    return upgraded


def _mapping(values: Any, name: str) -> JSON:
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{name} is {shorten(values)}: expected fields by name")
    return values
