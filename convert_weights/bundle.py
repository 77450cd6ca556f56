"""From files to one checkpoint: which file gives which parts, and the motion
statistics."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from convert_weights.convert import (
    Conversion,
    ConversionError,
    Tensors,
    convert,
    plain_name,
    unwrapped,
)
from convert_weights.ctranslate2 import read_whisper
from convert_weights.ditto.files import DittoFiles, check_hubert, read_character
from convert_weights.joyvasa.files import JoyVASAFiles, read_model, read_template
from convert_weights.networks import KEY_MAPS
from convert_weights.networks.base import TensorShapes
from convert_weights.networks.flow_transformer import STATISTICS
from convert_weights.sources import PARTS, PublishedPart, parts_of
from convert_weights.tensors import as_arrays, read_tensors
from jaxportrait.checkpoint import (
    DRIVER,
    CheckpointError,
    Contents,
    Crop,
    DriverEntry,
    check_statistics,
    leaf_shapes,
    save_checkpoint,
)
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.drivers.ditto_config import DittoDriverConfig
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.parts import RENDERER, abstract, kind_of
from jaxportrait.motion.space import EXPRESSION, MOTION_SPACES, MotionStatistics

JOYVASA = "joyvasa"
"""Name of JoyVASA's driver in a checkpoint."""
DITTO = "ditto"
"""Name of Ditto's driver in a checkpoint."""
AGREEMENT = 1e-5
"""Largest difference between the statistics of a transformer and of a file, as a share
of the deviation."""
CROP_DETECTOR = "insightface"
"""The detector that LivePortrait's crops were made with, in training and inference."""
TABLE_REASON = "a table that the network computes, found the same"
TABLE_TOLERANCE = 1e-5
"""Largest relative difference of a table's values; float32 is exact to 1e-7."""
FLAT_SEPARATOR = "_module."
"""Text between an entry and a tensor's name in a flat file."""


@dataclass
class Converted:
    """The parts made so far.

    Attributes:
      configs: part -> its config.
      params: part -> dotted path -> array.
      ignored: part -> name of a tensor that is not converted -> reason.
      statistics: mean and deviation of the flow transformer's motion.
      drivers: name -> driver.
      files: name -> file that is no array.
    """

    configs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    ignored: dict[str, dict[str, str]] = field(default_factory=dict)
    statistics: MotionStatistics | None = None
    drivers: dict[str, DriverEntry] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


def convert_files(
    files: Mapping[str, Path],
    statistics: Path | None = None,
    joyvasa: JoyVASAFiles | None = None,
    ditto: DittoFiles | None = None,
) -> Converted:
    """Convert each file to its parts.

    Args:
      files: source (see `sources.PARTS`) -> file.
      statistics: a `statistic.pt`, {mean, std} over the whole expression.
      joyvasa: the two files of JoyVASA.
      ditto: the three files of Ditto.

    Raises:
      ConversionError: a file does not fit; the message has all misfits of the first.
    """
    converted = Converted()
    for source, path in files.items():
        # Read once, however many parts it holds.
        is_folder = source == "whisper" and path.is_dir()
        content = read_whisper(path) if is_folder else read_tensors(path)
        parts = parts_of(source)
        content = nested(content, parts, path)
        for part, place in parts.items():
            metadata = {}
            if place.metadata is not None:
                metadata = _entry(content, place.metadata, path)
            state_dict = content
            if place.entry is not None:
                state_dict = _entry(content, place.entry, path)
            # A misfit names the entry of a file of several parts.
            name = f"{path} [{place.entry}]" if len(parts) > 1 else str(path)
            tensors = unwrapped(as_arrays(state_dict, name))
            _add(converted, part, tensors, metadata, name)
    converted.statistics = _statistics(converted, statistics)
    if converted.statistics is not None:
        driver = DriverEntry(FlowDriverConfig(), converted.statistics)
        converted.drivers[DRIVER] = driver
    if joyvasa is not None:
        _add_joyvasa(converted, joyvasa)
    if ditto is not None:
        _add_ditto(converted, ditto)
    return converted


