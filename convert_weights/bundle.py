"""From files to one checkpoint: which file gives which parts, and the motion
statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convert_weights import sizes
from convert_weights.convert import (
    Conversion,
    ConversionError,
    Tensors,
    convert,
    unwrapped,
)
from convert_weights.keymaps import IGNORED, TABLES
from convert_weights.sources import STITCHING_ENTRIES, as_arrays, read_tensors
from jaxportrait.checkpoint import (
    DRIVER,
    Contents,
    Crop,
    DriverEntry,
    FlowDriverConfig,
    leaf_shapes,
    save_checkpoint,
)
from jaxportrait.models.parts import abstract
from jaxportrait.motion.space import KEYPOINTS, LIP_KEYPOINTS, MotionStatistics

STATISTICS = ("statistics.mean", "statistics.std")
AGREEMENT = 1e-5
"""How far, of the deviation, a transformer's own statistics may be from those of a
file."""


@dataclass
class Converted:
    """The parts made so far.

    Attributes:
      configs: part -> its config.
      params: part -> dotted path -> array.
      ignored: part -> tensor left behind -> why.
      statistics: of the motion space.
    """

    configs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    ignored: dict[str, dict[str, str]] = field(default_factory=dict)
    statistics: MotionStatistics | None = None


def convert_files(
    files: Mapping[str, Path], statistics: Path | None = None
) -> Converted:
    """Convert each file to its part (`stitching_retargeting` to three).

    Args:
      files: part -> file.
      statistics: a `statistic.pt`, {mean, std} over the whole expression.

    Raises:
      ConversionError: of the first file that does not fit, with all of its misfits.
    """
    converted = Converted()
    for part, path in files.items():
        content = read_tensors(path)
        if part == "stitching_retargeting":
            for entry_part, entry in STITCHING_ENTRIES.items():
                _add(
                    converted,
                    entry_part,
                    _entry(content, entry, path),
                    f"{path} [{entry}]",
                )
        elif part == "whisper":
            heads = _entry(content, "dims", path).get("n_audio_head")
            _add(
                converted,
                part,
                _entry(content, "model_state_dict", path),
                str(path),
                heads=heads,
            )
        else:
            _add(converted, part, content, str(path))
    converted.statistics = _statistics(converted, statistics)
    return converted


def write(
    converted: Converted,
    output: Path,
    *,
    image_size: int = 256,
    overwrite: bool = False,
) -> Contents:
    """Write what was converted as one checkpoint, whole or not at all."""
    drivers = {}
    if converted.statistics is not None:
        drivers[DRIVER] = DriverEntry(FlowDriverConfig(), converted.statistics)
    try:
        contents = Contents(Crop(image_size), converted.configs, drivers)
    except ValueError as error:
        raise ConversionError(f"the parts do not belong together: {error}") from error
    save_checkpoint(output, contents, converted.params, overwrite=overwrite)
    return contents


def _add(
    converted: Converted,
    part: str,
    state_dict: Mapping[str, Any],
    name: str,
    **known: Any,
) -> None:
    tensors = unwrapped(as_arrays(state_dict, name))
    shapes = sizes.TensorShapes(
        {key: tensor.shape for key, tensor in tensors.items()}, name
    )
    try:
        config = sizes.READERS[part](shapes, **known)
        result = _convert_part(part, tensors, config, name)
    except (IndexError, ZeroDivisionError, TypeError, ValueError) as error:
        if isinstance(error, ConversionError):
            raise
        raise ConversionError(
            f"{name} has tensors of shapes that make no {part} ({error}): fetch it again"
        ) from error
    converted.configs[part], converted.params[part] = config, result.leaves
    converted.ignored[part] = result.ignored


def _convert_part(part: str, tensors: Tensors, config: Any, name: str) -> Conversion:
    shapes = leaf_shapes(abstract(config))
    if part == "flow_transformer":
        vector = shapes["final_conv.bias"]  # as wide as a frame of motion
        shapes |= dict.fromkeys(STATISTICS, vector)
    return convert(tensors, TABLES[part], shapes, IGNORED.get(part, ()), name=name)


def _statistics(converted: Converted, path: Path | None) -> MotionStatistics | None:
    """The transformer's own statistics, which those of the file must equal."""
    if "flow_transformer" not in converted.params:
        if path is not None:
            raise ConversionError(
                f"--statistics {path} belongs to a flow transformer, and none is given"
            )
        return None
    leaves = converted.params["flow_transformer"]
    own = MotionStatistics(*(leaves.pop(name) for name in STATISTICS))
    if path is not None:
        given = lip_statistics(path)
        if not _agree(own, given):
            raise ConversionError(
                f"{path} disagrees with the statistics inside the flow transformer: it is of another training run; "
                "leave out --statistics to use the transformer's own"
            )
    return own


def _agree(own: MotionStatistics, given: MotionStatistics) -> bool:
    limit = AGREEMENT * np.abs(own.std).max()
    pairs = ((own.mean, given.mean), (own.std, given.std))
    return all(a.shape == b.shape and np.abs(a - b).max() <= limit for a, b in pairs)


def lip_statistics(path: Path) -> MotionStatistics:
    """The lip rows of a `statistic.pt`, whose `mean` and `std` are over the expression
    of 21 keypoints."""
    tensors = as_arrays(read_tensors(path), str(path))
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if set(shapes) != {"mean", "std"} or any(
        tensor.size != 3 * KEYPOINTS for tensor in tensors.values()
    ):
        raise ConversionError(
            f"{path} holds {shapes}: expected mean and std, {3 * KEYPOINTS} values each"
        )
    mean, std = (
        tensors[name].astype(np.float32).reshape(-1, 3)[list(LIP_KEYPOINTS)].ravel()
        for name in ("mean", "std")
    )
    return MotionStatistics(mean, std)


def _entry(content: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    if not isinstance(content.get(key), Mapping):
        raise ConversionError(
            f"{path} has no entry {key} (it has: {', '.join(map(str, list(content)[:5]))})"
        )
    return content[key]
