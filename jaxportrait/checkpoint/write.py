"""Writing checkpoints, whole or not at all."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from jaxportrait.checkpoint.arrays import Leaves, checksum, leaves_of, nest
from jaxportrait.checkpoint.contents import Contents, listed
from jaxportrait.checkpoint.description import STATISTICS_NAME, Description, encode
from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.checkpoint.files import (
    CONFIG,
    FILES,
    PARAMS,
    STATISTICS,
    handler,
    record_files,
)
from jaxportrait.checkpoint.fit import check_arrays
from jaxportrait.models.parts import build
from jaxportrait.whole import check_local, write_whole

COMMIT_NOTE = "commit_success.txt"
"""A file that Orbax reads only in cloud storage. It names the folder of the writer."""

StorageType = Literal["float32", "float16"]


def save_checkpoint(
    path: str | Path,
    contents: Contents,
    params: Mapping[str, Leaves],
    *,
    files: Mapping[str, Path] | None = None,
    dtype: StorageType = "float32",
    overwrite: bool = False,
) -> None:
    """Write a checkpoint whole or not at all.

    Args:
      params: part -> arrays, in the form before folding.
      files: name -> file that is no array, to be copied in.
      dtype: dtype of the stored weights; float16 takes half the space and keeps 11
        significant bits.
      overwrite: replace a checkpoint at `path`; without it, that is an error.

    Raises:
      CheckpointError: `path` is taken, a weight is not finite or too large for
        `dtype`, or the arrays are not those of `contents`.
    """
    # All checks come first: they are cheap, and nothing has been written yet.
    path = Path(path).absolute()
    files = files or {}
    check_destination(path, overwrite=overwrite)
    check_parts(contents, params)
    for part, leaves in params.items():
        check_finite(part, leaves)
    stored = {part: as_stored(part, leaves, dtype) for part, leaves in params.items()}
    check_arrays(contents.parts, stored)
    statistics = _statistics(contents)
    # Checksums are of the values as stored, after rounding to float16.
    description = Description(
        contents.crop,
        dict(contents.parts),
        {name: driver.config for name, driver in contents.drivers.items()},
        contents.keypoints,
        record_files(files),
        _all_checksums(stored, statistics),
    )
    # The items of the Orbax folder.
    items: dict[str, Any] = {
        PARAMS: ocp.args.PyTreeSave(
            {part: nest(item) for part, item in stored.items()}
        ),
        CONFIG: ocp.args.JsonSave(encode(description)),
    }
    if statistics:
        items[STATISTICS] = ocp.args.PyTreeSave(statistics)
    check_local(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = sum(_bytes(leaves) for leaves in stored.values())
    with write_whole(path, replace_folder=overwrite, size=size) as partial:
        with ocp.Checkpointer(handler()) as writer:
            writer.save(partial, args=ocp.args.Composite(**items))
        # A checkpoint must not contain paths of the machine that wrote it.
        for note in partial.rglob(COMMIT_NOTE):
            note.unlink()
        _copy_files(files, partial / FILES)


def save_untrained(
    path: str | Path, contents: Contents, seed: int = 0, *, overwrite: bool = False
) -> None:
    """Write a checkpoint of freshly initialised networks, for tests and toy runs.

    A training run initialises the networks that it trains itself. It reads only its
    other parts, and those that `--init` names, from a checkpoint.
    """
    # The rbg generator compiles in a third of threefry's time.
    rngs = nnx.Rngs(jax.random.key(seed, impl="rbg"))
    params = {
        part: leaves_of(build(config, rngs=rngs))
        for part, config in contents.parts.items()
    }
    save_checkpoint(path, contents, params, overwrite=overwrite)


def check_destination(path: Path, *, overwrite: bool) -> None:
    """Raise a CheckpointError unless a checkpoint may be written at `path`.

    It may be where there is nothing or an empty folder, or a checkpoint if `overwrite`.
    """
    path = path.absolute()
    check_brackets(path)
    # The nearest folder that exists is the one that must be writable.
    existing = [parent for parent in (*path.parents, path) if parent.exists()]
    folder = existing[0]
    if not folder.is_dir():
        raise CheckpointError(
            f"{path} cannot be written, {folder} is a file: choose another output"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CheckpointError(
            f"{path} cannot be written, you may not write into {folder}: choose another output"
        )
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    # Only a folder that looks like a checkpoint is ever replaced.
    if not ((path / CONFIG / "metadata").is_file() and (path / PARAMS).is_dir()):
        raise CheckpointError(
            f"{path} exists and is not a checkpoint: choose another output"
        )
    if not overwrite:
        raise CheckpointError(
            f"{path} already holds a checkpoint: choose another output, or pass overwrite=True"
        )


def check_brackets(path: Path) -> None:
    """Raise a CheckpointError if Orbax would lose the arrays that it writes below
    `path`.

    It looks for them by a pattern that begins with the path, in which brackets stand
    for one of several characters.
    """
    if "[" in str(path.absolute()):
        raise CheckpointError(
            f"{path.absolute()}: no checkpoint can be kept where a name has a bracket [: choose another name"
        )


def check_parts(contents: Contents, params: Mapping[str, Leaves]) -> None:
    """Raise a CheckpointError unless the parts with weights are those of `contents`."""
    if contents.parts.keys() != params.keys():
        raise CheckpointError(
            f"the config names {listed(sorted(contents.parts))}, and there are weights of {listed(sorted(params))}: "
            "pass the same"
        )


def check_finite(part: str, leaves: Leaves) -> None:
    """Raise a CheckpointError if a value of a part is not a finite number."""
    for name, leaf in leaves.items():
        if not np.isfinite(leaf).all():
            raise CheckpointError(
                f"{part} has values that are not finite in {name}: its training had diverged, use an earlier state"
            )


def as_stored(part: str, leaves: Leaves, dtype: StorageType) -> dict[str, np.ndarray]:
    """Return the arrays in `dtype`.

    Raises:
      CheckpointError: `dtype` cannot hold one of their values.
    """
    stored = {}
    for name, leaf in leaves.items():
        try:
            # NumPy would store infinity in silence.
            with np.errstate(over="raise"):
                stored[name] = np.asarray(leaf, dtype)
        except FloatingPointError as error:
            limit = np.finfo(dtype).max
            raise CheckpointError(
                f"{part} has values beyond {limit:g} in {name}: store it in float32"
            ) from error
    return stored


def _bytes(leaves: Mapping[str, np.ndarray]) -> int:
    return sum(leaf.nbytes for leaf in leaves.values())


def _all_checksums(
    params: Mapping[str, Leaves], statistics: Mapping[str, Leaves]
) -> dict[str, dict[str, str]]:
    """Return the checksums of parts and of drivers' statistics, by array."""
    groups = dict(params)
    for driver, arrays in statistics.items():
        groups[STATISTICS_NAME.format(driver)] = arrays
    return {
        group: {name: checksum(leaf) for name, leaf in arrays.items()}
        for group, arrays in groups.items()
    }


def _statistics(contents: Contents) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of every driver that normalises its motion."""
    arrays = {}
    for name, driver in contents.drivers.items():
        if driver.statistics is not None:
            arrays[name] = {
                "mean": np.asarray(driver.statistics.mean),
                "std": np.asarray(driver.statistics.std),
            }
    return arrays


def _copy_files(files: Mapping[str, Path], folder: Path) -> None:
    if files:
        folder.mkdir()
    for name, path in files.items():
        shutil.copyfile(path, folder / name)