def write(
    converted: Converted,
    output: Path,
    *,
    image_size: int = 256,
    animals: bool = False,
    overwrite: bool = False,
) -> Contents:
    """Write what was converted as one checkpoint, whole or not at all.

    Args:
      image_size: side of the picture that the networks read, in pixels.
      animals: the networks know animals, whose crops another detector made.
      overwrite: replace a checkpoint at `output`.
    """
    detector = None if animals else _crop_detector(converted)
    try:
        crop = Crop(image_size, detector=detector)
        contents = Contents(crop, converted.configs, converted.drivers)
    except ValueError as error:
        raise ConversionError(f"the parts do not belong together: {error}") from error
    save_checkpoint(
        output, contents, converted.params, files=converted.files, overwrite=overwrite
    )
    return contents


def _crop_detector(converted: Converted) -> str | None:
    """Return the detector of the networks' crops; None if no network reads crops."""
    reads_crops = any(part in converted.configs for part in RENDERER)
    return CROP_DETECTOR if reads_crops else None


def convert_network(
    tensors: Tensors, config: Any, *, name: str = "weights"
) -> Conversion:
    """Convert a state dict by the key map of its network's kind.

    Args:
      config: config of the network.
      name: name of the file, for messages.

    Raises:
      ConversionError: the state dict does not fit; see `convert`.
    """
    key_map = KEY_MAPS[kind_of(config)]
    shapes = leaf_shapes(abstract(config))
    if key_map.statistics:
        # They are as wide as a frame of motion.
        vector = jax.ShapeDtypeStruct((config.motion_width,), np.float32)
        shapes |= dict.fromkeys(key_map.statistics, vector)
    tables = key_map.tables(config)
    check_tables(unwrapped(tensors), tables, name)
    ignored = [(pattern, TABLE_REASON) for pattern in tables]
    return convert(
        tensors,
        key_map.rows(config),
        shapes,
        (*key_map.ignored, *ignored),
        name=name,
    )


def check_tables(tensors: Tensors, tables: Mapping[str, np.ndarray], name: str) -> None:
    """Raise a ConversionError unless the tables of a file are those that the network
    computes."""
    for pattern, table in tables.items():
        for key in fnmatch.filter(tensors, pattern):
            tensor = tensors[key]
            agrees = tensor.shape == table.shape and np.allclose(
                tensor, table, rtol=TABLE_TOLERANCE, atol=0
            )
            if not agrees:
                raise ConversionError(
                    f"{name}: {key} {tensor.shape} is not the table that the network computes, "
                    "so its weights were trained with another: fetch the published file"
                )


def _add(
    converted: Converted,
    part: str,
    tensors: Tensors,
    metadata: Mapping[str, Any],
    name: str,
) -> None:
    lengths = {key: tensor.shape for key, tensor in tensors.items()}
    key_map = KEY_MAPS[PARTS[part].kind]
    try:
        config = key_map.size(TensorShapes(lengths, name), metadata)
        result = convert_network(tensors, config, name=name)
    except (IndexError, ZeroDivisionError, TypeError, ValueError) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(
            f"{name} makes no {part} ({error}): fetch it again"
        ) from error
    converted.configs[part] = config
    converted.params[part] = result.leaves
    converted.ignored[part] = result.ignored


def _add_joyvasa(converted: Converted, files: JoyVASAFiles) -> None:
    """Add the parts of JoyVASA's model, and the driver that they are."""
    # The template first: it is small, and a wrong one is found at once.
    statistics = checked(read_template(files.template), str(files.template))
    for part, model in read_model(files).items():
        name = f"{files.model} [{part}]"
        _add(converted, part, model.tensors, model.metadata, name)
    converted.drivers[JOYVASA] = DriverEntry(DiffusionDriverConfig(), statistics)


def _add_ditto(converted: Converted, files: DittoFiles) -> None:
    """Add the parts of Ditto's network, its graph, and the driver that they are."""
    driver = DittoDriverConfig()
    # The small files first: a wrong one is found at once.
    character = read_character(files.options)
    converted.files[driver.features] = check_hubert(files.hubert)
    network = convert_files({driver.network: files.model})
    converted.configs |= network.configs
    converted.params |= network.params
    converted.ignored |= network.ignored
    converted.configs[driver.character] = character.config
    converted.params[driver.character] = character.leaves
    converted.ignored[driver.character] = {}
    converted.drivers[DITTO] = DriverEntry(driver)


def _statistics(converted: Converted, path: Path | None) -> MotionStatistics | None:
    """Return the transformer's own statistics, which those of the file must equal."""
    if "flow_transformer" not in converted.params:
        if path is not None:
            raise ConversionError(
                f"--statistics {path} belongs to a flow transformer, and none is given"
            )
        return None
    # They are not leaves of the network: taken out of its weights.
    leaves = converted.params["flow_transformer"]
    mean, deviation = (leaves.pop(name) for name in STATISTICS)
    statistics = checked(MotionStatistics(mean, deviation), "the flow transformer")
    if path is not None and not _agree(statistics, lip_statistics(path)):
        raise ConversionError(
            f"{path} disagrees with the statistics inside the flow transformer: it is of another training run; "
            "leave out --statistics to use the transformer's own"
        )
    return statistics


def _agree(stored: MotionStatistics, other: MotionStatistics) -> bool:
    """Return whether statistics agree, to a share of the largest deviation."""
    limit = AGREEMENT * np.abs(stored.std).max()
    for first, second in ((stored.mean, other.mean), (stored.std, other.std)):
        # A difference that is not a number is above every limit.
        if first.shape != second.shape or not np.abs(first - second).max() <= limit:
            return False
    return True


def lip_statistics(path: Path) -> MotionStatistics:
    """Return the lip rows of a `statistic.pt`, whose `mean` and `std` are over the expression
    of 21 keypoints."""
    tensors = as_arrays(read_tensors(path), str(path))
    count = EXPRESSION.stop
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    sizes = {tensor.size for tensor in tensors.values()}
    if set(shapes) != {"mean", "std"} or sizes != {count}:
        raise ConversionError(
            f"{path} holds {shapes}: expected mean and std, {count} values each"
        )
    # A frame begins with the expression, so the columns of frames hold here too.
    columns = list(MOTION_SPACES["lip"].columns)
    mean = tensors["mean"].ravel()[columns]
    std = tensors["std"].ravel()[columns]
    statistics = MotionStatistics(mean.astype(np.float32), std.astype(np.float32))
    return checked(statistics, str(path))


def checked(statistics: MotionStatistics, name: str) -> MotionStatistics:
    """Return statistics; raise a ConversionError if they normalise nothing."""
    try:
        check_statistics(statistics)
    except CheckpointError as error:
        raise ConversionError(f"{name}: {error}") from error
    return statistics


def nested(
    content: Mapping[Any, Any], parts: Mapping[str, PublishedPart], path: Path
) -> Mapping[Any, Any]:
    """Return the content of a file by the entries of its parts.

    A flat file of several parts has their entries in its tensors' names, such as
    `retarget_shoulder_module.mlp.0.weight`.

    Raises:
      ConversionError: a flat file has other tensors besides.
    """
    entries = [part.entry for part in parts.values()]
    if len(parts) == 1 or any(entry in content for entry in entries):
        return content
    flat: dict[str, dict[str, Any]] = {}
    others: list[str] = []
    for key, value in content.items():
        entry, separator, name = plain_name(str(key)).partition(FLAT_SEPARATOR)
        if separator and entry in entries:
            flat.setdefault(entry, {})[name] = value
        else:
            others.append(str(key))
    if flat and others:
        raise ConversionError(
            f"{path} has tensors of none of {', '.join(flat)}: {', '.join(others[:5])}"
        )
    return flat or content


def _entry(content: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    if key not in content:
        raise ConversionError(
            f"{path} has no entry {key} (it has: {', '.join(map(str, list(content)[:5]))})"
        )
    entry = content[key]
    if not isinstance(entry, Mapping):
        raise ConversionError(
            f"the entry {key} of {path} is of type {type(entry).__name__}: expected values by name"
        )
    return entry
